#!/usr/bin/env python3
"""A writer waits for the one before it, and says for whom; many at once all succeed; what a crash left in
the lock's file names nobody."""

import json, os, re, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, tiny_model

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20


def many_at_once(h):
    h.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
    made = [
        subprocess.Popen(
            [
                HALLMARK,
                *("release", "create", tiny_model(h.dir / f"m{i}", i), "--name", f"k/m{i}"),
                *("--version", "1.0.0", "--key", "k", "--wait", "600", "--json", "--quiet"),
            ],
            env=h.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for i in range(COUNT)
    ]
    ended = [(p.communicate(timeout=900), p.returncode) for p in made]
    assert all(status == 0 for _, status in ended), ended
    indexes = {json.loads(out)["index"] for (out, _), _ in ended}
    assert len(indexes) == COUNT, indexes
    for i in range(COUNT):
        assert h.json("release", "verify", h.dir / f"m{i}")["ok"]
    verdict = h.json("audit", "verify")
    assert verdict["ok"] and not verdict["problems"], verdict
    assert len(h.json("registry", "list")["releases"]) == COUNT


def wait_for_one(h):
    chat = subprocess.Popen(
        [HALLMARK, "run", str(MODEL), "--unsigned", "--quiet", "--no-input"],
        env=h.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    chat.stdin.write(b"Hello\n")
    chat.stdin.flush()
    chat.stdout.read(1)
    holder = f"`hallmark run` (process {chat.pid})"
    key = ["key", "new", "--name", "later"]
    r = h.run(*key, "--wait", 0, status=6)
    assert f"{holder} writes to {h.state}" in r.stderr.decode(), r.stderr
    r = h.run(*key, "--wait", 1, status=6)
    text = r.stderr.decode()
    assert f"waiting for {holder}, which writes to {h.state}" in text, text
    assert f"{holder} writes to {h.state}" in text.splitlines()[-1], text
    assert "waiting for" not in h.run(*key, "--wait=1", "--quiet", status=6).stderr.decode()
    h.run("key", "list")  # readers do not wait
    later = subprocess.Popen(
        [HALLMARK, *key, "--wait", "600"], env=h.env(), stderr=subprocess.PIPE, text=True
    )
    said = ""
    while "waiting for" not in said:
        line = later.stderr.readline()
        assert line, said
        said += line
    chat.stdin.close()
    assert chat.wait(timeout=300) == 0
    assert later.wait(timeout=300) == 0, later.stderr.read()
    assert h.json("audit", "verify")["ok"]


def stale_holder(h):
    lock = h.state / "log/lock"
    assert lock.read_bytes() == b"", lock.read_bytes()
    chat = subprocess.Popen(
        [HALLMARK, "run", str(MODEL), "--unsigned", "--quiet", "--no-input"],
        env=h.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    chat.stdin.write(b"Hello\n")
    chat.stdin.flush()
    chat.stdout.read(1)
    written = lock.read_bytes()
    assert re.fullmatch(rb"%d \d+ run\n" % chat.pid, written), written
    started = int(written.split()[1])
    for stale in (
        b"%d %d serve\n" % (chat.pid, started + 1),  # another process had this number
        b"999999999 5 serve\n",
        b"%d %d \x1b[31mserve\n" % (chat.pid, started),
        b"",
        b"x" * 5000,
    ):
        lock.write_bytes(stale)
        text = h.run("key", "new", "--name", "n", "--wait", 0, status=6).stderr.decode()
        assert f"another process writes to {h.state}" in text, (stale, text)
    chat.kill()
    chat.wait()
    lock.write_bytes(written)
    h.run("key", "new", "--name", "n", "--wait", 0, "--quiet")


with Home() as h:
    many_at_once(h)
    wait_for_one(h)
    stale_holder(h)
    for wrong in ("x", "-1", "1.5", "", "86401"):
        h.run("key", "list", f"--wait={wrong}", status=2)
