#!/usr/bin/env python3
"""A log that holds what came later, written by hand and signed by the log's own key: unknown types, clear and
committed, more members in head and body, more fields, entries of later versions. What each command does with
it, and with the same log when a byte is wrong."""

import base64, hashlib, json, os, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home

# ---- Ed25519, as RFC 8032 section 6 writes it ----

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    z, w = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, w - z, w + z, y + x
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def pack(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def base_point():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 else x
    return (x, y, 1, x * y % P)


def sign(seed, message):
    g = base_point()
    h = hashlib.sha512(seed).digest()
    a = (int.from_bytes(h[:32], "little") & (1 << 254) - 8) | 1 << 254
    public = pack(times(a, g))
    r = int.from_bytes(hashlib.sha512(h[32:] + message).digest(), "little") % Q
    big_r = pack(times(r, g))
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % Q
    return public, big_r + ((r + k * a) % Q).to_bytes(32, "little")


# ---- the log ----


def leaf(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def root(hashes):
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def publish(h, entries):
    """Write these entries as the whole log of the home, and take its databases away."""
    log = h.state / "log"
    origin = (log / "checkpoint").read_text().split("\n")[0]
    shutil.rmtree(log / "tile")
    for f in h.state.glob("*.db*"):
        f.unlink()
    hashes = [leaf(e) for e in entries]
    for name, data in (
        ("entries", b"".join(len(e).to_bytes(2, "big") + e for e in entries)),
        ("0", b"".join(hashes)),
    ):
        folder = log / f"tile/{name}/000.p"
        folder.mkdir(parents=True)
        (folder / str(len(entries))).write_bytes(data)
    text = f"{origin}\n{len(entries)}\n{base64.b64encode(root(hashes)).decode()}\n".encode()
    secret = base64.b64decode((h.state / "keys/log.key").read_text().split("\n")[1])
    public, signature = sign(secret[76 + 32 : 76 + 64], text)
    key = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    line = f"\n\u2014 {origin} {base64.b64encode(key + signature).decode()}\n".encode()
    (log / "checkpoint").write_bytes(text + line)


def canonical(entry):
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


def entry(kind, n, **more):
    e = {"v": 1, "type": kind, "worker": "00000000000000aa", "n": n, "time_us": TIME + n, "body": {}}
    e.update(more)
    return canonical({k: v for k, v in e.items() if v is not None})


def fields(kind, n, count, **more):
    digest = "sha256:" + "0" * 64
    return entry(kind, n, body=None, fields=count, root=digest, cipher=None, outcome="x", **more)


TIME = 4000000000000000  # after any genesis
ROOT = "sha256:" + "1" * 64
RELEASE = {
    "model": "acme/m",
    "version": "1",
    "root": ROOT,
    "manifest": ROOT,
    "bundle": ROOT,
    "publisher": "p",
    "keyid": "k",
    "license": "l",
    "parents": [],
    "files": 1,
    "bytes": 2,
    "later": {"x": [1]},
}

with Home() as h:
    h.run("registry", "init")
    genesis = canonical(h.json("audit", "show", 0)["entry"])
    vkey = h.run("key", "export", "--log").stdout.decode().strip()
    known = [
        genesis,
        entry("start", 0, body={"build": "b", "worker": "00000000000000aa", "later": 1}),
        entry("attestation", 1, body={"kind": "badge"}, also=[1]),
        entry("nothing-yet", 2, body={"a": 1}),
        fields("nothing-sealed", 3, 5, more=1),
        fields("decision", 4, 40),
        entry("release", 5, body=RELEASE),
        entry("stop", 6, body={"last": 6}),
    ]

    def both():
        """The verdicts from the home and from the folder alone, which must be one."""
        a = h.run("audit", "verify", "--json", status=None)
        b = h.run("audit", "verify", h.state / "log", "--vkey", vkey, "--json", status=None)
        assert a.returncode == b.returncode, (a, b)
        return a.returncode, json.loads(a.stdout)

    publish(h, known)
    assert h.json("registry", "rebuild")["releases"] == 1
    code, v = both()
    assert code == 0 and v["ok"] and v["problem_count"] == 0 and v["newer"] == 0, v
    assert [(u["index"], u["type"], u["v"]) for u in v["unread"]] == [
        (3, "nothing-yet", 1),
        (4, "nothing-sealed", 1),
    ], v
    assert len(h.json("audit", "list")["entries"]) == len(known)
    for n in range(len(known)):
        assert canonical(h.json("audit", "show", n)["entry"]) == known[n], n
        (h.dir / "p").write_bytes(h.run("audit", "proof", n).stdout)
        assert h.json("audit", "verify", "--receipt", h.dir / "p", "--vkey", vkey)["ok"], n
    assert b'"later"' in h.run("registry", "export").stdout
    h.run("audit", "replay", 5, status=5)  # what it sealed is not here
    h.run("audit", "replay", 3, status=1)
    h.run("key", "new", "--name", "k", "--quiet")  # the log goes on
    code, v = both()
    assert code == 0 and v["size"] > len(known) and v["unread_count"] == 2, v

    # Of a later version: what this one cannot judge is not called wrong.
    later = [
        genesis,
        entry("start", 0),
        entry("decision", 1, v=2, body=None, parts=[{"deep": 1}]),
        canonical({"v": 3, "all": "different", "type": "b\x1b]0;x"}),
        entry("stop", 2),
    ]
    publish(h, later)
    h.run("registry", "rebuild")
    code, v = both()
    assert code == 1 and not v["ok"] and v["problem_count"] == 0 and v["newer"] == 2, (code, v)
    unread = [(u["kind"], u["index"], u["v"]) for u in v["unread"]]
    assert unread == [("unread", 2, 2), ("unread", 3, 3)], v
    told = h.run("audit", "verify", status=1).stderr.decode()
    assert "later version" in told, told
    assert len(h.json("audit", "list")["entries"]) == len(later)
    listed = h.run("audit", "list").stdout
    assert b"\n     3  b\\x1b]0;x  \n" in listed and b"\x1b" not in listed, listed
    assert canonical(h.json("audit", "show", 3)["entry"]) == later[3]
    (h.dir / "p").write_bytes(h.run("audit", "proof", 2).stdout)
    assert h.json("audit", "verify", "--receipt", h.dir / "p", "--vkey", vkey)["ok"]
    assert "version 2" in h.run("audit", "replay", 2, status=1).stderr.decode()
    h.run("key", "new", "--name", "k2", "--quiet")
    assert both()[0] == 1

    # And a wrong byte is wrong in them too.
    publish(h, later)
    bundle = h.state / "log/tile/entries/000.p/5"
    bundle.write_bytes(bundle.read_bytes().replace(b'"deep":1', b'"deep":2'))
    v = h.json("audit", "verify", h.state / "log", "--vkey", vkey, status=3)
    assert v["problems"][0]["kind"] == "entry", v
    h.run("registry", "rebuild", status=3)
