#!/usr/bin/env python3
"""A server whose storage fails says so and answers nobody; once the storage is well again it answers, without
having been started anew."""

import http.client, json, os, sys, time

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server


def ask(server, method, path, body=None):
    c = http.client.HTTPConnection(server.address, timeout=60)
    c.request(method, path, body, {"Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, dict(r.getheaders()), r.read()


def chat(server, stream):
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    return ask(server, "POST", "/v1/chat/completions", json.dumps(dict(body, stream=stream)))


def until_refused(server, stream):
    """The records of answers that the journal still takes: the database cannot follow, and then nothing is
    taken."""
    records, end = [], time.monotonic() + 60
    while time.monotonic() < end:
        status, _, answer = chat(server, stream)
        if status != 200 or (stream and b"[DONE]" not in answer):
            return records
        lines = answer.replace(b"data: [DONE]", b"").split(b"data: ") if stream else [answer]
        records += [d["hallmark"] for d in map(json.loads, filter(bytes.strip, lines)) if "hallmark" in d]
    raise SystemExit("it goes on without its log")


def until_well(server):
    for _ in range(1200):  # as long as it takes: no answer is timed
        if ask(server, "GET", "/ready")[0] == 200:
            return
        time.sleep(0.1)
    raise SystemExit("the server does not recover")


with Home() as h:
    records = []
    with Server(h, MODEL, "--unsigned") as s:
        assert ask(s, "GET", "/ready")[0] == 200 and chat(s, False)[0] == 200
        for fault in range(2):
            (h.state / "log").rename(h.state / "log.away")
            (h.state / "log").write_text("")
            records += until_refused(s, fault == 1)
            for stream in (False, True):
                status, headers, answer = chat(s, stream)
                assert status == 503 and b"choices" not in answer, (status, answer)
                assert headers["Retry-After"] == "1", headers
            status, headers, answer = ask(s, "GET", "/ready")
            assert status == 503 and headers["Retry-After"] == "1", (status, headers)
            assert ask(s, "GET", "/health")[0] == 200  # it is alive: nothing is mended by a start
            (h.state / "log").unlink()
            (h.state / "log.away").rename(h.state / "log")
            until_well(s)
            for stream in (False, True):
                status, headers, answer = chat(s, stream)
                assert status == 200, answer
        assert s.stop() == 0
    assert h.json("audit", "verify")["ok"]
    for record in records:
        assert h.json("audit", "show", record["index"])["leaf"] == record["leaf"], record
    # Every number that left in a header is a record, or is named as one that has none: those whose files
    # could not be written.
    own = [e["entry"] for e in h.json("audit", "list")["entries"] if e["entry"]["worker"] != "0" * 16]
    numbers = [e["n"] for e in own]
    for first, last in own[-1]["body"]["missing"]:
        numbers += range(first, last + 1)
    assert own[-1]["type"] == "stop" and sorted(numbers) == list(range(len(numbers))), numbers
