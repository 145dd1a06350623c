"""Kinds of numbers beside python-stdnum, an independent witness: random values of each kind, half of them
made valid where the witness can say so, through `hallmark policy scan`. Every verdict must be the witness's,
in both directions, but for the conditions that a table gives with their reasons. SAMPLES: values a kind."""

import calendar, importlib, json, os, pathlib, random, subprocess, sys, tempfile

try:
    import stdnum  # noqa: F401
except ImportError:
    print("skipped: no stdnum in Python")
    sys.exit(77)

HALLMARK = pathlib.Path(os.environ["BUILD"]) / "hallmark"
SAMPLES = int(os.environ.get("SAMPLES", "1000"))
R = random.Random(20261130)


def fill(form):
    """# a digit, @ a letter, d a date as ddmmyy, y as yymmdd, % as yyyymmdd, [..] one of these."""
    out, i = "", 0
    day, month, year = R.randint(1, 31), R.randint(1, 12), R.randint(1900, 2026)
    while i < len(form):
        c = form[i]
        if c == "#":
            c = R.choice("0123456789")
        elif c == "!":
            c = R.choice("0123456789ABCDEFHJKLMNPRSTUVWXY")
        elif c == "@":
            c = R.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        elif c == "[":
            end = form.index("]", i)
            c, i = R.choice(form[i + 1 : end]), end
        elif c == "d":
            c = f"{day:02}{month:02}{year % 100:02}"
        elif c == "m":  # month of a birth number: plus 50, 20 or 70
            c = f"{year % 100:02}{month + R.choice((0, 20, 40, 50, 60, 70, 80)):02}{day:02}"
        elif c == "y":
            c = f"{year % 100:02}{month:02}{day:02}"
        elif c == "%":
            c = f"{year}{month:02}{day:02}"
        elif c == "j":  # the three digits of a year as in the citizen numbers
            c = f"{day:02}{month:02}{year % 1000:03}"
        out, i = out + c, i + 1
    return out


def witness(names):
    modules = [importlib.import_module("stdnum." + n) for n in names.split()]
    return lambda v: any(m.is_valid(v) for m in modules)


def date(year, month, day):
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 2000, month)[1]


def two(v, i):
    return int(v[i : i + 2])


class K:
    """A kind: a word of it, modules of the witness, forms, how many of the last digits are searched for a
    value that the witness takes, what we ask beyond the witness, what we take beyond it, why."""

    def __init__(self, kind, word, modules, forms, fix=0, only=None, besides=lambda v: False, why=""):
        self.kind, self.word, self.forms, self.fix, self.why = kind, word, forms.split(), fix, why
        self.accepts, self.only, self.besides = witness(modules), only or (lambda v: True), besides

    def wanted(self, v):
        return self.accepts(v) and self.only(v) or self.besides(v)


def values(k):
    """Half as they fall, half with the last digits searched until the witness takes them."""
    out = []
    for i in range(SAMPLES):
        v = fill(R.choice(k.forms))
        if i % 2 and k.fix and v[-k.fix :].isdigit():
            tries = [v[: -k.fix] + f"{n:0{k.fix}}" for n in range(10**k.fix)]
            R.shuffle(tries)
            v = next((t for t in tries if k.accepts(t)), v)
        out.append(v)
    return out


POLICY = """[policy]
name = "witness"
version = 1
mode = "shadow"

[[rule]]
id = "k"
phase = ["output"]
match = {{ detector = "{}" }}
action = "redact"
"""


def touched(kind, texts):
    """Which texts the kind changes."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as policy:
        policy.write(POLICY.format(kind))
        policy.flush()
        lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
        command = [HALLMARK, "policy", "scan", "--policy", policy.name, "--json"]
        done = subprocess.run(command, input=lines, text=True, capture_output=True, check=True)
    return [bool(json.loads(line)["findings"]) for line in done.stdout.splitlines()]


def compare(table):
    wrong = valid = 0
    for k in table:
        texts = values(k)
        want = [k.wanted(v) for v in texts]
        got = touched(k.kind, [f"{k.word} {v}" for v in texts])
        for v, a, b in zip(texts, want, got, strict=True):
            if a != b:
                print(f"{k.kind} {v}: the witness {'takes' if a else 'refuses'} it, hallmark does not agree")
                wrong += 1
        if not any(want) or all(want):
            print(f"{k.kind}: the values show one side only")
            wrong += 1
        valid += sum(want)
    print(f"{len(table)} kinds, {len(table) * SAMPLES} values, {valid} valid, {wrong} differences")
    sys.exit(wrong != 0)

