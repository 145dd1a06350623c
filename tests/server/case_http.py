#!/usr/bin/env python3
"""The HTTP vectors against a real server: each gets its status and one response, soon, then the end."""

import base64, json, os, socket, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server

VECTORS = os.path.join(os.path.dirname(__file__), "../vectors/http")


def rows(name):
    with open(f"{VECTORS}/{name}", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def payload(row, key):
    g = row.get("generate")
    if not g:
        return base64.b64decode(row[key])
    part = lambda k: base64.b64decode(g.get(k) or "")
    return part("prefix_b64") + part("repeat_b64") * int(g["count"]) + part("suffix_b64")


def talk(address, raw, shut):
    """Everything the server sends until it closes; a connection left open raises a timeout."""
    host, port = address.rsplit(":", 1)
    out = b""
    with socket.create_connection((host, int(port)), timeout=20) as c:
        try:
            c.sendall(raw)
            if shut:
                c.shutdown(socket.SHUT_WR)
            while part := c.recv(65536):
                out += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    return out


def judge(row, out, seconds, bad):
    status = int(out[9:12]) if out[:5] == b"HTTP/" else 0
    refused = status != 200
    once = out.count(b"HTTP/1.") == row.get("responses", 1)
    if status not in row["status"] or not once or (refused and seconds > 1):
        bad.append(f"{row['group']}, {row['what']}: {status} in {seconds:.2f} s, {out[:200]!r}")
    if refused and b'{"error":{"message":' not in out:
        bad.append(f"{row['what']}: no error object: {out[:200]!r}")


bad = []
with Home() as h, Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
    heads, bodies = rows("http_heads.jsonl"), rows("http_bodies.jsonl")
    for row in heads:
        begin = time.monotonic()
        out = talk(s.address, payload(row, "raw_b64"), True)
        judge(row, out, time.monotonic() - begin, bad)
    for row in bodies:
        body = payload(row, "body_b64")
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {s.address}\r\nAuthorization: Bearer t\r\n"
            f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begin = time.monotonic()
        out = talk(s.address, head.encode() + body, False)
        judge(row, out, time.monotonic() - begin, bad)
    assert s.get("/health")[0] == 200
    assert s.stop() == 0, "the server did not stop cleanly"
assert (len(heads), len(bodies)) == (20, 40), "vectors are missing"
print(f"http {len(heads) + len(bodies) - len(bad)} of {len(heads) + len(bodies)}")
sys.exit("\n".join(bad) if bad else 0)
