#!/usr/bin/env python3
"""Sentences of many countries with packs/pii-all: every marked value is found whole, and nothing else."""

import json, os, subprocess, sys, tempfile

POLICY = '[policy]\nname = "p"\nversion = 1\nmode = "enforce"\nextends = ["packs/pii-all"]\n'


def scan(lines):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(POLICY)
        f.flush()
        binary = os.environ.get("BUILD", "build") + "/hallmark"
        command = [binary, "policy", "scan", "--policy", f.name, "--json"]
        out = subprocess.run(command, input=lines, stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["findings"] for line in out.stdout.splitlines()]


def union(findings):
    """Bytes that any finding covers."""
    return {i for a in findings for i in range(a["start"], a["end"])}


def main():
    with open("tests/vectors/filters/texts_world.jsonl", "rb") as f:
        lines = f.read()
    texts = [json.loads(line) for line in lines.splitlines()]
    marked = sum(len(t["spans"]) for t in texts)
    assert len(texts) >= 100 and marked >= 100, (len(texts), marked)
    wrong = 0
    for t, found in zip(texts, scan(lines), strict=True):
        want = {i for start, end, _ in t["spans"] for i in range(start, end)}
        if union(found) != want:
            wrong += 1
            what = [(a["start"], a["end"], a["rule"]) for a in found]
            print(f"{t['id']}: {t['text']!r}: marked {t['spans']}, found {what}")
    print(f"{marked} values in {len(texts)} texts, {wrong} texts wrong")
    return wrong > 0


sys.exit(main())
