"""Validates results against the published schemas.

    python validate.py SCHEMAS < RESULTS

SCHEMAS is a folder of NAME.json; each line of RESULTS is {"schema": NAME, "result": ...}. Prints a
line for every result and stops at the first that does not fit.
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator

schemas = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    entry = json.loads(line)
    schema = json.loads((schemas / f"{entry['schema']}.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(entry["result"])
    print("ok", entry["schema"])
