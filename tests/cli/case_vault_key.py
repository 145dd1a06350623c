#!/usr/bin/env python3
"""The vault has a key of its own: it can be replaced, wrapped in a passphrase, and lost with a word of it."""

import os, shutil, stat, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import MODEL, Home


def left(h):
    """The files of the vault's key, and of a new one on its way."""
    return sorted(p.name for p in (h.state / "keys").rglob("vault*"))


with Home() as h:
    index = h.json("run", MODEL, "hello", "--unsigned", "--quiet")["hallmark"]["index"]
    key = h.state / "keys/vault.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and left(h) == ["vault.key", "vault.pub"]
    disclosed = h.run("audit", "show", index, "--disclose").stdout
    assert b"hello" in disclosed
    assert b"vault" not in h.run("key", "list").stdout
    h.run("key", "new", "--name", "vault", status=6)

    first = key.read_bytes()
    made = h.json("audit", "rewrap")
    assert key.read_bytes() != first and left(h) == ["vault.key", "vault.pub"], left(h)
    entry = h.json("audit", "show", made["index"])["entry"]
    assert entry["body"] == {"event": "rewrap", "name": "vault", "kek": made["key"]}, entry
    assert h.run("audit", "show", index, "--disclose").stdout == disclosed
    assert h.json("audit", "verify")["ok"]

    # Killed between wrapping and putting the key in place: the next command goes on.
    crash = h.run("audit", "rewrap", status=None, env=h.env(HALLMARK_CRASH_AT="audit.rewrapped:1"))
    assert crash.returncode != 0 and len(left(h)) == 4, (crash, left(h))
    assert h.run("audit", "show", index, "--disclose").stdout == disclosed
    h.run("registry", "init")
    assert left(h) == ["vault.key", "vault.pub"], left(h)
    assert h.run("audit", "show", index, "--disclose").stdout == disclosed

    # In a passphrase.
    secret = h.dir / "secret"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    h.run("audit", "rewrap", "--passphrase-file", secret)
    told = h.run("audit", "show", index, "--disclose", status=1).stderr.decode()
    assert "vault.key" in told, told
    assert h.run("audit", "show", index, "--disclose", "--passphrase-file", secret).stdout == disclosed
    assert h.json("audit", "verify")["ok"]
    assert h.run("key", "new", "--name", "k", "--quiet", status=None).returncode != 0
    h.run("key", "new", "--name", "k", "--quiet", "--passphrase-file", secret)

    # Lost: reading goes on, but for what it opens; writing says what to do.
    kept = h.dir / "kept"
    kept.mkdir()
    for name in left(h):
        shutil.move(h.state / "keys" / name, kept / name)
    assert h.json("audit", "verify")["ok"]
    h.run("audit", "show", index, "--disclose", status=1)
    told = h.run("key", "new", "--name", "k2", status=5).stderr.decode()
    assert "put it and vault.pub back" in told and left(h) == [], told
    shutil.copy(kept / "vault.key", key)
    shutil.copy(kept / "vault.pub", h.state / "keys/vault.pub")
    assert h.run("audit", "show", index, "--disclose", "--passphrase-file", secret).stdout == disclosed

    # Given up, as the sentence says; the public half may be left.
    key.unlink()
    told = h.run("key", "new", "--name", "k2", status=5).stderr.decode()
    assert "move state.db and keys.db away" in told and left(h) == ["vault.pub"], told
    for f in h.state.glob("*.db*"):
        f.unlink()
    assert h.json("registry", "rebuild")["lost"] == 1
    again = h.json("run", MODEL, "hello", "--unsigned", "--quiet")["hallmark"]["index"]
    assert b"hello" in h.run("audit", "show", again, "--disclose").stdout
    assert h.json("audit", "verify")["ok"]
