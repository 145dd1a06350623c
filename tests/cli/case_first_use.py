#!/usr/bin/env python3
"""Any number of first commands in a home that is not there yet: no home is broken, and whoever got exit 0
has its record. Readers of that moment get an answer that a person can use.   case_first_use.py [LOOPS]"""

import itertools, os, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home

LOOPS = int(sys.argv[1]) if len(sys.argv) > 1 else 6


def first_use(h, count, same, wait):
    """[(name, process)] of `count` first commands at the same moment."""
    return [
        (
            name,
            subprocess.Popen(
                [HALLMARK, "key", "new", "--name", name, "--quiet", "--wait", str(wait)],
                env=h.env(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            ),
        )
        for name in (("k" if same else f"k{i}") for i in range(count))
    ]


def look(h):
    """Readers while it happens: done, or not there yet; nothing else."""
    for command in (["key", "list"], ["audit", "verify"], ["audit", "list"]):
        r = h.run(*command, status=None)
        assert r.returncode in (0, 5), (command, r)
        assert r.returncode == 0 or r.stderr.startswith(b"hallmark: no "), (command, r.stderr)


def check(h, ended):
    verdict = h.json("audit", "verify")
    assert verdict["ok"] and not verdict["problems"], verdict
    entries = [e["entry"] for e in h.json("audit", "list", "--count", "100")["entries"]]
    logged = sorted(e["body"]["name"] for e in entries if e["type"] == "key")
    assert logged == sorted(name for name, status, _ in ended if status == 0), (logged, ended)
    assert [e["type"] for e in entries].count("genesis") == 1, entries
    for name in set(logged):
        h.run("key", "show", name)
    assert not [p for p in (h.state / "keys").iterdir() if ".tmp-" in p.name]
    h.run("key", "new", "--name", "afterwards", "--quiet")


counts = itertools.cycle(range(2, 9))
for loop in range(LOOPS):
    same, wait = loop % 3 == 1, 0 if loop % 3 == 2 else 300
    with Home() as h:
        started = first_use(h, next(counts), same, wait)
        look(h)
        ended = [(n, p.wait(timeout=600), p.stderr.read().decode()) for n, p in started]
        for name, status, text in ended:
            assert status in (0, 6), ended
            assert status == 0 or "exists already" in text or "writes to" in text, ended
        good = [e for e in ended if e[1] == 0]
        assert len(good) == 1 if same else len(good) == len(ended) or wait == 0, ended
        assert good, ended
        check(h, ended)
print(f"{LOOPS} homes, none broken")
