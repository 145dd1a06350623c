#!/usr/bin/env python3
"""The limit of the detectors, measured: twenty ways in which a model may be asked to write a value,
and whether the rules find it. docs/filters.md has the table; this prints it, and keeps it true."""

import base64, codecs, json, os, re, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, TOP

POLICY = '[policy]\nname = "x"\nversion = 1\nmode = "enforce"\nextends = ["packs/pii-eu"]\n'
VALUES = {
    "card": "4539148803436467",
    "account": "DE89370400440532013000",
    "e-mail": "elena.murphy@fernbank.example",
}
DIGITS = "zero one two three four five six seven eight nine".split()
GERMAN = "null eins zwei drei vier fünf sechs sieben acht neun".split()


def each(f, between=""):
    return lambda v: between.join(f(c) for c in v)


def words(names):
    return each(lambda c: names[int(c)] if c.isdigit() else c, " ")


def shifted(to):
    return each(lambda c: chr(to + int(c)) if c.isdigit() else c)


WAYS = {
    "as it is written": lambda v: v,
    "a space between all characters": each(str, " "),
    "a hyphen between all characters": each(str, "-"),
    "groups of four": lambda v: " ".join(v[i : i + 4] for i in range(0, len(v), 4)),
    "zero-width spaces inside": each(str, "\u200b"),
    "full-width characters": each(lambda c: chr(ord(c) + 0xFEE0)),
    "Arabic-Indic digits": shifted(0x660),
    "percent escapes": each(lambda c: f"%{ord(c):02X}"),
    "HTML entities": each(lambda c: f"&#{ord(c)};"),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "hexadecimal": lambda v: v.encode().hex(),
    "bold groups of Markdown": lambda v: " ".join(f"**{v[i : i + 4]}**" for i in range(0, len(v), 4)),
    "(at) and (dot)": lambda v: v.replace("@", " (at) ").replace(".", " (dot) "),
    "reversed": lambda v: v[::-1],
    "digits as English words": words(DIGITS),
    "digits as German words": words(GERMAN),
    "a letter between all characters": each(str, "x"),
    "one character in each line, numbered": lambda v: "\n".join(f"{i}: {c}" for i, c in enumerate(v, 1)),
    "every digit one higher, letters by rot13": lambda v: codecs.encode(
        re.sub(r"\d", lambda m: str((int(m[0]) + 1) % 10), v), "rot13"
    ),
    "binary": each(lambda c: f"{ord(c):08b}", " "),
}


def measured(h):
    policy = h.dir / "policy.toml"
    policy.write_text(POLICY)
    texts = [f"It is {way(v)} today." for way in WAYS.values() for v in VALUES.values()]
    lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
    said = h.run("policy", "scan", "--policy", policy, "--json", input=lines.encode()).stdout
    found = [bool(json.loads(line)["findings"]) for line in said.splitlines()]
    n = len(VALUES)
    return {name: found[i * n : i * n + n] for i, name in enumerate(WAYS)}


def table(rows):
    out = ["| written | " + " | ".join(VALUES) + " |", "|---" * (1 + len(VALUES)) + "|"]
    for name, found in rows.items():
        out.append(f"| {name} | " + " | ".join("found" if f else "-" for f in found) + " |")
    count = sum(map(sum, rows.values()))
    return "\n".join(out), f"{count} of {len(rows) * len(VALUES)}"


with Home() as h:
    text, rate = table(measured(h))
print(text)
docs = (TOP / "docs/filters.md").read_text()
assert text in docs and f"found: {rate}" in docs, f"docs/filters.md has another table; found: {rate}"
print(f"found: {rate}, as docs/filters.md says")
