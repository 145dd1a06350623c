#!/usr/bin/env python3
"""A release published again with the same content, name and version succeeds with the same report, adds
nothing to the log, leaves what is there as it was signed and makes again what is missing. Other content, or
another key, is a conflict."""

import json, os, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home

COMPANION = "manifest.json manifest.json.minisig provenance.json publisher.pub receipt.tlog-proof".split()
INSIDE = "model.sig hallmark.chunks hallmark.tensors".split()


def create(h, folder, *more, key="k", version="1", status=0):
    args = ("--name", "a/m", "--version", version, "--key", key, "--quiet", "--json", *more)
    r = h.run("release", "create", folder, *args, status=status)
    return json.loads(r.stdout) if status == 0 else r.stderr.decode()


def times(h):
    at = [h.dir / "m" / n for n in INSIDE] + [h.dir / "m.hallmark" / n for n in COMPANION]
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in at}


def size(h):
    return h.json("audit", "verify")["size"]


with Home() as h:
    h.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
    h.run("key", "new", "--name", "other", "--models", "*/*", "--quiet")
    model = h.dir / "m"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "weights.gguf").write_bytes(b"GGUF" + bytes(5 << 20))
    first = create(h, model)
    assert first["existing"] is False, first
    same = dict(first, existing=True)
    before, entries = times(h), size(h)

    assert create(h, model) == same
    assert times(h) == before, "nothing was missing, and something was written"
    assert create(h, model, "--dry-run") == dict(same, dry_run=True)

    # What is missing or damaged comes back, and what is not stays.
    for name in INSIDE + COMPANION:
        path = (model if name in INSIDE else h.dir / "m.hallmark") / name
        path.unlink()
        assert create(h, model) == same, name
        assert path.exists() and h.json("release", "verify", model)["ok"], name
        for p, (content, _) in times(h).items():
            made = p == path or p.name == "receipt.tlog-proof"  # a later proof is as good
            assert made or content == before[p][0], (name, p)
        before = times(h)
    shutil.rmtree(h.dir / "m.hallmark")
    (h.dir / "m.hallmark").mkdir()
    (h.dir / "m.hallmark/manifest.json").write_text("damaged")
    assert create(h, model) == same
    assert h.json("release", "verify", model)["ok"]

    # A package that was not made the first time.
    package = h.dir / "m.tar"
    assert create(h, model, "--package", package) == dict(same, package=str(package))
    assert h.json("release", "verify", package)["root"] == first["root"]

    # The folder as it is today would be signed in other words: a leftover, another name.
    (model / ".DS_Store").write_text("x")
    again = create(h, model)
    assert (again["root"], again["manifest"]) == (first["root"], first["manifest"]), again
    (model / ".DS_Store").unlink()
    checkout = h.dir / "build-4711"
    shutil.copytree(model, checkout, ignore=shutil.ignore_patterns(*INSIDE, ".DS_Store"))
    again = create(h, checkout)
    assert (again["root"], again["manifest"]) == (first["root"], first["manifest"]), again
    assert h.json("release", "verify", checkout)["ok"]
    assert size(h) == entries, "the log grew"

    # What is no repetition is a conflict, and harms nothing.
    assert "signed by k" in create(h, model, key="other", status=6)
    (checkout / "config.json").write_text("{ }")
    assert "other content" in create(h, checkout, status=6)
    assert h.json("release", "verify", model)["ok"]

    # A crash between: the next opening completes it, and so does the next run.
    for step in ("publish.hashed", "publish.moved", "publish.receipt"):
        (h.dir / "m.hallmark/receipt.tlog-proof").unlink()
        (model / "model.sig").unlink()
        (h.dir / "m.hallmark/manifest.json").unlink()
        args = ("release", "create", model, "--name", "a/m", "--version", "1", "--key", "k")
        h.run(*args, status=-9, env=h.env(HALLMARK_CRASH_AT=step))
        create(h, model)
        assert h.json("release", "verify", model)["ok"], step
        assert not (h.dir / "m.hallmark.part").exists()
