#!/usr/bin/env python3
"""Sentences of many countries through the packs: every value that a span marks is found whole, and nothing
else is touched. The values of sentences without spans pass their checks: a word before them names an order,
a serial number or the like."""

import json, os, pathlib, subprocess, sys, tempfile

HALLMARK = pathlib.Path(os.environ["BUILD"]) / "hallmark"
VECTORS = pathlib.Path("tests/vectors/filters")
TEXTS = {"texts_eu.jsonl": "packs/pii-eu"}
POLICY = """[policy]
name = "texts"
version = 1
mode = "enforce"
extends = ["{}"]
"""


def findings(pack, lines):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(POLICY.format(pack))
        f.flush()
        command = [HALLMARK, "policy", "scan", "--policy", f.name, "--json"]
        out = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line)["findings"] for line in out.stdout.splitlines()]


def main():
    wrong = 0
    for name, pack in TEXTS.items():
        lines = (VECTORS / name).read_text()
        texts = [json.loads(line) for line in lines.splitlines()]
        marked = sum(bool(t["spans"]) for t in texts)
        assert len(texts) >= 120 and 40 <= marked <= len(texts) - 40, (len(texts), marked)
        for text, found in zip(texts, findings(pack, lines), strict=True):
            want = sorted((s, e) for s, e, _ in text["spans"])
            got = sorted((f["start"], f["end"]) for f in found)
            if want != got:
                print(f"{name} {text['id']}: {text['text']}: {want} is marked, {got} found")
                wrong += 1
        print(f"{name}: {len(texts)} texts, {marked} with values, {wrong} wrong")
    return wrong > 0


sys.exit(main())
