"""Draws the page of the demonstration's adapter, as a free server of its home shows it.

usage: page.py OPENLORA HOME CHROMIUM SCRIPT PICTURE
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ADAPTER = "sentiment"
TEXT = "The harbour was lovely in May, and the ferry came on time."


def main(openlora, home, chromium, script, picture):
    home = Path(home).resolve()
    serve = [openlora, "serve", "--local", "--free", "--json", "--port", "0"]
    environment = {**os.environ, "OPENLORA_HOME": str(home / "home")}
    server = subprocess.Popen(
        serve, cwd=home / ADAPTER, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        url = json.loads(server.stdout.readline())["url"]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["node", script, chromium, url, ADAPTER, folder, TEXT],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            shutil.copy(Path(folder) / "adapter.png", picture)
    finally:
        server.terminate()
        server.wait()


main(*sys.argv[1:])
