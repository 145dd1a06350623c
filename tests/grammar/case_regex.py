#!/usr/bin/env python3
"""Random regular expressions over random texts: ours against Python's re, whole and as a search, and against
ECMAScript where node is there. Where one says no, ours says no. Where both say yes ours may say no only for a
text with characters that engines take differently."""

import json, random, re, shutil, subprocess, sys, warnings

from witness import ask

warnings.simplefilter("ignore")
SEED, COUNT, TEXTS = 16, 1500, 60
NODE = """
const list = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(list.map(x => {
  const text = x.kind === 'search' ? x.text : '^(?:' + x.text + ')$';
  let r;
  try { r = new RegExp(text, 'u'); } catch (e) { return null; }
  return x.texts.map(t => r.test(t)); })));
"""
ALPHABET = "abB1_- .\n\ré٣é😀"


def atom(r, depth, look):
    pick = r.random()
    if depth > 0 and pick < 0.18:
        return "(" + r.choice(["", "?:", "?:"]) + choice(r, depth - 1, look) + ")"
    if depth > 0 and look and pick < 0.34:
        body = choice(r, depth - 1, look)
        if r.random() < 0.75:
            return "(" + r.choice(["?=", "?!"]) + body + ")"
        behind = "".join(r.choice(["a", "b", "[ab]", r"\d", "-", r"\w"]) for _ in range(r.randint(1, 2)))
        return "(" + r.choice(["?<=", "?<!"]) + behind + ")"
    if look and pick < 0.44:
        return r.choice([r"\b", r"\B", "^", "$"])
    return r.choice(["a", "b", "B", "1", "-", " ", r"\.", ".", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S",
                     "[ab]", "[^a]", r"[^\w-]", r"[^\s]", "[a-c1]", "é", "\\n"])


def piece(r, depth, look):
    a = atom(r, depth, look)
    anchor = a in ("^", "$", r"\b", r"\B") or a.startswith(("(?=", "(?!", "(?<"))
    if r.random() < 0.3 and not anchor:
        a += r.choice(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"])
    return a


def choice(r, depth, look):
    return "|".join("".join(piece(r, depth, look) for _ in range(r.randint(0 if look else 1, 3)))
                    for _ in range(r.choice([1, 1, 1, 2, 3])))


def texts(r):
    out = {""}
    while len(out) < TEXTS:
        out.add("".join(r.choice(ALPHABET) for _ in range(r.choice([1, 1, 2, 2, 3, 3, 4, 5, 6]))))
    return sorted(out)


def node(list_):
    if not shutil.which("node"):
        print("no node here: ECMAScript is not asked")
        return [None] * len(list_)
    text = json.dumps(list_).encode()
    run = subprocess.run(["node", "-e", NODE], input=text, capture_output=True, timeout=600)
    return json.loads(run.stdout)


def main():
    r = random.Random(SEED)
    asked = []
    while len(asked) < COUNT:
        text = choice(r, 3, r.random() < 0.8)
        try:
            re.compile(text)
        except re.error:
            continue
        asked.append({"kind": r.choice(["regex", "search"]), "text": text, "texts": texts(r)})
    said, other = ask(asked), node(asked)
    wrong = strict = yes = refused = 0
    for a, ours, theirs in zip(asked, said, other):
        if isinstance(ours, str):
            refused += "nothing can satisfy" not in ours
            if "nothing can satisfy" not in ours:
                print(f"refused {a['text']!r}: {ours}")
            ours = [False] * len(a["texts"])
        p = re.compile(a["text"])
        match = p.search if a["kind"] == "search" else p.fullmatch
        for i, (t, mine) in enumerate(zip(a["texts"], ours)):
            python = match(t) is not None
            script = theirs[i] if theirs else python
            yes += mine
            if mine and not (python and script):
                wrong += 1
                print(f"taken {a['kind']} {a['text']!r}: {t!r} python {python} ecmascript {script}")
            elif not mine and python and script:
                strict += 1
                if not set(t) & set("\ré٣é😀\n") and t:
                    wrong += 1
                    print(f"left out {a['kind']} {a['text']!r}: {t!r}")
    print(f"{COUNT} expressions, {COUNT * TEXTS} texts, {yes} taken, "
          f"{strict} left out where engines may differ, {refused} refused, {wrong} wrong")
    if wrong or yes < 5000 or strict > COUNT * TEXTS / 100 or refused > 20:
        sys.exit(1)


main()
