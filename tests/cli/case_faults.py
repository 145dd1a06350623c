#!/usr/bin/env python3
"""What goes wrong around the product stays honest: storage that fails, folders that changed or went
away, publications that died, cards and keys that are not what they should be."""

import http.client, json, os, shutil, sys, time

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server, flip

RULE = """[policy]
name = "p"
version = 1
mode = "%s"
[[rule]]
id = "r"
phase = ["%s"]
match = { %s }
action = "redact"
tests.hit = ["aa@bb.com", "cc@dd.com", "ee@ff.com"]
tests.miss = ["x", "xx", "xxx"]
"""
KILLED = -9


def create(model, version, *more):
    return (
        ["release", "create", model, "--name", "a/m", "--version", version, "--key", "k"]
        + ["--quiet"]
        + list(more)
    )


with Home() as h:
    # A log that cannot be written answers nobody: no text goes out that has no record.
    model = h.model()
    h.publish(model, "a/m", "1")
    policy = h.dir / "p.toml"
    policy.write_text(RULE % ("enforce", "input", 'detector = "email"'))
    with Server(h, "a/m", "--policy", policy, "--context", "40") as s:
        # What cannot fit is refused before anybody looks at what it holds, and leaves no record.
        flood = s.chat("a@b.com " * 100000)
        assert flood[0] == 400 and "context" in flood[2]["error"]["message"], flood
        short = s.stream("What is an overdraft? Explain.")[1]
        assert short["choices"][0]["finish_reason"] == "length", short
        (h.state / "log").rename(h.state / "log.away")
        (h.state / "log").write_text("")
        # What the journal takes is recorded; the database cannot follow, and then nothing is taken.
        ended, until = [], time.monotonic() + 60
        try:
            while time.monotonic() < until:
                ended.append(s.stream("Hello", max_tokens=2)[1]["hallmark"])
            raise SystemExit("it goes on without its log")
        except (AssertionError, KeyError):  # an error event, no finishing chunk; or 503
            pass
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        for stream in (False, True):
            c = http.client.HTTPConnection(s.address, timeout=60)
            c.request(
                "POST",
                "/v1/chat/completions",
                json.dumps(dict(json.loads(body), stream=stream)),
                {"Content-Type": "application/json"},
            )
            r = c.getresponse()
            assert r.status == 503 and b"choices" not in r.read(), r.status
    (h.state / "log").unlink()
    (h.state / "log.away").rename(h.state / "log")
    h.run("registry", "init", "--quiet")
    for proof in ended:
        assert h.json("audit", "show", proof["index"])["leaf"] == proof["leaf"]
    outcomes = [
        e["entry"].get("outcome")
        for e in h.json("audit", "list")["entries"]
        if e["entry"]["type"] == "decision"
    ]
    assert outcomes[0] == "completed" and "engine_limit" not in outcomes, outcomes
    # The context that was served with is part of what is run again.
    assert h.json("audit", "replay", short["hallmark"]["index"])["equal"]

    # A policy that only watches does not say that it redacted.
    policy.write_text(RULE % ("shadow", "output", 'regex = "[^x]"'))
    watched = h.json("run", MODEL, "Hello", "--unsigned", "--max-tokens", 4, "--policy", policy)
    watched = h.json("audit", "show", watched["hallmark"]["index"])
    assert watched["entry"]["outcome"] == "completed", watched

    # A registered name does not verify, serve or accuse with what another release left there.
    (model / "README.md").write_text("other\n")
    h.run(*create(model, "2"))
    assert not h.json("release", "verify", "a/m@1", status=3)["ok"]
    assert h.json("release", "verify", "a/m@2")["ok"] and h.json("release", "verify", model)["ok"]
    h.run("serve", "a/m@1", "--listen", "127.0.0.1:0", status=3)
    assert h.json("fork", "audit", MODEL)["registered_as"] == ["a/m@1"]
    copy = h.dir / "copy"
    shutil.copytree(MODEL, copy)
    (copy / "README.md").write_text("a third\n")
    audited = h.json("fork", "audit", copy)  # by what is kept of a/m@1, not by what lies there now
    assert [(c["name"], c["compared"]) for c in audited["unavailable"]] == [("a/m@1", True)], audited
    shutil.rmtree(h.state / "cache/sketches")
    audited = h.json("fork", "audit", copy)
    assert [c["name"] for c in audited["candidates"]] == ["a/m@2"], audited
    assert [c["name"] for c in audited["unavailable"]] == ["a/m@1"], audited
    h.run("fork", "audit", copy, "--parent", "a/m@1", status=3)

    # A card cannot hide a finding or stop the audit by not being text.
    fork = h.dir / "fork"
    shutil.copytree(MODEL, fork)
    (fork / "README.md").write_bytes(b"---\nbase_model: x/\xff" + "\u00e9".encode() * 300 + b"\n---\n")
    config = json.loads((fork / "config.json").read_text())
    for pad in (90, 91):
        config["rope_scaling"] = {"rope_type": "a" * pad + "\u00e9" * 40}
        (fork / "config.json").write_text(json.dumps(config, ensure_ascii=False))
        kinds = {f["kind"] for f in h.json("fork", "audit", fork)["findings"]}
        assert {"F-CONFIG", "F-PARENT-UNKNOWN"} <= kinds, (pad, kinds)

    # A signature that cannot be read is a failed verification; where there is none, nothing was checked.
    (fork / "model.sig").write_text("{")
    h.run("serve", fork, "--listen", "127.0.0.1:0", status=3)
    (fork / "model.sig").unlink()
    h.run("serve", fork, "--listen", "127.0.0.1:0", status=5)
    (h.dir / "receipt").write_bytes(h.run("audit", "proof", "1").stdout)
    (h.dir / "empty").write_text("")
    for vkey in ("a+b", h.dir / "empty"):
        h.run("audit", "verify", "--receipt", h.dir / "receipt", "--vkey", vkey, status=1)

    # A chat goes on after a prompt that a rule blocked, and an empty line is not a turn.
    policy.write_text((RULE % ("enforce", "input", 'detector = "email"')).replace("redact", "block"))
    said = h.run(
        *["run", MODEL, "--unsigned", "--policy", policy, "--json"],
        input=b"mail aa@bb.com\n\nWhat is an overdraft?\n",
    ).stdout.splitlines()
    assert [json.loads(x)["finish_reason"] for x in said] == ["content_filter", "stop"], said
    h.run("run", MODEL, "--unsigned", status=1, input=b"\xff\n")
    assert h.json("audit", "verify")["ok"]

with Home() as h:
    # A publication that died before its commit is not completed because its content is known.
    model = h.model()
    h.publish(model, "a/m", "1")
    r = h.run(*create(model, "2"), status=None, env=h.env(HALLMARK_CRASH_AT="publish.staged"))
    assert r.returncode == KILLED
    assert b"undone" in h.run("registry", "init").stderr
    h.run("registry", "show", "a/m@2", status=5)
    # What cannot be finished is refused before it is in the log.
    h.run(*create(model, "2", "--package", h.dir / "no/such/p.tar"), status=5)
    h.run(*create(model, "2", "--package", model / "p.tar"), status=2)
    h.run(*create(model, "2 beta"), status=2)
    shutil.rmtree(h.dir / "model.hallmark")
    (h.dir / "model.hallmark").mkdir()
    (h.dir / "model.hallmark/mine").write_text("precious")
    h.run(*create(model, "2"), status=6)
    assert (h.dir / "model.hallmark/mine").exists()
    shutil.rmtree(h.dir / "model.hallmark")
    # A folder that went away after the commit does not close the state folder.
    r = h.run(*create(model, "2"), status=None, env=h.env(HALLMARK_CRASH_AT="publish.committed"))
    assert r.returncode == KILLED
    shutil.rmtree(model)
    assert b"the folder is gone" in h.run("registry", "init").stderr
    assert h.run("registry", "init").stderr == b""
    # Nor does a package that cannot be written any more.
    model, out = h.model("model2"), h.dir / "out"
    out.mkdir()
    args = create(model, "3", "--package", out / "p.tar")
    r = h.run(*args, status=None, env=h.env(HALLMARK_CRASH_AT="publish.renamed"))
    assert r.returncode == KILLED
    out.rmdir()
    said = h.run("registry", "init").stderr
    assert b"failed" in said and b"completed" in said, said
    assert h.json("release", "verify", "a/m@3")["ok"]
    # A release whose tiles could not be written is not in the log, and is made again.
    model = h.model("model3")
    size = h.json("audit", "verify")["size"]
    in_the_way = h.state / f"log/tile/0/000.p/{size + 2}"  # after the start record
    in_the_way.mkdir()
    assert h.run(*create(model, "4"), status=None).returncode != 0
    in_the_way.rmdir()
    h.run("registry", "show", "a/m@4", status=5)
    h.run(*create(model, "4"))
    assert h.json("release", "verify", "a/m@4")["ok"]

    # The log's key is not made anew for a log that exists.
    for end in ("key", "pub"):
        (h.state / f"keys/log.{end}").rename(h.dir / f"log.{end}")
    h.run("registry", "init", status=5)
    assert not (h.state / "keys/log.key").exists()
    for end in ("key", "pub"):
        (h.dir / f"log.{end}").rename(h.state / f"keys/log.{end}")

    # A trusted key of another kind does not hide the one that signed; a crashed import can be redone.
    with Home() as other:
        for form in ("minisign", "pem"):
            path = h.dir / f"k.{form}"
            path.write_bytes(h.run("key", "export", "k", "--format", form).stdout)
            other.run("key", "import", path, "--models", "a/*")
        assert other.json("release", "verify", h.dir / "model2")["ok"]
        other.run("key", "import", h.dir / "k.pem", status=6)
        (other.state / "trust.toml").unlink()
        other.run("key", "import", h.dir / "k.pem")
        package = h.dir / "p.tar"
        h.run(*create(h.dir / "model3", "5", "--package", package))
        flip(package, 9000000)
        env = other.env(TMPDIR=str(other.dir / "none"))
        other.run("release", "verify", package, env=env, status=3)
