#!/usr/bin/env python3
"""Parts of a state folder put back to an earlier time, or removed: audit verify says which is older than the
others remember it, and calls another history wrong."""

import os, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import MODEL, Home

LOG = "log/ is an old copy, or the copy was made while the log was written"
KEYS = "keys.db is an old copy, or has seen no log"
GONE = "keys.db is missing"
OTHER = "the log is not a continuation of the checkpoint that keys.db has seen"
CASES = [  # what is put back, or removed (-); status and finding of kind keys
    ("", 0, None),
    ("log state.db", 0, LOG),
    ("log", 0, LOG),
    ("keys.db", 0, KEYS),
    ("log keys.db", 0, KEYS),
    ("-keys.db", 0, GONE),
    ("log state.db keys.db", 0, None),  # what only witnesses can find
]


def copy(source, target):
    if target.is_dir():
        shutil.rmtree(target)
    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def found(h, home, status):
    v = h.json("audit", "verify", "--home", home, status=status)
    return [f["detail"] for f in v["problems"] + v["remarks"] if f["kind"] == "keys"]


with Home() as h:
    h.run("key", "new", "--name", "k", "--quiet")
    answer = ("run", MODEL, "hello", "--unsigned", "--quiet")
    h.run(*answer)
    old, at = h.dir / "old", h.dir / "at"
    copy(h.state, old)
    h.run(*answer)
    for parts, status, wanted in CASES:
        copy(h.state, at)
        for part in parts.split():
            if part[0] == "-":
                (at / part[1:]).unlink()
            else:
                copy(old / part, at / part)
        details = found(h, at, status)
        assert len(details) == (wanted is not None) and (not wanted or wanted in details[0]), (parts, details)

    # The same key signed two histories.
    h.run(*answer, "--home", old)
    h.run("registry", "init", "--home", old)
    h.run(*answer, "--home", old)
    copy(h.state / "keys.db", old / "keys.db")
    details = found(h, old, 3)
    assert any(OTHER in d for d in details), details
