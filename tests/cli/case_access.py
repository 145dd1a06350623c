#!/usr/bin/env python3
"""Tokens at a live server: made and revoked while it serves, bound to scopes and models, limited, metered;
what of a token reaches the log and the disk; a receipt is its asker's."""

import csv, http.client, io, json, os, pathlib, stat, subprocess, sys, time

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, POLICY, Server


def make(h, name, *options, role="user"):
    made = h.json("token", "new", "--name", name, "--role", role, *options, "--quiet")
    return made["secret"], made


def ask(s, token=None, path="/v1/chat/completions", method="POST", key=False, **fields):
    """Status, headers in lower case, document."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers.update({"x-api-key": token} if key else {"Authorization": f"Bearer {token}"})
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, **fields}
    c = http.client.HTTPConnection(s.address, timeout=60)
    c.request(method, path, json.dumps(body) if method == "POST" else None, headers)
    r = c.getresponse()
    text = r.read()
    c.close()
    document = json.loads(text) if r.getheader("Content-Type") == "application/json" else text.decode()
    return r.status, {k.lower(): v for k, v in r.getheaders()}, document


def tokens_come_and_go(h, s):
    assert ask(s)[0] == 401
    assert ask(s, "hm_" + "A" * 43)[0] == 401
    secret, made = make(h, "app")
    assert len(secret) == 46 and made["id"].startswith("tok_"), made
    for key in (False, True):
        assert ask(s, secret, key=key)[0] == 200
    h.run("token", "new", "--name", "app", "--role", "user", status=6)  # the name is taken
    told = ask(s, "x")[2], ask(s)[2], ask(s, secret[:-1])[2]
    h.run("token", "revoke", "app", "--reason", "test")
    after = ask(s, secret)
    assert after[0] == 401 and after[1]["www-authenticate"] == "Bearer", after
    assert all(t == after[2] for t in told), "which of them it was is not told"
    again = h.json("token", "revoke", made["id"], "--reason", "test")
    assert again["index"] is None, again
    expired, _ = make(h, "short", "--expires", time.strftime("%FT%TZ", time.gmtime(time.time() + 3)))
    assert ask(s, expired)[0] == 200
    time.sleep(3.2)
    assert ask(s, expired)[0] == 401
    return secret


def what_a_token_may(h, s):
    chat, _ = make(h, "chat", "--scopes", "chat", "--models", "m")
    text, _ = make(h, "text", "--scopes", "completions")
    other, _ = make(h, "other", "--models", "x,y")
    bound, _ = make(h, "bound", "--policy", "fernbank-demo")
    elsewhere, _ = make(h, "elsewhere", "--policy", "another")
    auditor, _ = make(h, "auditor", role="auditor")
    names = {m["id"] for m in ask(s, chat, "/v1/models", "GET")[2]["data"]}
    assert names == {"m"}, names
    assert ask(s, other, "/v1/models", "GET")[2]["data"] == []
    assert ask(s, chat)[0] == 200 and ask(s, bound)[0] == 200
    for token, path in ((text, 0), (other, 0), (elsewhere, 0), (auditor, 0), (auditor, "/v1/models")):
        status, _, d = ask(s, token, path or "/v1/chat/completions", "GET" if path else "POST")
        assert status == 403 and d["error"]["type"] == "permission_error", (status, d)
    # a model that is not here looks as one that is not for it
    here, not_here = (ask(s, other, model=m) for m in ("m", "n"))
    assert here[0] == not_here[0] == 403, (here, not_here)
    assert ask(s, chat, model="n")[0] == 403 and ask(s, bound, model="n")[0] == 403
    free, _ = make(h, "free")
    assert ask(s, free, model="n")[0] == 404
    # what is empty or 0 would stand for all, and nobody means that
    words = [(o, "") for o in ("--scopes", "--models", "--policy")]
    for option, value in [*words, *((o, 0) for o in ("--budget", "--streams", "--tokens-per-day"))]:
        told = h.run("token", "new", "--name", "none", "--role", "user", option, value, status=2)
        assert b"leave it out" in told.stderr or b"at least 1" in told.stderr, told.stderr


def long_stream(s, secret):
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True,
            "max_tokens": 1500, "ignore_eos": True, "temperature": 1, "n": 2}
    c.request("POST", "/v1/chat/completions", json.dumps(body),
              {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"})
    return c.getresponse()


def answers_end_with_their_token(h, s, used):
    """What runs when a budget is used up, or a token revoked, ends there and says why."""
    few, _ = make(h, "ends", "--budget", used + 40)
    running = [long_stream(s, few) for _ in range(4)]
    texts = [r.read().decode() if r.status == 200 else "budget" for r in running]
    assert all("budget" in t and "[DONE]" not in t for t in texts), [t[-300:] for t in texts]
    drawn = {t["name"]: t for t in h.json("token", "list")["tokens"]}["ends"]["used_tokens"]
    assert drawn <= used + 40 + 4 * (used + 8), drawn  # what was under way in each
    gone, _ = make(h, "gone")
    r = long_stream(s, gone)
    assert r.read1(200)
    h.run("token", "revoke", "gone", "--reason", "test")
    text = r.read().decode()
    assert "revoked" in text and "[DONE]" not in text, text[-300:]


def limits(h, s):
    few, _ = make(h, "few", "--requests-per-minute", 3)
    for i in range(4):
        status, headers, d = ask(s, few)
        assert headers["x-ratelimit-limit-requests"] == "3", headers
        assert status == (429 if i == 3 else 200), (i, status, d)
    assert d["error"]["code"] == "rate_limit_exceeded", d
    assert 1 <= int(headers["retry-after"]) <= 20, headers
    size, _ = make(h, "size")
    usage = ask(s, size)[2]["usage"]
    used = usage["prompt_tokens"] + usage["completion_tokens"]
    budget, made = make(h, "budget", "--budget", used)
    assert ask(s, budget)[0] == 200
    status, headers, d = ask(s, budget)
    assert status == 429 and "budget" in d["error"]["message"], (status, d)
    assert headers["x-should-retry"] == "false" and int(headers["retry-after"]) > 0, headers
    day, _ = make(h, "day", "--tokens-per-day", used)
    assert [ask(s, day)[0] for _ in range(2)] == [200, 429]
    answers_end_with_their_token(h, s, used)
    # a stream that is cut short counts what was drawn
    cut, made = make(h, "cut", "--streams", 1)
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True,
            "max_tokens": 1500, "ignore_eos": True, "temperature": 1}
    c.request("POST", "/v1/chat/completions", json.dumps(body),
              {"Content-Type": "application/json", "Authorization": f"Bearer {cut}"})
    r = c.getresponse()
    assert r.status == 200
    assert r.read1(200)
    assert ask(s, cut)[0] == 429, "one at once"
    r.close()
    c.close()
    for _ in range(100):
        time.sleep(0.1)
        if ask(s, cut)[0] == 200:
            break
    else:
        raise SystemExit("the place of a stream that was cut short did not come back")
    time.sleep(2.5)  # usage is durable within two seconds
    rows = list(csv.DictReader(io.StringIO(h.run("token", "usage", "--csv").stdout.decode())))
    of = {name: [x for x in rows if x["name"] == name] for name in ("few", "budget", "cut")}
    assert sum(int(x["requests"]) for x in of["few"]) == 3, of
    assert sum(int(x["refused"]) for x in of["few"]) == 1, of
    total = sum(int(x["prompt_tokens"]) + int(x["completion_tokens"]) for x in of["budget"])
    assert total == used, (total, used)
    assert sum(int(x["completion_tokens"]) for x in of["cut"]) > 4, of["cut"]
    assert {x["model"] for x in of["budget"]} == {"m", ""}, of["budget"]
    listed = {t["name"]: t for t in h.json("token", "list")["tokens"]}
    assert listed["budget"]["used_tokens"] == used, listed["budget"]
    tomorrow = time.strftime("%F", time.gmtime(time.time() + 86400))
    assert h.json("token", "usage", "--from", tomorrow)["usage"] == []
    return budget


def receipts(h, s):
    """Of one's own answers, by their ids, and by any name for an auditor; a stranger counts in vain."""
    one, _ = make(h, "one")
    two, _ = make(h, "two")
    auditor, _ = make(h, "reader", role="auditor")
    status, headers, d = ask(s, one)
    assert status == 200
    path, counted = "/v1/receipts/" + d["id"], "/v1/receipts/" + headers["hallmark-record"]
    bare = path[: path.rindex("-")]
    for token in (one, two, auditor):
        assert ask(s, token, path, "GET")[0] == 200, "who holds the id has the right"
    assert ask(s, one, counted, "GET")[0] == ask(s, auditor, counted, "GET")[0] == 200
    worker, n = headers["hallmark-record"].split("/")
    missing = ask(s, two, f"/v1/receipts/{worker}/{int(n) + 1000}", "GET")
    for it in (counted, bare, path[:-1] + ("0" if path[-1] != "0" else "1")):
        status, _, told = ask(s, two, it, "GET")
        assert (status, told) == (missing[0], missing[2]) and status == 404, (it, status, told)
    assert ask(s, None, path, "GET")[0] == 401


def the_log_says_it_and_has_no_secret(h, secret):
    entries = h.json("audit", "list", "--count", 1000)["entries"]
    access = [e["index"] for e in entries if e["entry"]["type"] == "access"]
    shown = [h.json("audit", "show", i, "--disclose")["disclosed"]["fields"] for i in access]
    fields = [{f["name"]: f["value"] for f in one} for one in shown]
    assert all(list(f) == ["actor", "action", "token", "roles", "quotas", "reason"] for f in fields), fields
    assert all(f["actor"].startswith("handle:") for f in fields)
    of_app = [(f["action"], f["reason"]) for f in fields if f["token"]["name"] == "app"]
    assert of_app == [("new", None), ("revoke", "test")], of_app
    assert {"requests_per_minute": 3} in [f["quotas"] for f in fields]
    for path in h.state.rglob("*"):
        if path.is_file():
            assert secret[3:].encode() not in path.read_bytes(), path
    assert h.json("audit", "verify")["ok"]


def files_of_secrets(h):
    out = h.dir / "secret"
    h.run("token", "new", "--name", "filed", "--role", "user", "--out", out, "--quiet")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text().startswith("hm_") and out.read_text().endswith("\n")
    before = len(h.json("token", "list")["tokens"])
    h.run("token", "new", "--name", "filed2", "--role", "user", "--out", out, status=6)
    h.run("token", "new", "--name", "filed2", "--role", "user", "--out", h.dir / "no/such", status=5)
    assert len(h.json("token", "list")["tokens"]) == before, "nothing was made"
    listed = h.dir / "tokens"
    listed.write_text("ci user 0123456789012345678901234567890123456789 # a comment\n")
    listed.chmod(0o644)
    serve = ("serve", MODEL, "--unsigned", "--listen", "127.0.0.1:0", "--token-file", listed)
    told = h.run(*serve, status=1).stderr.decode()
    assert f"chmod 600 {listed}" in told and "0123456789" not in told, told
    listed.chmod(0o600)
    with Server(h, MODEL, "--unsigned", "--token-file", listed) as s:
        assert ask(s)[0] == 401
        assert ask(s, "0123456789012345678901234567890123456789")[0] == 200


def who_may_be_let_in(h):
    """Beyond loopback, never without a token."""
    serve = ("serve", MODEL, "--unsigned", "--listen")
    with Home() as fresh:
        for more in ((), ("--auth", "none"), ("--auth", "tokens")):
            told = fresh.run(*serve, "http://0.0.0.0:0", *more, status=4).stderr.decode()
            assert "token" in told, told
        fresh.run(*serve, "127.0.0.1:0", "--auth", "some", status=2)
        with Server(fresh, MODEL, "--unsigned") as s:
            assert ask(s)[0] == 200  # as ever, on loopback
            secret, _ = make(fresh, "first")
            assert ask(s, secret)[0] == 200 and ask(s)[0] == 200
        with Server(fresh, MODEL, "--unsigned") as s:
            assert ask(s)[0] == 401  # one was made
        fresh.run("token", "revoke", "first", "--reason", "over")
        with Server(fresh, MODEL, "--unsigned") as s:
            assert ask(s)[0] == 401, "revoking the last one opens nothing"
        told = fresh.run(*serve, "http://0.0.0.0:0", status=4).stderr.decode()
        assert "token new" in told, told
        with Server(fresh, MODEL, "--unsigned", "--auth", "none") as s:
            assert ask(s)[0] == 200
        with Server(fresh, MODEL, "--unsigned", "--auth", "none", "--address-requests-per-minute", "2") as s:
            assert [ask(s)[0] for _ in range(3)] == [200, 200, 429]


with Home() as h:
    with Server(h, MODEL, "--policy", POLICY, "--unsigned", "--auth", "tokens") as s:
        secret = tokens_come_and_go(h, s)
        what_a_token_may(h, s)
        receipts(h, s)
        budget = limits(h, s)
    with Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
        assert ask(s, budget)[0] == 429, "the next process knows what was used"
    the_log_says_it_and_has_no_secret(h, secret)
    files_of_secrets(h)
    who_may_be_let_in(h)
