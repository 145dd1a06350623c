#!/usr/bin/env python3
"""Erased, lost, damaged and missing are told apart: by `audit verify`, by the log alone, by a rebuild."""

import os, shutil, sqlite3, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import MODEL, Home


def ask(h):
    return h.json("run", MODEL, "hello", "--unsigned", "--quiet")["hallmark"]["index"]


def vault(h, sql):
    with sqlite3.connect(h.state / "state.db") as db:
        db.execute(sql)


def problem(h):
    v = h.json("audit", "verify", status=3)
    assert v["problem_count"] == 1 and v["problems"][0]["kind"] == "vault", v
    return v["problems"][0]["detail"]


with Home() as h:
    first, second, third = ask(h), ask(h), ask(h)
    erased = h.json("audit", "erase", first, "--ground", "GDPR17", "--actor", "Jane Roe", "--yes")
    entry = h.json("audit", "show", erased["index"])["entry"]
    assert entry["type"] == "erasure" and entry["body"]["ground"] == "request", entry
    assert entry["body"]["ranges"] == [[first, first]] and entry["body"]["records"] == 1, entry
    assert entry["body"]["actor"].startswith("handle:"), entry
    told = h.json("audit", "show", erased["operator"], "--disclose")["disclosed"]["fields"]
    told = {f["name"]: f["value"] for f in told}
    assert told["actor"] == "Jane Roe" and told["reason"] == "GDPR17", told
    h.run("audit", "erase", first, "--ground", "court", "--actor", "dpo", "--yes", status=5)
    for path in h.state.rglob("*"):
        assert path.is_dir() or b"Jane Roe" not in path.read_bytes(), path

    why = f"record {first} was erased by entry {erased['index']}"
    assert why in h.run("audit", "show", first, "--disclose", status=5).stderr.decode()
    assert why in h.run("audit", "replay", first, status=5).stderr.decode()
    v = h.json("audit", "verify")
    assert v["ok"] and v["erased_count"] == 1 and v["lost"] == [], v
    assert v["erased"][0]["detail"] == f"erased by entry {erased['index']}", v

    shutil.copytree(h.state, h.dir / "kept")
    vault(h, f"UPDATE vault SET cipher = zeroblob(99) WHERE idx = {second}")
    assert "damaged" in problem(h)
    vault(h, f"DELETE FROM vault WHERE idx = {second}")
    assert f"entry {second}" in problem(h) and "missing" in problem(h)
    vault(h, "DELETE FROM vault")
    told = h.run("audit", "show", third, "--disclose", status=5).stderr.decode()
    assert "no entry says why" in told, told
    assert h.json("audit", "verify", status=3)["problem_count"] == 3  # two answers, one operator
    shutil.rmtree(h.state)
    (h.dir / "kept").rename(h.state)

    for f in h.state.glob("*.db*"):
        f.unlink()
    again = h.json("registry", "rebuild")
    gone = {g["index"]: (g["gone"], g.get("by")) for g in again["undisclosable_entries"]}
    assert gone[first] == ("erased", erased["index"]), gone
    assert gone[second] == gone[third] == gone[erased["operator"]] == ("lost", None), gone
    assert (again["erased"], again["lost"], again["undisclosable"]) == (1, 3, 4), again
    assert why in h.run("audit", "show", first, "--disclose", status=5).stderr.decode()
    told = h.run("audit", "show", second, "--disclose", status=5).stderr.decode()
    assert f"record {second} is lost" in told, told
    for published in (False, True):
        v = h.json("audit", "verify")
        assert v["ok"] and v["erased_count"] == 1 and v["lost_count"] == 3, v
        assert published or v["remarks"][0]["kind"] == "head", v
        h.run("key", "new", "--name", "k", "--quiet", status=None)
    assert v["lost"][0]["first"] == second and "states" in v["lost"][0]["detail"], v
    vkey = h.run("key", "export", "--log").stdout.decode().strip()
    away = h.json("audit", "verify", h.state / "log", "--vkey", vkey)
    assert away["ok"] and away["erased_count"] == 1 and len(away["lost"]) == 1, away
    fourth = ask(h)
    vault(h, "DELETE FROM vault")
    assert f"entry {fourth}" in problem(h)
