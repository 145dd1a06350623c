#!/usr/bin/env python3
"""The HTTP vectors against a real server, plain and over TLS, on a connection of their own and as the second
request of one that is kept: each gets its status and one response, soon, then the end. What follows a request
that is refused, or that another reader could see otherwise, is never answered."""

import base64, json, os, shutil, ssl, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server
from secure import Plain, Secure, context_for, make, make_root

VECTORS = os.path.join(os.path.dirname(__file__), "../vectors/http")
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
CHAT = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}'
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def rows(name):
    with open(f"{VECTORS}/{name}", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def payload(row, key):
    g = row.get("generate")
    if not g:
        return base64.b64decode(row[key])
    part = lambda k: base64.b64decode(g.get(k) or "")
    return part("prefix_b64") + part("repeat_b64") * int(g["count"]) + part("suffix_b64")


def talk(way, raw, shut):
    """Everything the server sends until it closes; a connection left open raises a timeout. way: class,
    address, context, and whether a good request goes before."""
    kind, address, context, second = way
    out = b""
    with kind(address, context) as c:
        if second:
            c.send(HEALTH)
            assert c.recv_one().startswith(b"HTTP/1.1 200")
        try:
            c.send(raw)
            if shut:
                c.shut()
            while part := c.recv():
                out += part
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            pass
    return out


def judge(row, way, out, seconds, bad):
    status = int(out[9:12]) if out[:5] == b"HTTP/" else 0
    refused = status != 200
    once = out.count(b"HTTP/1.") == row.get("responses", 1)
    what = f"{way[0].__name__}{', second' if way[3] else ''}: {row['group']}, {row['what']}"
    if status not in row["status"] or not once or (refused and seconds > 1):
        bad.append(f"{what}: {status} in {seconds:.2f} s, {out[:200]!r}")
    if refused and b'{"error":{"message":' not in out:
        bad.append(f"{what}: no error object: {out[:200]!r}")


def try_vectors(way, heads, bodies, bad):
    for row in heads:
        begin = time.monotonic()
        out = talk(way, payload(row, "raw_b64"), True)
        judge(row, way, out, time.monotonic() - begin, bad)
    for row in bodies:
        body = payload(row, "body_b64")
        head = POST + b"Authorization: Bearer t\r\nConnection: close\r\n"
        begin = time.monotonic()
        out = talk(way, head + b"Content-Length: %d\r\n\r\n" % len(body) + body, False)
        judge(row, way, out, time.monotonic() - begin, bad)


def pairs():
    """Requests that hide, or seem to hide, another one behind them."""
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT)
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(CHAT) + CHAT
    yield "two at once", HEALTH
    yield "a body that is longer than it says", POST + length
    yield "a body in chunks", chunked + chunks
    yield "a length and chunks", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunks
    yield "two lengths", POST + b"Content-Length: 0\r\n" + length
    yield "a length of zero", POST + b"Content-Length: 0\r\n\r\n"
    yield "chunked, then identity", chunked[:-2] + b"Transfer-Encoding: identity\r\n\r\n" + chunks
    yield "chunked hidden by a space", POST + b"Transfer-Encoding : chunked\r\n\r\n" + chunks
    yield "chunked by a tab", POST + b"Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n" + chunks
    yield "xchunked", POST + b"Transfer-Encoding: xchunked\r\n\r\n" + chunks
    yield "a chunk with an extension", chunked + chunks.replace(b"\r\n", b";a=b\r\n", 1)
    yield "a chunk that ends in LF", chunked + chunks.replace(b"\r\n", b"\n", 1)
    yield "a trailer", chunked + chunks[:-2] + b"X: y\r\n\r\n"
    yield "a head that ends in LF", HEALTH.replace(b"\r\n\r\n", b"\n\n")
    yield "a folded line", b"GET /health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"
    yield "a GET with a body", b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(HEALTH)
    yield "HEAD", HEALTH.replace(b"GET", b"HEAD")
    yield "no such route", HEALTH.replace(b"health", b"nothing")
    yield "no such method", HEALTH.replace(b"GET", b"PURGE")
    yield "an upgrade", HEALTH[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    yield "an expectation", POST + b"Expect: 100-continue\r\n" + length


def try_pairs(way, bad):
    """One answer at most (and a 100 before it), and the connection ends."""
    for what, raw in pairs():
        out = talk(way, raw + b"GET /version HTTP/1.1\r\nHost: smuggled\r\n\r\n", False)
        answers = out.count(b"HTTP/1.") - out.count(b"HTTP/1.1 100 ")
        if answers != 1 or b'"version"' in out or b"onnection: close" not in out:
            kind = way[0].__name__ + (", second" if way[3] else "")
            bad.append(f"{kind}: {what}: {answers} answers: {out[:300]!r}")


bad, ways = [], []
with Home() as h:
    args, listen = ["--policy", POLICY, "--unsigned"], "http://127.0.0.1:0"
    if shutil.which("openssl"):
        root = make_root(h.dir)
        cert, key = make(h.dir, "server", root)
        args += ["--tls-cert", cert, "--tls-key", key]
        listen += ",127.0.0.1:0"
    else:
        print("peer absent: openssl")
    with Server(h, MODEL, *args, listen=listen) as s:
        ways = [(Plain, s.address, None, second) for second in (False, True)]
        if len(s.addresses) > 1:
            ways += [(Secure, s.addresses[1], context_for(root), second) for second in (False, True)]
        heads, bodies = rows("http_heads.jsonl"), rows("http_bodies.jsonl")
        for way in ways:
            try_vectors(way, heads, bodies, bad)
            try_pairs(way, bad)
        assert s.get("/health")[0] == 200
        assert s.stop() == 0, "the server did not stop cleanly"
assert (len(heads), len(bodies)) == (20, 40), "vectors are missing"
count = len(ways) * (len(heads) + len(bodies) + len(list(pairs())))
print(f"http {count - len(bad)} of {count}")
sys.exit("\n".join(bad) if bad else 0)
