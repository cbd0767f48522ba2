"""Writes a journal as a recording: one record per line, as `openlora dash --record` does.

usage: record.py JOURNAL RECORDING
"""

import json
import sqlite3
import sys


def main(journal, recording):
    rows = sqlite3.connect(f"file:{journal}?mode=ro", uri=True).execute(
        "SELECT sequence, time_ms, body, hash FROM events ORDER BY sequence")
    with open(recording, "w", encoding="utf-8") as file:
        for sequence, time_ms, body, digest in rows:
            event = json.loads(body)
            # Signed bytes and projected gradients are large, and no figure is made of them.
            event.pop("sketch", None)
            if "raw" in event:
                event["raw"] = "0x"
            record = {"sequence": sequence, "time_ms": time_ms, "event": event, "hash": digest.hex()}
            file.write(json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n")


main(*sys.argv[1:])
