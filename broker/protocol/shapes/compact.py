"""Writes a shape table without white space and with sorted keys, so that a change of it is a small diff of one line a shape.

usage: compact.py IN.json > OUT.json
"""
import json
import sys


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


with open(sys.argv[1], encoding="utf-8") as file:
    table = json.load(file)
print('{"metadata":' + compact(table["metadata"]) + ',')
for part, end in (("operations", ","), ("shapes", "")):
    rows = [f"{compact(name)}:{compact(row)}" for name, row in sorted(table[part].items())]
    print(f'"{part}":{{\n' + ",\n".join(rows) + "\n}" + end)
print("}")
