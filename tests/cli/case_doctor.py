#!/usr/bin/env python3
"""`hallmark doctor`: what is right passes, what is wrong is told with what to do, and nothing is changed."""

import json, resource, subprocess

from client import MODEL, POLICY, Home, Server, flip

STATUSES = ("ok", "warn", "fail")


class Place(Home):
    """A state folder, and a configuration that `serve` would take."""

    def __init__(self):
        super().__init__()
        self.config = self.dir / "config.toml"
        self.write("")

    def env(self, **more):
        return super().env(HALLMARK_CONFIG=str(self.config), HOME=str(self.dir), **more)

    def write(self, serve, top=""):
        self.config.write_text(f"{top}\n[serve]\n{serve}\n")

    def look(self, status=None, **kw):
        """{name: check}, with the exit status that the checks ask for."""
        r = self.run("doctor", "--json", status=None, **kw)
        report = json.loads(r.stdout)
        checks = {}
        for c in report["checks"]:
            assert set(c) == {"name", "status", "detail", "remedy"} and c["status"] in STATUSES, c
            assert c["detail"] and (c["status"] != "ok" or c["remedy"] is None), c
            if checks.get(c["name"], {}).get("status") != "fail":
                checks[c["name"]] = c
        failing = sum(c["status"] == "fail" for c in report["checks"])
        assert report["failures"] == failing and report["ok"] == (failing == 0), report
        assert (r.returncode == 0) == (failing == 0), (r.returncode, report)
        if status is not None:
            assert r.returncode == status, (r.returncode, report)
        return checks

    def finds(self, name, status, text, **kw):
        c = self.look(**kw)[name]
        assert c["status"] == status and text in c["detail"], c
        return c


def tree(top):
    """Everything there, but the files that a reader of a database shares with its writer."""
    paths = [p for p in sorted(top.rglob("*")) if not p.name.endswith(("-wal", "-shm"))]
    return [(str(p), p.lstat().st_mode, p.lstat().st_size, p.lstat().st_mtime_ns) for p in paths]


def without_state(p):
    checks = p.look(status=0)
    assert checks["home"]["status"] == "warn" and not p.state.exists(), checks["home"]
    for name in ("kernels", "gpu", "descriptors", "memory", "tls", "manager", "config", "listen"):
        assert checks[name]["status"] == "ok", checks[name]
    assert checks["policy"]["status"] == "warn" and "nothing would be filtered" in checks["policy"]["detail"]
    assert "log" not in checks and "tokens" not in checks
    text = p.run("doctor").stdout.decode()
    assert "-> set policy in [serve]" in text, text


def in_order(p):
    p.run("key", "new", "--name", "k", "--quiet")
    p.run("registry", "init")
    p.write(f'policy = "{POLICY}"\noperands = "m={MODEL}"')
    before = tree(p.state)
    checks = p.look(status=0)
    assert tree(p.state) == before
    for name, c in checks.items():
        assert c["status"] == "ok" or name == "clock", c  # in a container nobody sets it
    assert "mode 700" in checks["home"]["detail"] and "secret keys" in checks["keys"]["detail"]
    assert "4 entries" in checks["log"]["detail"], checks["log"]
    assert "days at the last day's rate" in checks["disk"]["detail"], checks["disk"]
    assert "37 tests pass" in checks["policy"]["detail"], checks["policy"]
    assert "0.0 GB of weights" in checks["memory"]["detail"], checks["memory"]
    assert checks["writer"]["detail"] == "nobody writes now"
    with Server(p, MODEL, "--unsigned") as s:
        checks = p.look(status=0)
        assert checks["writer"]["detail"] == f"`hallmark serve` (process {s.process.pid})", checks["writer"]
        assert s.chat("hello", max_tokens=2)[0] == 200


def modes(p):
    p.state.chmod(0o755)
    assert f"chmod 700 {p.state}" in p.finds("home", "fail", "mode 755")["remedy"]
    p.state.chmod(0o700)
    key = p.state / "keys/k.key"
    key.chmod(0o640)
    assert "chmod 600" in p.finds("keys", "fail", "1 of ")["remedy"]
    key.chmod(0o600)


def configured(p):
    p.write("thread = 1")
    assert ":3: unknown key" in p.finds("config", "fail", "did you mean threads?")["detail"]
    p.config.write_text("[serve")
    p.finds("config", "fail", "line 1")
    p.write("")
    c = p.finds("config", "warn", "HALLMARK_SERVE_LISTN", env=p.env(HALLMARK_SERVE_LISTN="1"))
    assert c["remedy"] == "HALLMARK_SERVE_LISTEN", c
    p.finds("config", "fail", "expected 1", env=p.env(HALLMARK_QUIET="perhaps"))
    p.finds("manager", "ok", "/run/x", env=p.env(NOTIFY_SOCKET="/run/x"))
    p.finds("kernels", "warn", "plain", env=p.env(HALLMARK_KERNELS="plain"))
    p.finds("kernels", "fail", "none-such", env=p.env(HALLMARK_KERNELS="none-such"))
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))  # noqa: E731
    p.finds("descriptors", "warn", "500", preexec_fn=few)
    big = p.dir / "big"
    big.mkdir()
    with open(big / "model.safetensors", "wb") as f:
        f.truncate(4 << 40)
    p.write(f'operands = ["{MODEL}", "b={big}"]')
    p.finds("memory", "fail", "4398.1 GB of weights")
    p.write(f'operands = ["{MODEL}", "b={big}"]\nweights = "q4"')
    p.finds("memory", "warn", "4398.1 GB of weights")


def policies(p):
    text = POLICY.read_text()
    bad = p.dir / "bad.toml"
    bad.write_text(text.replace('tests.hit = ["4111 1111 1111 1111"', 'tests.hit = ["none"', 1))
    p.write('policy = "bad.toml"')
    p.finds("policy", "fail", "1 of its tests fail")
    assert p.look(status=3)
    bad.write_text(text + "\n[[rule]]\n")
    p.finds("policy", "fail", "bad.toml")
    assert p.look(status=1)
    p.write('policy = "nowhere.toml"')
    p.finds("policy", "fail", "nowhere.toml")
    p.run("policy", "compile", POLICY, "--out", p.dir / "bank.bundle")
    p.write(f'policy = ["bank.bundle", "{POLICY}"]')
    p.finds("policy", "ok", "")


def certificate(p, name, days):
    cert, key = p.dir / f"{name}.crt", p.dir / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        + ["-days", str(days), "-subj", "/CN=localhost", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)


def tls(p):
    certificate(p, "a", 365)
    certificate(p, "b", 5)
    for cert, key, status, text in (
        ("a.crt", "a.key", "ok", "fits its key"),
        ("a.crt", "b.key", "fail", ""),
        ("b.crt", "b.key", "warn", "days"),
        ("a.crt", "none.key", "fail", "none.key"),
        ("a.key", "a.key", "fail", "a.key"),
    ):
        p.write(f'tls-cert = "{cert}"\ntls-key = "{key}"')
        p.finds("tls", status, text)
    p.write('tls-cert = "a.crt"')
    p.finds("tls", "fail", "tls-key is not")
    (p.dir / "a.key").chmod(0o644)
    p.write('tls-cert = "a.crt"\ntls-key = "a.key"')
    p.finds("tls", "fail", "a.key")
    (p.dir / "a.key").chmod(0o600)


def tokens(p):
    p.write('listen = ["127.0.0.1:1", "http://0.0.0.0:1"]')
    assert "token new" in p.finds("listen", "fail", "there is no token")["remedy"]
    p.write('listen = "http://0.0.0.0:1"\ntoken-file = "tokens"')
    p.finds("listen", "warn", "without TLS")
    p.write('listen = "0.0.0.0:1"\ntls-cert = "a.crt"\ntls-key = "a.key"\nclient-ca = "a.crt"')
    p.finds("listen", "ok", "0.0.0.0:1")
    p.write('listen = ["127.0.0.1:1", "http://0.0.0.0:1"]')
    p.run("token", "new", "--name", "u", "--role", "user")
    p.finds("listen", "warn", "without TLS")
    p.write('listen = ["127.0.0.1:1", "0.0.0.0:1"]\ntls-cert = "a.crt"\ntls-key = "a.key"')
    p.finds("listen", "ok", "0.0.0.0:1")
    p.finds("tokens", "ok", "1 in use")
    p.run("token", "new", "--name", "root", "--role", "admin")
    p.finds("tokens", "warn", "such as root")
    p.run("token", "revoke", "root", "--reason", "test")
    p.finds("tokens", "ok", "1 revoked")


def damaged(p):
    """A log that is not what its checkpoint says ends with 3; one of which there is nothing, with 1."""
    p.write("")
    checkpoint = p.state / "log/checkpoint"
    whole = checkpoint.read_bytes()
    flip(checkpoint, len(whole) - 10)
    c = p.look(status=3)["log"]
    assert c["status"] == "fail" and "audit verify" in c["remedy"], c
    checkpoint.write_bytes(whole)
    assert p.look(status=0)
    (p.state / "keys/log.key").rename(p.dir / "log.key")
    c = p.look()["log"]
    assert c["status"] in ("fail", "warn"), c


with Place() as place:
    for part in (without_state, in_order, modes, configured, policies, tls, tokens, damaged):
        part(place)
