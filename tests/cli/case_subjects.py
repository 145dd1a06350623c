#!/usr/bin/env python3
"""The person who asks: named by a field that the operator trusts, recorded by a handle, erased as one."""

import http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


def ask(s, *names):
    """Status, and index of the record."""
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = json.dumps(BODY).encode()
    c.putrequest("POST", "/v1/chat/completions")
    for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
        c.putheader(name, value)
    for name in names:
        c.putheader("X-Forwarded-User", name)
    c.endheaders(body)
    r = c.getresponse()
    answer = json.loads(r.read())
    return r.status, answer.get("hallmark", answer.get("error"))


def subject(h, index):
    fields = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
    return next(f["value"] for f in fields if f["name"] == "subject")


def holding(folder, needle):
    """Files that hold these bytes."""
    return [p for p in folder.rglob("*") if p.is_file() and needle in p.read_bytes()]


with Home() as h:
    h.run("registry", "init", "--quiet")
    for bad in ("Host", "Authorization", "a b", "x:y", ""):
        r = h.run("serve", MODEL, "--unsigned", "--subject-header", bad, status=None)
        assert r.returncode != 0 and (b"person" in r.stderr or b"subject-header" in r.stderr), (bad, r)
    with Server(h, MODEL, "--unsigned") as s:  # not configured: the field means nothing
        assert subject(h, ask(s, "alice@bank.example")[1]["index"]) is None
    with Server(h, MODEL, "--unsigned", "--subject-header", "x-forwarded-user") as s:
        alice = [ask(s, "alice@bank.example")[1]["index"] for _ in range(3)]
        bob = ask(s, "Böb".encode().decode("latin-1"))[1]["index"]
        nobody = ask(s)[1]["index"]
        status, error = ask(s, "alice", "bob")  # two names: whose would it be?
        assert status == 400 and "x-forwarded-user" in error["message"], error
        status, error = ask(s, "a" * 300)
        assert status == 400, error
        names = {subject(h, i) for i in alice}
        assert len(names) == 1 and names != {None} and subject(h, nobody) is None
        assert subject(h, bob) not in names | {None}
        assert not holding(h.state, b"alice@bank.example"), "a name lies in the state folder"
        # Beside the server: how much there is, then it goes, and later requests are kept anew.
        found = h.json("audit", "erase", "--subject", "alice@bank.example", "--dry-run")
        assert found == found | {"records": 3, "subject": names.copy().pop()}, found
        erase = ("audit", "erase", "--ground", "request", "--actor", "dpo", "--yes", "--subject")
        report = h.json(*erase, "alice@bank.example")
        assert report["records"] == 3, report
        for i in alice:
            h.run("audit", "show", i, "--disclose", status=5)
            assert h.json("audit", "show", i)["entry"]["type"] == "decision"
        assert subject(h, bob)
        h.run(*erase, "alice@bank.example", status=5)
        later = ask(s, "alice@bank.example")[1]["index"]
        assert subject(h, later) in names
        handle = names.pop()
        assert h.json(*erase, handle)["records"] == 1  # the handle names the person too
    # A person has a rate of their own, whatever tokens they come with; whoever has none is not counted.
    limit = ("--subject-header", "x-forwarded-user", "--person-requests-per-minute", "2")
    with Server(h, MODEL, "--unsigned", *limit) as s:
        assert [ask(s, "carol")[0] for _ in range(3)] == [200, 200, 429]
        assert [ask(s, "dave")[0] for _ in range(2)] == [200, 200]
        assert [ask(s)[0] for _ in range(3)] == [200, 200, 200]
        status, error = ask(s, "carol")
        assert status == 429 and error["code"] == "rate_limit_exceeded", error
        assert "of a person" in error["message"] and "carol" not in error["message"], error
    entries = h.json("audit", "list", "--first", report["index"], "--count", 1)["entries"]
    assert entries[0]["entry"]["body"]["records"] == 3, entries
    verdict = h.json("audit", "verify")
    assert verdict["ok"] and verdict["erased_count"] >= 1, verdict
    h.run("audit", "erase", "--subject", "x", "--ground", "request", "--actor", "dpo", status=2)
    h.run("audit", "erase", 1, "--subject", "x", "--dry-run", status=2)
    h.run("audit", "erase", 1, "--dry-run", status=2)
