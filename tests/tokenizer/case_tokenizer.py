#!/usr/bin/env python3
"""Tokenizers in the shapes of the open-weights families, judged by the tokenizers library: small merges are
trained here, and random texts must get the library's ids and decoded text. Characters are those of Unicode
3.2, about which no two versions of the tables differ."""

# peer: tokenizers

import json, os, random, subprocess, sys, tempfile, unicodedata

try:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
except ImportError:
    print("skipped: no tokenizers in Python")
    sys.exit(77)

TEXTS = 120
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000"
PARTS = [
    "Hello", " world", "don't", "'S", "'\u017f", "It'LL", "\n\n", "\r\n", " \n \n", "   ",
    "123", "1234567", "3.14", "x=1;", "if (a[i] != NULL) {", "    return 0;\n", "<s>", "<tool>",
    "<|im_start|>", "<0x41>", "▁", "▁▁", "你好", "世界", "，。", "日本語", "ひらがな", "カタカナー", "한국어",
    "مرحبا", "שלום", "नमस्ते", "ไทย", "é", "e\u0301", "ﬁ", "\u212b", "👩\u200d👧", "😀", "𠀀",
    "...", "#tag", "²", "½", "Ⅷ", "٣٤", "\u200b", "\ufffd", "_a_b", "the", "other", "word",
    "words", "İ", "ǅ", "ß", "“q”", "–", "$5", "\ufeff", "\u180e", "ⓐ", "b",
]
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CASED = r"[^\r\n\p{L}\p{N}]?[%s]*[%s]+{c}|[^\r\n\p{L}\p{N}]?[%s]+[%s]*{c}" % (UPPER, LOWER, UPPER, LOWER)
NOT_HAN = CASED.replace(r"\p{M}]", r"\p{M}&&[^\p{Han}]]")
REGEXES = {
    "llama-3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL,
    "qwen": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL,
    "o200k": CASED.replace("{c}", CONTRACTIONS + "?")
    + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+",
    "tekken": CASED.replace("{c}", "") + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "kimi": r"[\p{Han}]+|" + NOT_HAN.replace("{c}", CONTRACTIONS + "?") + r"|\p{N}{1,3}|" + TAIL,
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "grouped-digits": r"\d{1,3}(?=(?:\d{3})*\b)",
    "before-groups": r"(?=(\d{3})+(?!\d))",
    "words": r"\w+|[^\w\s]+",
    "classes": r"[[:alpha:]&&[^a-m]]+|[^\W\d]|[[:punct:]]",
}
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
]
BEHAVIOURS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def characters(kind):
    return [c for c in map(chr, range(1, 0x30000)) if unicodedata.ucd_3_2_0.category(c)[0] in kind]


LETTERS, MARKS, OTHERS = characters("L"), characters("M"), characters("NPSZ")


def text(r):
    if r.random() < 0.1:
        return r.choice(["a", " ", "\n", "0", "!", "你", "▁", "😀", "\r\n", "'"]) * r.randrange(0, 60)
    out = []
    for _ in range(r.randrange(1, 14)):
        out.append(
            r.choice(PARTS) if r.random() < 0.6 else r.choice(r.choice([LETTERS, MARKS, OTHERS, WHITE]))
        )
        out.append(" " if r.random() < 0.3 else "")
    return "".join(out)


def train(texts, pre, special):
    t = Tokenizer(models.BPE())
    if pre:
        t.pre_tokenizer = pre
    alphabet = pre_tokenizers.ByteLevel.alphabet() if pre else []
    t.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1500,
            initial_alphabet=alphabet,
            limit_alphabet=400,
            max_token_length=6,
            show_progress=False,
            special_tokens=special,
        ),
    )
    return json.loads(t.to_str())["model"]


def sequence(key, *members):
    return {"type": "Sequence", key: list(members)}


def split(regex, behaviour="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behaviour, "invert": invert}


def replace(a, b):
    return {"type": "Replace", "pattern": {"String": a}, "content": b}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def tokenizer(model, normalizer, pre, decoder, tokens, **more):
    high, added = len(model["vocab"]), []
    for content, flags in tokens:
        row = {
            "id": model["vocab"].get(content, high),
            "content": content,
            "single_word": "w" in flags,
            "lstrip": "l" in flags,
            "rstrip": "r" in flags,
            "normalized": "n" in flags,
            "special": "s" in flags,
        }
        high += content not in model["vocab"]
        added.append(row)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda a: a["id"]),
        "normalizer": normalizer,
        "pre_tokenizer": pre,
        "post_processor": None,
        "decoder": decoder,
        "model": dict(model, **more),
    }


def families(r):
    samples = [text(r) for _ in range(1500)]
    special = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    level = train(samples, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), [])
    spaced = train([s.replace(" ", "▁") for s in samples], None, special)
    chat = [("<s>", "s"), ("<|im_start|>", "s"), ("<tool>", ""), ("word", "w"), ("  ", "n"), ("the", "wlr")]
    bytes_back = [replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    fallback = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    for name, regex in REGEXES.items():
        for i, b in enumerate(BEHAVIOURS if name == "words" else BEHAVIOURS[:1]):
            yield f"{name} {b}", tokenizer(
                level,
                {"type": "NFC"},
                sequence("pretokenizers", split(regex, b, i % 2 == 1), byte_level()),
                byte_level(),
                chat,
                ignore_merges=name == "llama-3",
            )
    yield "deepseek-v3", tokenizer(
        level,
        sequence("normalizers"),
        sequence("pretokenizers", *map(split, DEEPSEEK), byte_level()),
        byte_level(),
        chat,
    )
    for prefix in (False, True):
        yield f"gpt-neox {prefix}", tokenizer(
            level, {"type": "NFKC"}, byte_level(prefix, True), byte_level(), chat
        )
    for kind in (
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "WhitespaceSplit"},
        {"type": "Whitespace"},
    ):
        yield kind["type"], tokenizer(
            level,
            {"type": "Lowercase"},
            sequence("pretokenizers", kind, byte_level(True, True)),
            byte_level(),
            chat,
        )
    prepend = sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"))
    yield "llama-2", tokenizer(
        spaced, prepend, None, sequence("decoders", *bytes_back, strip), chat[:2], **fallback
    )
    yield "gemma", tokenizer(
        spaced,
        replace(" ", "▁"),
        {"type": "Split", "pattern": {"String": " "}, "invert": False, "behavior": "MergedWithPrevious"},
        sequence("decoders", *bytes_back),
        chat[:3],
        **fallback,
    )
    for scheme in ("always", "never", "first"):
        meta = {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": scheme,
            "split": scheme != "first",
        }
        yield f"metaspace {scheme}", tokenizer(
            spaced,
            {"type": "Strip", "strip_left": True, "strip_right": False},
            meta,
            meta,
            chat[:3],
            unk_token="<unk>",
            fuse_unk=scheme == "first",
        )


def main():
    r, texts, wrong, count = random.Random(5), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, t in families(r):
            reference, cases = Tokenizer.from_str(json.dumps(t)), []
            for _ in range(TEXTS):
                s = text(r)
                ids = reference.encode(s, add_special_tokens=False).ids
                cases.append(
                    {"text": s, "ids": ids, "decoded": reference.decode(ids, skip_special_tokens=False)}
                )
            for file, lines in (("tokenizer.json", [t]), ("cases", cases)):
                with open(f"{folder}/{file}", "w", encoding="utf-8") as f:
                    f.writelines(json.dumps(line) + "\n" for line in lines)
            run = subprocess.run(
                [
                    os.environ["BUILD"] + "/hallmark",
                    "selftest",
                    "--tokenizer",
                    folder + "/tokenizer.json",
                    "--cases",
                    folder + "/cases",
                    "--dump",
                    folder,
                    "--json",
                ],
                capture_output=True,
            )
            try:
                with open(folder + "/tokenizer.jsonl", encoding="utf-8") as f:
                    got = [json.loads(line) for line in f]
                os.remove(folder + "/tokenizer.jsonl")
            except FileNotFoundError:
                sys.exit(f"{name}: {run.stderr.decode()}")
            bad = [
                c
                for c, g in zip(cases, got, strict=True)
                if (c["ids"], c["decoded"]) != (g["ids"], g["decoded"])
            ]
            texts, wrong, count = texts + len(cases), wrong + len(bad), count + 1
            if bad:
                print(f"{name}: {len(bad)} differ, such as {bad[0]['text']!r}")
    print(f"{texts} texts, {count} tokenizers, {wrong} wrong")
    if wrong or count < 25:
        sys.exit(1)


main()
