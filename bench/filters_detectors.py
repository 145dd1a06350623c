#!/usr/bin/env python3
"""What each detector finds of its own values, and takes of what is none: the table of `policy detectors`.
   filters_detectors.py BINARY >policy/measured.txt

For each rule of the packs that come with the program, each text of its `tests.hit` is put into each container
of filters_matrix.py: a value counts as found when findings of this rule cover all of it. Each text of its
`tests.miss` is put there too: it counts as touched when this rule finds anything in it."""

import json, pathlib, subprocess, sys, tomllib

sys.argv[2:] = []
import filters_matrix as matrix

PACKS = pathlib.Path(__file__).resolve().parents[1] / "policy/packs"


def versions():
    out = subprocess.run([matrix.BINARY, "policy", "detectors", "--json"], stdout=subprocess.PIPE, check=True)
    return {d["name"]: d["version"] for d in json.loads(out.stdout)["detectors"]}


def frames():
    for frame, write in matrix.CONTAINERS.values():
        head = frame.split("{}")[0].replace("{{", "{").replace("}}", "}") if frame != "{{{}}}" else "{"
        yield frame, head, write


def of_rule(found, rule):
    return [a for a in found["findings"] if rule in a["rule"].split(",")]


def hits(pack, sums):
    rows, texts = [], []
    names = {r["id"]: r["match"]["detector"] for r in rules(pack)}
    for rule, text, spans in matrix.values(pack):
        raw = text.encode()
        for frame, head, write in frames() if rule in names else ():
            places = []
            for a in spans:
                before, value = raw[: a["start"]].decode(), raw[a["start"] : a["end"]].decode()
                start = len((head + write(before)).encode())
                places.append((start, start + len(write(value).encode())))
            texts.append(frame.format(write(text)))
            rows.append((rule, places))
    for (rule, places), found in zip(rows, matrix.scan(pack, texts)):
        one = sums.setdefault(names[rule], [0, 0, 0, 0])
        one[0] += 1
        one[1] += bool(places) and all(matrix.covered(s, e, of_rule(found, rule)) for s, e in places)


def misses(pack, sums):
    rows, texts = [], []
    for rule in rules(pack):
        for text in rule["tests"]["miss"]:
            for frame, _, write in frames():
                texts.append(frame.format(write(text)))
                rows.append((rule["id"], rule["match"]["detector"]))
    for (rule, name), found in zip(rows, matrix.scan(pack, texts)):
        one = sums.setdefault(name, [0, 0, 0, 0])
        one[2] += 1
        one[3] += bool(of_rule(found, rule))


def rules(pack):
    text = (PACKS / f"{pack}.toml").read_text(encoding="utf-8")
    return [r for r in tomllib.loads(text)["rule"] if "detector" in r["match"]]


def main():
    sums = {}
    for line in (PACKS / "packs.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and len(line.split()) == 1:
            hits(line, sums)
            misses(line, sums)
    newest = versions()
    print(
        "# What each detector finds of its values in the containers of bench/filters_matrix.py, and what\n"
        "# it takes there that is none of its values. Made by bench/filters_detectors.py; do not edit.\n"
        "# detector  values  found  others  touched"
    )
    for name, one in sorted(sums.items()):
        print(f"{name.split('/')[0]}/{newest[name.split('/')[0]]}", *one)


if __name__ == "__main__":
    sys.exit(main())
