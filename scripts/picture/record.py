"""Writes the journal of a home as a recording, with `openlora dash --record`.

usage: record.py OPENLORA HOME RECORDING
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile


def main(openlora, home, recording):
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder, "whole.jsonl")
        program = subprocess.Popen(
            [os.path.abspath(shutil.which(openlora) or openlora), "--accessible", "dash", "--record", whole],
            cwd=folder, env={**os.environ, "OPENLORA_HOME": os.path.abspath(home)}, stdout=subprocess.PIPE)
        # The sums follow the last record of the journal.
        program.stdout.readline()
        program.send_signal(signal.SIGINT)
        program.stdout.close()
        if status := program.wait():
            sys.exit(f"{openlora} dash --record: exit code {status}")
        lines = whole.read_text(encoding="utf-8").splitlines()
    with open(recording, "w", encoding="utf-8") as file:
        for record in map(json.loads, lines):
            # Signed bytes and projected gradients are large, and no figure is made of them.
            record["event"].pop("sketch", None)
            if "raw" in record["event"]:
                record["event"]["raw"] = "0x"
            file.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


main(*sys.argv[1:])
