#!/usr/bin/env python3
"""Grammars in Lark's language against Lark itself (Earley, dynamic_complete: every split into tokens counts):
what ours makes Lark must read, and of texts that are nearly right both must say the same."""

# peer: lark

import json, random, sys

from witness import ask

try:
    import lark
except ImportError:
    print("skipped: no lark in Python")
    sys.exit(77)

SEED, SAMPLES, CHANGED = 16, 40, 3


def changed(r, text):
    out = list(text)
    for _ in range(r.randint(1, 2)):
        at = r.randint(0, len(out))
        kind = r.random()
        if kind < 0.4 and out:
            del out[min(at, len(out) - 1)]
        elif kind < 0.7:
            out.insert(at, r.choice(list(text) + list(" a1\"'+,(")))
        elif len(out) > 1:
            at = min(at, len(out) - 2)
            out[at], out[at + 1] = out[at + 1], out[at]
    return "".join(out)


def reads(parser, text):
    try:
        parser.parse(text)
        return True
    except lark.exceptions.LarkError:
        return False


def main():
    r = random.Random(SEED)
    with open("tests/vectors/constraints/lark.json", encoding="utf-8") as f:
        rows = json.load(f)
    asked = [{"kind": "grammar", "text": row["grammar"], "texts": [], "samples": SAMPLES}
             for row in rows["grammars"]]
    made, wrong, counts = ask(asked), 0, [0, 0, 0]
    for row, m in zip(rows["grammars"], made):
        name, g = row["name"], row["grammar"]
        if isinstance(m, str):
            wrong += 1
            print(f"{name}: refused: {m}")
            m = {"samples": []}
        texts = sorted({changed(r, t) for t in m["samples"] for _ in range(CHANGED)})
        parser = lark.Lark(g, parser="earley", lexer="dynamic_complete")
        for t in m["samples"]:
            counts[0] += 1
            if not reads(parser, t):
                wrong += 1
                print(f"{name}: Lark does not read {t!r}")
        said = ask([{"kind": "grammar", "text": g, "texts": texts}])[0] if texts else []
        for t, ours in zip(texts, said):
            theirs = reads(parser, t)
            counts[1] += 1
            counts[2] += theirs
            if theirs != ours and not (theirs and row.get("stricter")):
                wrong += 1
                print(f"{name}: {t!r}: ours {ours}, Lark {theirs}")
    said = ask([{"kind": "grammar", "text": row["grammar"], "texts": []} for row in rows["refused"]])
    for row, ours in zip(rows["refused"], said):
        if not isinstance(ours, str) or row["says"] not in ours:
            wrong += 1
            print(f"{row['grammar']!r}: {ours}, not {row['says']!r}")
    print(f"{len(rows['grammars'])} grammars: {counts[0]} texts made, {counts[1]} nearly right, of which "
          f"{counts[2]} are; {len(rows['refused'])} refused; {wrong} wrong")
    sys.exit(wrong > 0 or counts[2] < 100)


main()
