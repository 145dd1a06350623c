#!/usr/bin/env python3
"""The log of a server that runs, in place and copied, and after kill -9: nothing is wrong, and a remark says
what there is to know."""

import os, shutil, sqlite3, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import MODEL, Home, Server


def worker(v):
    """The verdict is good, with one remark, of the worker that has not ended."""
    assert v["ok"] and v["problem_count"] == 0, v
    remarks = [r for r in v["remarks"] if r["kind"] == "worker"]
    assert len(remarks) == 1 and "it may be running, or it was killed" in remarks[0]["detail"], v
    return remarks[0]["detail"]


with Home() as h:
    h.run("key", "new", "--name", "acme", "--quiet")
    vkey = h.run("key", "export", "--log").stdout.decode().strip()
    server = Server(h, MODEL, "--unsigned")
    with server:
        assert server.chat("hello")[0] == 200
        worker(h.json("audit", "verify"))
        shutil.copytree(h.state / "log", h.dir / "copy")
        said = worker(h.json("audit", "verify", h.dir / "copy", "--vkey", vkey))
        server.process.kill()
        server.process.wait()
    assert worker(h.json("audit", "verify")) == said
    text = h.run("audit", "verify").stdout.decode()
    assert "it may be running" in text, text

    # The machine stopped before log/ was durable: its newest checkpoint may be torn. Else it is damaged.
    torn, checkpoint = h.dir / "torn", (h.state / "log/checkpoint").read_bytes()
    shutil.copytree(h.state, torn, ignore=shutil.ignore_patterns("door", "admin.sock"))
    for durable, found in ((0, 0), (1 << 40, 3)):
        with sqlite3.connect(torn / "state.db") as db:
            db.execute("UPDATE log_guard SET synced = ?", (durable,))
        db.close()
        for left in (b"", b"\0" * len(checkpoint), checkpoint[:-9]):
            (torn / "log/checkpoint").write_bytes(left)
            h.run("audit", "list", "--home", torn, status=found)
            r = h.run("audit", "verify", "--home", torn, "--json", status=found)
            told = "log/checkpoint is " + ("damaged" if durable else "torn")
            assert told in (r.stderr if durable else r.stdout).decode(), r

    (torn / "log/checkpoint").write_bytes(checkpoint)
    tile = torn / "log/tile/0/000.p" / checkpoint.decode().split("\n")[1]
    hashes = tile.read_bytes()
    for durable, found in ((0, 7), (1 << 40, 3)):
        with sqlite3.connect(torn / "state.db") as db:
            db.execute("UPDATE log_guard SET synced = ?", (durable,))
        db.close()
        for left in (b"", bytes(len(hashes)), hashes[:-9]):
            tile.write_bytes(left)
            for command in ("list", "show", "proof"):
                r = h.run("audit", command, *("1",)[command == "list" :], "--home", torn, status=found)
                assert b"its published tile is damaged" in r.stderr, r
            h.run("audit", "verify", "--home", torn, status=0 if found == 7 else 3)

    h.run("registry", "init")
    v = h.json("audit", "verify")
    assert v["ok"] and v["remarks"] == [], v
    last = h.json("audit", "list", "--first", v["size"] - 1)["entries"][0]["entry"]
    assert last["type"] == "lost" and last["body"]["worker"] in said, last
