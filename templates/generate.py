#!/usr/bin/env python3
"""Rewrites the data of the example projects: python3 templates/generate.py [--check]

Needs Python alone. The result depends on nothing but the modules in generator/, so a second run
changes nothing; --check writes nothing and exits 1 when a file differs from what would be written.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from generator.projects import PROJECTS  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    differing = []
    for project in PROJECTS:
        for name, data in sorted(project.files().items()):
            path = ROOT / name
            if path.is_file() and path.read_bytes() == data:
                continue
            differing.append(name)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    for name in differing:
        print(("differs: " if check else "wrote ") + name)
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
