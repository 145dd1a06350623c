#!/usr/bin/env python3
"""Operators of a live server: policies replaced under running streams, by request, signal and watched file;
bad ones refused; stop, pause and drain with their records and latencies; two models behind one listener."""

import http.client, json, os, pathlib, signal, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, Server, ServerEnded, TOP

STREAMS = 64
RULE = """[policy]
name = "p"
version = {version}
mode = "enforce"
jurisdiction = ["EU"]
retention_days = 1
[[rule]]
id = "vowel"
severity = "high"
phase = ["output"]
match = {{ literals = ["e"], fold = "case" }}
action = "redact"
replace = "{word}"
tests.hit = ["e", "hey", "we."]
tests.miss = ["zzz", "quux", "{miss}"]
"""


def write(path, version, word, miss="plugh", more=""):
    """As an editor that replaces the file does."""
    new = path.with_suffix(".new")
    new.write_text(RULE.format(version=version, word=word, miss=miss) + more)
    os.replace(new, path)


class Stream(threading.Thread):
    """A stream that would go on for long: its text, its record, the error at its end."""

    def __init__(self, s, model="m", tokens=400):
        super().__init__()
        self.s, self.model, self.tokens = s, model, tokens
        self.text, self.error, self.record, self.status, self.done = "", None, None, None, False
        self.begun, self.last = threading.Event(), 0
        self.start()

    def run(self):
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Tell me all about your bank."}],
            "stream": True,
            "max_tokens": self.tokens,
            "ignore_eos": True,
            "temperature": 0,
        }
        c = http.client.HTTPConnection(self.s.address, timeout=120)
        c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        r = c.getresponse()
        self.status, self.record = r.status, r.getheader("Hallmark-Record")
        if r.status != 200:
            self.error = json.loads(r.read())["error"]
            self.begun.set()
            return
        for line in r:
            if line.startswith(b"data: [DONE]"):
                self.done = True
            elif line.startswith(b"data: "):
                chunk = json.loads(line[6:])
                if "error" in chunk:
                    self.error = chunk["error"]
                for choice in chunk.get("choices", []):
                    self.last = time.monotonic()
                    self.text += choice["delta"].get("content") or ""
                    if len(self.text) > 20:
                        self.begun.set()
        self.begun.set()


def shim(folder):
    """The library that makes a disk fail while a file is there."""
    out = folder / "faults.so"
    flags = ["-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", out]
    subprocess.run(["gcc", *flags, TOP / "tests/soak/faults.c", "-ldl"], check=True)
    return out


def begin(s, n=1, **more):
    out = [Stream(s, **more) for _ in range(n)]
    for x in out:
        assert x.begun.wait(60), "a stream does not begin"
        assert x.status == 200, x.error
    return out


def entries(h):
    return h.json("audit", "list", "--count", 100000)["entries"]


def of_type(h, kind):
    return [e["index"] for e in entries(h) if e["entry"]["type"] == kind]


def body(h, index):
    return h.json("audit", "show", index)["entry"]["body"]


def fields(h, index):
    shown = h.json("audit", "show", index, "--disclose")
    return {f["name"]: f["value"] for f in shown["disclosed"]["fields"]}, shown["entry"]


def decision(h, record):
    worker, n = record.split("/")
    where = [e["index"] for e in entries(h) if (e["entry"]["worker"], e["entry"]["n"]) == (worker, int(n))]
    assert where, f"no record {record}"
    return fields(h, where[0])


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.1)


def status(h):
    return h.json("serve", "status")


def digest(h, model=0):
    return status(h)["models"][model]["policy"]["digest"]


def policies(h):
    """Replaced under a stream; refused; by signal; watched."""
    policy = h.dir / "p.toml"
    write(policy, 1, "<1>")
    with Server(h, MODEL, "--unsigned", "--policy", policy, "--watch") as s:
        first = digest(h)
        old, = begin(s)
        write(policy, 2, "<2>")
        report = h.json("serve", "reload", "--as", "dpo", "--reason", "new names")
        assert report["ok"] and report["policies"][0]["result"] in ("replaced", "unchanged"), report
        said = fields(h, report["record"])[0]
        assert said["action"] == "reload" and "dpo" in said["actor"] and said["reason"] == "new names", said
        second = digest(h)
        assert second != first
        new, = begin(s)
        old.join(), new.join()
        assert "<1>" in old.text and "<2>" not in old.text, old.text
        assert "<2>" in new.text and "<1>" not in new.text, new.text
        assert decision(h, old.record)[0]["policy_bundle"] == first
        assert decision(h, new.record)[0]["policy_bundle"] == second
        assert decision(h, new.record)[0]["ended"] is None

        # bad ones: nothing changes, and it says why
        bad = {
            "syntax": (dict(more="nonsense = [\n"), 1, "line"),
            "tests": (dict(miss="we"), 4, "tests fail"),
            "version": (dict(version=1), 4, "version 2 was logged"),
        }
        for name, (change, code, why) in bad.items():
            write(policy, **{**dict(version=3, word="<3>"), **change})
            r = h.run("serve", "reload", status=code)
            assert why in r.stderr.decode(), (name, r.stderr)
        policy.unlink()
        assert b"p.toml" in h.run("serve", "reload", status=1).stderr
        assert digest(h) == second and status(h)["reload"]["ok"] is False
        refused = [body(h, i) for i in of_type(h, "bundle")]
        refused = [b for b in refused if b["event"] == "refuse"]
        assert len(refused) >= 4 and all(b["reason"] and b["in_force"] == second for b in refused), refused
        assert s.chat("Hi", max_tokens=3)[0] == 200

        # by signal
        write(policy, 4, "<4>")
        s.process.send_signal(signal.SIGHUP)
        wait_for(lambda: digest(h) != second)
        # the file alone
        third = digest(h)
        time.sleep(2.5)
        write(policy, 5, "<5>")
        wait_for(lambda: digest(h) != third)
        events = [body(h, i)["event"] for i in of_type(h, "bundle")]
        assert events[0] == "load" and events.count("replace") == 3, events
        log = pathlib.Path(s.log.name).read_text()
        assert "nothing has changed" in log and "version 5" in log, log
    h.run("audit", "verify")


def stopped(h, results):
    """64 streams are cut: how soon, and what their records say."""
    with Server(h, MODEL, "--unsigned", "--request-log", "none") as s:
        streams = begin(s, STREAMS, tokens=1500)
        asked = time.monotonic()
        report = h.json("serve", "stop", "--reason", "drill", "--as", "duty officer")
        assert s.process.wait(timeout=30) == 0
        for x in streams:
            x.join()
            assert not x.done and x.error and x.error["code"] == "stopped_by_operator", x.error
            assert "stopped by an operator" in x.error["message"]
        assert report["ran"] == STREAMS and report["left"] == 0, report
        assert report["last_token_us"] is not None and 0 <= report["latency_us"] < 2000000, report
        results["latency_ms"] = report["latency_us"] / 1000
        results["seen_ms"] = (max(x.last for x in streams) - asked) * 1000
    f, _ = fields(h, report["record"])
    assert f["action"] == "stop" and f["reason"] == "drill", f
    assert f["actor"].startswith("duty officer, by ") and "uid" in f["actor"], f
    assert f["last_token_us"] == report["last_token_us"], f
    for x in streams[:3]:
        f, entry = decision(h, x.record)
        assert entry["outcome"] == "aborted", entry
        assert f["ended"] == {"by": "operator", "reason": "drill"}, f["ended"]
    h.run("audit", "verify")


def paused(h):
    with Server(h, MODEL, "--unsigned") as s:
        running, = begin(s)
        h.run("serve", "pause", "--reason", "review", "--as", "dpo")
        code, head, answer = s.chat("Hi", max_tokens=3)
        assert code == 503 and "Retry-After" in head, answer
        assert answer["error"]["code"] == "paused_by_operator", answer
        running.join()
        assert running.done, running.error
        assert status(h)["models"][0]["state"] == "paused"
        h.run("serve", "resume", "--reason", "done")
        assert s.chat("Hi", max_tokens=3)[0] == 200
        actions = [fields(h, i)[0]["action"] for i in of_type(h, "operator")]
        assert actions[-2:] == ["pause", "resume"], actions
        # what is no order
        assert h.run("serve", "pause", status=2).stderr
        assert b"no model" in h.run("serve", "stop", "--reason", "r", "--model", "x", status=5).stderr
        # a second server on the same home
        try:
            Server(h, MODEL, "--unsigned", "--wait", "1")
            raise SystemExit("two servers on one home")
        except ServerEnded as e:
            assert e.status == 6, e
        assert status(h)["models"][0]["state"] == "serving"


def drained(h):
    with Server(h, MODEL, "--unsigned") as s:
        running, = begin(s)
        report = h.json("serve", "drain", "--reason", "update", "--wait-answers", 60)
        running.join()
        assert running.done and report["left"] == 0, (running.error, report)
        assert s.process.wait(timeout=30) == 0
    # SIGTERM waits, and the second does not
    with Server(h, MODEL, "--unsigned", "--drain-timeout", "60") as s:
        running, = begin(s)
        s.process.terminate()
        running.join()
        assert running.done and s.process.wait(timeout=30) == 0
    with Server(h, MODEL, "--unsigned", "--drain-timeout", "60") as s:
        running = begin(s, 8, tokens=1500)
        s.process.terminate()
        time.sleep(0.3)
        s.process.terminate()
        assert s.process.wait(timeout=20) == 0
        for x in running:
            x.join()
            assert x.done or x.error, "cut off without a word"
    assert b"no server answers" in h.run("serve", "status", status=7).stderr
    h.run("audit", "verify")


def unrecorded(h):
    """A stop stops where its record cannot be written."""
    fault = h.dir / "fault"
    env = h.env(LD_PRELOAD=str(shim(h.dir)), FAULTS=str(fault), FAULTS_UNDER=str(h.state))
    with Server(h, MODEL, "--unsigned", env=env) as s:
        streams = begin(s, 4, tokens=1500)
        fault.write_text("full")
        r = h.run("serve", "stop", "--reason", "drill", status=1)
        assert b"could not be recorded" in r.stderr, r.stderr
        for x in streams:
            x.join()
            assert not x.done and x.error, x.text
        s.process.wait(timeout=60)
        fault.unlink()
    h.run("audit", "verify")


def early(h):
    """Before it serves: a hang-up is no end, an end is at once."""
    p = subprocess.Popen([HALLMARK, "serve", str(MODEL), "--unsigned", "--listen", "127.0.0.1:0", "--quiet"],
                         env=h.env(), stderr=subprocess.PIPE)
    time.sleep(0.02)
    p.terminate()
    assert p.wait(timeout=5) in (-signal.SIGTERM, 0)
    with Server(h, MODEL, "--unsigned") as s:
        s.process.send_signal(signal.SIGHUP)
        assert s.chat("Hi", max_tokens=3)[0] == 200


def several(h):
    """Two names, two answers, a policy each."""
    policy = h.dir / "second.toml"
    write(policy, 1, "<2nd>")
    none = h.dir / "first.toml"
    write(none, 1, "<1st>")
    with Server(h, f"{MODEL}", f"{MODEL}", "--unsigned", "--policy", f"{none},{policy}", name="a,b") as s:
        ids = [m["id"] for m in json.loads(s.get("/v1/models")[1])["data"]]
        assert ids == ["a", "b"], ids
        text = {}
        for name in ids:
            code, _, answer = s.chat("Tell me all about it.", model=name, max_tokens=40, ignore_eos=True)
            assert code == 200 and answer["model"] == name, answer
            text[name] = answer["choices"][0]["message"]["content"]
        assert "<1st>" in text["a"] and "<2nd>" in text["b"], text
        code, _, answer = s.chat("Hi", model="c")
        assert code == 404 and '"a", "b"' in answer["error"]["message"], answer
        h.run("serve", "pause", "--model", "a", "--reason", "r")
        assert s.chat("Hi", model="a", max_tokens=3)[0] == 503
        assert s.chat("Hi", model="b", max_tokens=3)[0] == 200
        running, = begin(s, model="b", tokens=1500)
        report = h.json("serve", "stop", "--model", "b", "--reason", "r")
        running.join()
        assert running.error["code"] == "stopped_by_operator" and report["models"] == ["b"], report
        h.run("serve", "resume", "--reason", "r")
        assert s.chat("Hi", model="b", max_tokens=3)[0] == 200
    for wrong in (["a=x", "b=y", "--name", "a,b"], [str(MODEL), str(MODEL), "--name", "a"]):
        h.run("serve", *wrong, "--unsigned", "--listen", "127.0.0.1:0", status=2)
    r = h.run("serve", f"a={MODEL}", f"a={MODEL}", "--unsigned", "--listen", "127.0.0.1:0", status=6)
    assert b"two models are called" in r.stderr, r.stderr


results = {}
for part in (policies, lambda h: stopped(h, results), paused, drained, unrecorded, early, several):
    with Home() as home:
        home.run("registry", "init", "--quiet")
        part(home)
print(
    f"operators: {STREAMS} streams stopped, the last token sent {results['latency_ms']:.1f} ms after the "
    f"server was asked, and seen {results['seen_ms']:.0f} ms after the command began"
)
