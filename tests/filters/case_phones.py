#!/usr/bin/env python3
"""Telephone numbers of 51 countries as another library writes them: all types, in each of its formats and
without separators; alone, in neutral sentences and behind words for telephones. At least 95 in 100 of each
must be found whole, but for digits alone, of which eleven need a word."""

# peer: phonenumbers

import json, os, subprocess, sys, tempfile

try:
    import phonenumbers
except ImportError:
    print("skipped: no phonenumbers in Python")
    sys.exit(77)

EU = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()
FURTHER = "US CA GB CH NO IS AU NZ CN HK JP KR IN SG AE BR MX ZA TR NG ID UA RU IL".split()
FRAMES = ["{}", "My number is {}.", "Contact: {}", "Tel. {}", "Please call {} today."]
FORMATS = phonenumbers.PhoneNumberFormat
POLICY = """[policy]
name = "phones"
version = 1
mode = "enforce"
[[rule]]
id = "phone"
phase = ["input", "output"]
match = { detector = "phone", context = "alone" }
action = "redact"
tests.hit = ["+44 7700 900963", "phone 4155550170", "(617) 555-0116"]
tests.miss = ["order 4155550170", "5500 8991 4330 1467", "ISBN 978-3-16-148410-0"]
"""


def examples(country):
    kinds = [v for k, v in vars(phonenumbers.PhoneNumberType).items() if isinstance(v, int)]
    for kind in kinds:
        number = phonenumbers.example_number_for_type(country, kind)
        if number:
            yield number


def written(number, form):
    national = phonenumbers.format_number(number, FORMATS.NATIONAL)
    world = phonenumbers.format_number(number, FORMATS.INTERNATIONAL)
    text = {"national": national, "+": world, "00": "00" + world[1:]}[form[0]]
    return "".join(c for c in text if c.isdigit() or c == "+") if form[1] else text


def scan(texts):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(POLICY)
        f.flush()
        lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
        binary = os.environ.get("BUILD", "build") + "/hallmark"
        command = [binary, "policy", "scan", "--policy", f.name, "--json"]
        out = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["findings"] for line in out.stdout.splitlines()]


def main():
    failed = False
    for name, countries in ("member states", EU), ("further countries", FURTHER):
        for form in [(f, bare) for f in ("national", "00", "+") for bare in (False, True)]:
            numbers = sorted({(c, written(n, form)) for c in countries for n in examples(c)})
            for frame in FRAMES:
                texts = [frame.format(v) for _, v in numbers]
                bad = []
                for (country, v), text, found in zip(numbers, texts, scan(texts)):
                    start = len(text[: text.index(v)].encode())
                    if [(a["start"], a["end"]) for a in found] != [(start, start + len(v.encode()))]:
                        bad.append((country, v))
                share = 1 - len(bad) / len(numbers)
                what = f"{name}, {form[0]}{', digits only' if form[1] else ''}, {frame!r}"
                print(f"{what}: {100 * share:.1f} % of {len(numbers)}; not {bad[:4]}")
                # Eleven digits alone are more often no telephone number: they need a word.
                failed |= share < (0.9 if form == ("national", True) and frame == "{}" else 0.95)
    return failed


sys.exit(main())
