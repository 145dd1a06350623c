#!/usr/bin/env python3
"""The log's name is chosen once; it stays in a copied home and after a rebuild."""

import os, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home

NAME = "log.acme.example/prod"

with Home() as h:
    for bad in ["https://log.acme.example", "log.acme/", "a b", "", "/x", "a//b", "-a", "a.", "x" * 200]:
        h.run("registry", "init", "--origin", bad, status=2)
        assert not h.state.exists(), bad
    made = h.json("registry", "init", "--origin", NAME)
    assert made["ok"] and made["origin"] == NAME, made
    assert (h.state / "log/checkpoint").read_text().startswith(NAME + "\n")
    vkey = h.run("key", "export", "--log").stdout.decode().strip()
    assert vkey.startswith(NAME + "+"), vkey
    h.run("registry", "init", "--origin", NAME)
    refused = h.run("registry", "init", "--origin", "log.acme.example/other", status=6)
    assert NAME in refused.stderr.decode(), refused
    h.run("key", "new", "--name", "k", "--quiet")

    shutil.copytree(h.state, h.dir / "copy")
    copied = h.json("audit", "verify", "--home", h.dir / "copy")
    assert copied["ok"] and copied["origin"] == NAME, copied
    away = h.json("audit", "verify", h.dir / "copy/log", "--vkey", vkey)
    assert away["ok"] and away["size"] == copied["size"], away

    for f in h.state.glob("*.db*"):
        f.unlink()
    h.run("registry", "rebuild")
    h.run("key", "new", "--name", "k2", "--quiet")
    again = h.json("audit", "verify")
    assert again["ok"] and again["origin"] == NAME and again["size"] > copied["size"], again

with Home() as h:
    made = h.json("registry", "init")
    assert made["origin"].startswith("hallmark.local/") and len(made["origin"]) == 31, made
    h.run("registry", "init", "--origin", NAME, status=6)
