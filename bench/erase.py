#!/usr/bin/env python3
"""What an erasure costs those who are being served: streams at once, first alone, then beside commands that
only read (`audit show`), then beside as many `audit erase` through the server's door, then alone again.
   erase.py [STREAMS [SECONDS [COMMANDS A SECOND]]]

Prints for each: streams a second, milliseconds between two chunks (p50, p99, greatest) and of a whole stream
(p50, p99), and how many commands there were, each of which must succeed."""

import http.client, json, pathlib, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/cli"))
from client import Home, MODEL, POLICY, Server

STREAMS = int(sys.argv[1]) if len(sys.argv) > 1 else 4
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 10
PACE = 1 / (float(sys.argv[3]) if len(sys.argv) > 3 else 2)
TOKENS = 48
MORE = {"show": [], "erase": ["--ground", "request", "--actor", "dpo", "--yes"]}


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] * 1000 if values else 0


def stream(address, gaps, wholes, made):
    c = http.client.HTTPConnection(address, timeout=300)
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "What is an overdraft?"}],
        "stream": True,
        "temperature": 1,
        "max_tokens": TOKENS,
    }
    began = last = time.monotonic()
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    for line in c.getresponse():
        if line.startswith(b"data: "):
            now = time.monotonic()
            gaps.append(now - last)
            last = now
            if b'"hallmark"' in line and line != b"data: [DONE]\n":
                made.append(json.loads(line[6:])["hallmark"]["index"])
    wholes.append(time.monotonic() - began)


def phase(name, h, s, command, made):
    gaps, wholes, took, end = [], [], [], time.monotonic() + SECONDS

    def client():
        while time.monotonic() < end:
            stream(s.address, gaps, wholes, made)

    def commands():
        while time.monotonic() < end:
            began = time.monotonic()
            if made:
                h.run("audit", command, made.pop(0), *MORE[command], "--quiet")
                took.append(time.monotonic() - began)
            time.sleep(max(0, began + PACE - time.monotonic()))

    threads = [threading.Thread(target=client) for _ in range(STREAMS)]
    threads += [threading.Thread(target=commands)] if command else []
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(
        f"{name:14} {len(wholes) / SECONDS:6.1f} streams/s  chunk p50 {quantile(gaps, 0.5):6.2f}"
        f" p99 {quantile(gaps, 0.99):7.2f} max {quantile(gaps, 1):8.2f} ms  stream p50"
        f" {quantile(wholes, 0.5):7.1f} p99 {quantile(wholes, 0.99):7.1f} ms  {len(took)} commands,"
        f" p50 {quantile(took, 0.5):.0f} p99 {quantile(took, 0.99):.0f} ms",
        flush=True,
    )


with Home() as h, Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
    made = []
    phase("(warm)", h, s, None, made)
    for _ in range(2):
        phase("alone", h, s, None, made)
        phase("with reading", h, s, "show", made)
        phase("with erasures", h, s, "erase", made)
    assert s.stop() == 0
    assert h.json("audit", "verify")["ok"]
