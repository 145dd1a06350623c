#!/usr/bin/env python3
"""Normalizers, judged by the tokenizers library over every code point alone, all pairs and triples of the
Hangul blocks that may compose, every first part of a composition with every second one and every mark, and
random sequences of what composes and reorders. A tokenizer of bytes shows what a normalizer made."""
# peer: tokenizers

import itertools, json, os, random, subprocess, sys, tempfile, unicodedata

try:
    from tokenizers import normalizers, pre_tokenizers
except ImportError:
    print("skipped: no tokenizers in Python")
    sys.exit(77)

BAR = "|"  # between sequences: composes with nothing
JOINED = 500
FORMS = "NFC", "NFD", "NFKC", "NFKD"
# Cased in Unicode 16 and 17, which Python's tables may not have yet.
NEWER = [0x1C89, *range(0xA7CB, 0xA7DD), *range(0x10D50, 0x10D66), *range(0x16EA0, 0x16EB9)]
ALL = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and chr(c) != BAR]


def sequences(r):
    marks = [c for c in ALL if unicodedata.combining(c)]
    decomposing = [c for c in ALL if unicodedata.decomposition(c)]
    pairs = [unicodedata.decomposition(c).split() for c in decomposing]
    pairs = [p for p in pairs if len(p) == 2 and p[0][0] != "<"]
    first, second = ([chr(int(c, 16)) for c in sorted({p[i] for p in pairs})] for i in (0, 1))
    jamo = [chr(c) for c in [*range(0x1100, 0x1200), *range(0xA960, 0xA97D), *range(0xD7B0, 0xD7FC)]]
    syllables = [chr(0xAC00 + 28 * i) for i in range(399)] + r.sample(
        [chr(c) for c in range(0xAC00, 0xD7A4)], 200
    )
    vowels, ends = map(chr, range(0x1160, 0x1200)), "\u11a6\u11a7\u11a8\u11c2\u11c3\u1161\u0301\u3099\u302e"
    yield from itertools.product(jamo, jamo)
    yield from itertools.product(syllables, map(chr, range(0x119E, 0x11C8)))
    yield from itertools.product("\u1100\u1112\u1113\u115f\uac00\uac01\ud7a3", vowels, ends)
    yield from itertools.product(first, second + marks)
    yield from itertools.product("a", marks[::5], marks[::2])
    kinds = [sorted({*first, *second, *decomposing, *marks, *jamo}), marks, second, jamo, syllables, ALL]
    for _ in range(100000):
        yield [r.choice(r.choices(kinds, (30, 25, 15, 10, 5, 15))[0]) for _ in range(r.randrange(2, 8))]


def tokenizer(form):
    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": form},
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    }


def made(folder, form, texts):
    for file, lines in (
        ("tokenizer.json", [tokenizer(form)]),
        ("cases", [{"text": s, "ids": [], "decoded": ""} for s in texts]),
    ):
        with open(f"{folder}/{file}", "w", encoding="utf-8") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)
    command = f"--tokenizer {folder}/tokenizer.json --cases {folder}/cases --dump {folder} --json"
    run = subprocess.run(
        [os.environ["BUILD"] + "/hallmark", "selftest", *command.split()], capture_output=True
    )
    try:
        with open(folder + "/tokenizer.jsonl", encoding="utf-8") as f:
            got = [json.loads(line)["decoded"] for line in f]
        os.remove(folder + "/tokenizer.jsonl")
    except FileNotFoundError:
        sys.exit(f"{form}: {run.stderr.decode()}")
    return got


def differ(folder, form, parts):
    texts = [BAR.join(parts[i : i + JOINED]) for i in range(0, len(parts), JOINED)]
    reference, bad = getattr(normalizers, form)(), []
    for i, (got, text) in enumerate(zip(made(folder, form, texts), texts, strict=True)):
        want = reference.normalize_str(text)
        if got != want:
            rows = zip(parts[i * JOINED :], got.split(BAR), want.split(BAR), strict=False)
            bad += [row for row in rows if row[1] != row[2]] or [(text, got, want)]
    for row in bad[:5]:
        print(form, *(" ".join(f"{ord(c):04X}" for c in s) for s in row), sep=": ")
    return len(bad)


def main():
    composed = ["".join(s) for s in sequences(random.Random(7))]
    composed = ALL + [s for s in composed if BAR not in s]
    cased = [c for c in ALL if unicodedata.category(c) != "Cn"] + [chr(c) for c in NEWER]
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum(differ(folder, form, composed) for form in FORMS) + differ(folder, "Lowercase", cased)
    print(f"{len(composed)} sequences in {len(FORMS)} forms, {len(cased)} in lower case, {wrong} wrong")
    if wrong or len(composed) < 1300000:
        sys.exit(1)


main()
