#!/usr/bin/env python3
"""Honest numbers that are nobody's: how many of each class a pack touches.
   filters_false.py BINARY [COUNT [PACK...]]

Generates COUNT values of each class (100,000), from a fixed seed, each alone in a sentence of its class, and
prints the share of texts in which `policy scan` finds anything, by class and pack."""

import json, random, subprocess, sys, tempfile, uuid

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/hallmark"
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 100000
PACKS = sys.argv[3:] or ["packs/pii-eu", "packs/pii-all", "packs/secrets"]
HEX = "0123456789abcdef"


def digits(r, n):
    return str(r.randrange(1, 10)) + "".join(r.choice("0123456789") for _ in range(n - 1))


def hexes(r, n):
    return "".join(r.choice(HEX) for _ in range(n))


def stamp(r):
    y, mo, d = r.randrange(1990, 2036), r.randrange(1, 13), r.randrange(1, 29)
    h, m, s = r.randrange(24), r.randrange(60), r.randrange(60)
    return r.choice(
        [
            f"{y}{mo:02}{d:02}{h:02}{m:02}{s:02}",
            f"{y}{mo:02}{d:02}{h:02}{m:02}",
            f"{y}-{mo:02}-{d:02}T{h:02}:{m:02}:{s:02}Z",
            f"{y}-{mo:02}-{d:02} {h:02}:{m:02}:{s:02}.{r.randrange(1000000):06}",
            f"{y}/{mo:02}/{d:02} {h:02}:{m:02}",
            f"{d:02}.{mo:02}.{y}",
            f"{y}{mo:02}{d:02}",
        ]
    )


def epoch(r):
    at = r.randrange(10**9, 2 * 10**9)
    return r.choice(
        [
            str(at),
            f"{at}.{r.randrange(10**6):06}",
            f"{at}{r.randrange(1000):03}",
            f"{at}{r.randrange(10**6):06}",
        ]
    )


def isbn(r):
    nine = digits(r, 9)
    c = (11 - sum((10 - i) * int(x) for i, x in enumerate(nine)) % 11) % 11
    ten = nine + ("X" if c == 10 else str(c))
    head = "978" + nine
    thirteen = head + str(-sum((1, 3)[i % 2] * int(x) for i, x in enumerate(head)) % 10)
    return r.choice(
        [
            ten,
            thirteen,
            f"{ten[0]}-{ten[1:4]}-{ten[4:9]}-{ten[9]}",
            f"{head[:3]}-{nine[0]}-{nine[1:5]}-{nine[5:9]}-{thirteen[12]}",
        ]
    )


def price(r):
    whole, cents = r.randrange(1, 10**9), r.randrange(100)
    return r.choice(
        [
            f"{whole:,}.{cents:02}",
            f"{whole:,}".replace(",", ".") + f",{cents:02}",
            f"{whole:,}".replace(",", " ") + f",{cents:02}",
        ]
    )


def version(r):
    major, minor, patch = r.randrange(31), r.randrange(100), r.choice([r.randrange(30), r.randrange(1000)])
    build = r.choice([r.randrange(10), r.randrange(256), r.randrange(30000)])
    return f"{major}.{minor}.{patch}.{build}"


def table(r):
    n, wide = r.randrange(5, 12), r.choice([9, 99, 999, 9999])
    return r.choice([" ", ", ", "\t", " | ", ","]).join(str(r.randrange(wide + 1)) for _ in range(n))


def floats(r):
    return r.choice([", ", " ", "\n"]).join(
        repr(r.uniform(-1, 1) * 10 ** r.randrange(0, 4)) for _ in range(3)
    )


def identifier(r):
    return f"{r.choice(['tmp', 'v', 'job', 'img', 'obj'])}_{digits(r, r.randrange(6, 17))}"


CLASSES = {
    "order numbers, 8 digits": ("Your order {} has shipped.", lambda r: digits(r, 8)),
    "order numbers, 10 digits": ("Your order {} has shipped.", lambda r: digits(r, 10)),
    "11 digits, no word": ("The value {} came back.", lambda r: digits(r, 11)),
    "11 digits, alone": ("{}", lambda r: digits(r, 11)),
    "order numbers, 11 digits": ("Order {} is late.", lambda r: digits(r, 11)),
    "12 digits, no word": ("The value {} came back.", lambda r: digits(r, 12)),
    "13 digits, no word": ("The value {} came back.", lambda r: digits(r, 13)),
    "16 digits, no word": ("The value {} came back.", lambda r: digits(r, 16)),
    "versions a.b.c.d": ("Upgrade to version {} first.", version),
    "versions, no word": ("It says {} here.", version),
    "versions, alone": ("{}", version),
    "date and time stamps": ("Backup of {} is complete.", stamp),
    "epoch stamps": ("ts={} level=info", epoch),
    "git and trace ids, 16 to 40 hex": ("commit {} on main", lambda r: hexes(r, r.choice([16, 20, 32, 40]))),
    "SHA-256": ("sha256:{}", lambda r: hexes(r, 64)),
    "UUIDs": ("id = {}", lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))),
    "prices": ("Total {} EUR", price),
    "ISBNs": ("ISBN {}, second edition", isbn),
    "rows of integers": ("{}", table),
    "floats": ("x = [{}]", floats),
    "coordinates": ("at {}", lambda r: f"{r.uniform(-90, 90):.6f}, {r.uniform(-180, 180):.6f}"),
    "identifiers in code": ("let {} = load();", identifier),
    "part numbers": ("Part no. {} fits.", lambda r: f"{digits(r, 3)}-{digits(r, 3)}-{digits(r, 4)}"),
    "serial numbers": (
        "Serial {} on the back",
        lambda r: r.choice("ABCDEFGHKLMNPRSTUVWXYZ") + digits(r, r.randrange(7, 10)),
    ),
    "base64": (
        "data {} end",
        lambda r: "".join(
            r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") for _ in range(64)
        ),
    ),
}


def scan(pack, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(f'[policy]\nname = "false"\nversion = 1\nmode = "enforce"\nextends = ["{pack}"]\n')
        f.flush()
        lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
        out = subprocess.run(
            [BINARY, "policy", "scan", "--policy", f.name, "--json"],
            input=lines.encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    return [json.loads(line) for line in out.stdout.splitlines()]


def main():
    print(f"| {COUNT:,} texts each | " + " | ".join(PACKS) + " | the most frequent |")
    print("|---|" + "---|" * (len(PACKS) + 1))
    for name, (frame, value) in CLASSES.items():
        r = random.Random(name)
        texts = [frame.format(value(r)) for _ in range(COUNT)]
        cells, rules = [], {}
        for pack in PACKS:
            found = scan(pack, texts)
            cells.append(f"{100 * sum(bool(x['findings']) for x in found) / COUNT:.3f} %")
            for x in found:
                for rule in {f["rule"] for f in x["findings"]}:
                    rules[rule] = rules.get(rule, 0) + 1
        most = ", ".join(f"{k} {v}" for k, v in sorted(rules.items(), key=lambda x: -x[1])[:3])
        print(f"| {name} | " + " | ".join(cells) + f" | {most} |", flush=True)


main()
