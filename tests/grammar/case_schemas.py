#!/usr/bin/env python3
"""Schemas as pydantic and zod make them: texts sampled from their grammars are valid, as the jsonschema
package judges them with its format checker and without."""

# peer: jsonschema

import collections, json, os, re, subprocess, sys, tempfile, warnings

try:
    import jsonschema
except ImportError:
    print("skipped: no jsonschema in Python")
    sys.exit(77)

warnings.simplefilter("ignore", FutureWarning)  # of re, about [+--]
FILES = ("tests/vectors/constraints/pydantic.json", "tests/vectors/constraints/zod.json")
JUDGES = {"7": jsonschema.Draft7Validator, "2020": jsonschema.Draft202012Validator}


def judges(row):
    of = JUDGES[row.get("draft", "2020")]
    return [of(row["schema"]), of(row["schema"], format_checker=of.FORMAT_CHECKER)]


def is_valid(row, text):
    value = json.loads(text)
    return all(j.is_valid(value) for j in row["judges"])


def main():
    rows = {}
    for file in FILES:
        with open(file, encoding="utf-8") as f:
            rows.update((r["name"], dict(r, judges=judges(r))) for r in json.load(f))
    assert not is_valid({"judges": judges({"schema": {"minimum": 2, "format": "date"}})}, "1")
    assert not is_valid({"judges": judges({"schema": {"format": "date"}})}, '"2023-02-29"')
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/answers"
        run = subprocess.run([os.environ["BUILD"] + "/test/grammar", "-j1", "--filter=grammar_schema/*"],
                             env=dict(os.environ, SCHEMA_ANSWERS=path, SCHEMA_SAMPLES="40"),
                             capture_output=True, timeout=600)
        if run.returncode != 0:
            sys.exit("the texts could not be made:\n" + (run.stdout + run.stderr).decode())
        with open(path, encoding="utf-8") as f:
            answers = [json.loads(line) for line in f]
    wrong, seen, unread = 0, collections.Counter(), set()
    for a in answers:
        if "refused" in a:
            print(f"refused: {a['name']}: {a['refused']}")
            continue
        try:
            ok = is_valid(rows[a["name"]], a["text"])
        except re.error:  # an expression of ECMAScript's own, as \p{..}
            unread.add(a["name"])
            continue
        seen[a["name"]] += 1
        if not ok:
            wrong += 1
            print(f"{a['name']}: {a['text'][:300]!r} is not valid")
    print(f"{sum(seen.values())} texts of {len(seen)} schemas of {len(rows)}, {wrong} wrong")
    print(f"not judged: {sorted(unread)}")
    if wrong or len(seen) < len(rows) * 0.95:
        sys.exit(1)


main()
