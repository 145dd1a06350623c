#!/usr/bin/env python3
"""Random grammars of a few rules, most of them left-recursive, empty or ambiguous: which texts of up to five
letters they accept, against the least solution of their equations, found by iteration."""

import itertools, random

from witness import ask

SEED, COUNT, LENGTH = 16, 2000, 5
TEXTS = ["".join(t) for n in range(LENGTH + 1) for t in itertools.product("ab", repeat=n)]


def make(r):
    count = r.randint(1, 4)

    def item():
        return r.choice(["a", "b"]) if r.random() < 0.45 else f"R{r.randrange(count)}"

    return {f"R{i}": [[item() for _ in range(r.choice([0, 1, 1, 2, 2, 3]))] for _ in range(r.randint(1, 3))]
            for i in range(count)}


def written(rules):
    def sequence(one):
        return " ".join(f'"{x}"' if x in "ab" else x for x in one) or '""'
    lines = [f"{name} ::= " + " | ".join(map(sequence, all_)) for name, all_ in rules.items()]
    return "\n".join(["root ::= R0"] + lines)


def language(rules):
    known, grown = {name: set() for name in rules}, True
    while grown:
        grown = False
        for name, all_ in rules.items():
            for one in all_:
                found = {""}
                for x in one:
                    found = {a + b for a in found for b in known.get(x, {x}) if len(a + b) <= LENGTH}
                grown |= not found <= known[name]
                known[name] |= found
    return known["R0"]


def main():
    r = random.Random(SEED)
    grammars = [make(r) for _ in range(COUNT)]
    said = ask([{"kind": "grammar", "text": written(g), "texts": TEXTS} for g in grammars])
    wrong = 0
    for g, ours in zip(grammars, said):
        if isinstance(ours, str):
            ours = [False] * len(TEXTS) if "nothing can satisfy" in ours else ours
        taken = ours if isinstance(ours, str) else {t for t, x in zip(TEXTS, ours) if x}
        if taken != language(g):
            wrong += 1
            print(written(g), "\n  ours ", taken, "\n  right", language(g))
    print(f"{COUNT} grammars, {wrong} wrong")
    raise SystemExit(wrong > 0)


main()
