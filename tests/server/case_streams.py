#!/usr/bin/env python3
"""A thousand idle connections and two hundred streams at once take less than 1 GB of memory beside the
weights; the streams all come to their end, and the idle are still answered."""

import asyncio, json, os, pathlib, resource, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server

IDLE, STREAMS, ADDRESSES = 1000, 200, 20
BYTES_MOST = int(os.environ.get("STREAMS_BYTES_MOST", 10**9))
SECONDS, PATIENCE = 3, 33  # for as long the streams run at least, and until each has had an answer at most
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def status(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int([line for line in text.splitlines() if line.startswith(name)][0].split()[1])


def open_one(address, i):
    here = (f"127.0.1.{1 + i % ADDRESSES}", 0)
    return asyncio.open_connection(*address, local_addr=here)


async def ask_health(reader, writer):
    writer.write(HEALTH)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await reader.readuntil(b"}\n")


def question(i, turn):
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": f"Question {turn} of {i}: " + "how do I open an account?"}],
        "stream": True,
        "max_tokens": 8,
        "ignore_eos": True,
        "seed": i,
    }
    text = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(text) + text


class Run:
    def __init__(self):
        self.open = self.open_most = 0
        self.answers = [0] * STREAMS

    async def stream(self, address, i):
        """One answer after another on one connection."""
        reader, writer = await open_one(address, i)
        while True:
            writer.write(question(i, self.answers[i]))
            self.open += 1
            self.open_most = max(self.open, self.open_most)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            got = await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            assert got.count(b'"finish_reason":"length"') == 1, got[-600:]
            self.open -= 1
            self.answers[i] += 1


async def measure(pid, address):
    before = status(pid, "VmRSS")
    idle = [await open_one(address, i) for i in range(IDLE)]
    await asyncio.gather(*(ask_health(*c) for c in idle))
    r, begun = Run(), time.monotonic()
    tasks = [asyncio.create_task(r.stream(address, i)) for i in range(STREAMS)]
    while time.monotonic() - begun < SECONDS or min(r.answers) == 0:
        assert time.monotonic() - begun < PATIENCE, f"without an answer: {r.answers.count(0)} of {STREAMS}"
        for t in tasks:
            if t.done():
                t.result()
        await asyncio.sleep(0.2)
    took, peak = time.monotonic() - begun, status(pid, "VmHWM")
    for t in tasks:
        t.cancel()
    for c in idle[:: IDLE // 50]:
        await ask_health(*c)
    for _, writer in idle:
        writer.close()
    print(
        f"{IDLE} idle and {r.open_most} streams at once: {peak >> 10} MiB at most, {before >> 10} before; "
        f"{sum(r.answers)} answers in {took:.1f} s, {min(r.answers)} to {max(r.answers)} each"
    )
    assert r.open_most == STREAMS, r.open_most
    return peak << 10


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
weights = sum(f.stat().st_size for f in MODEL.iterdir() if f.suffix == ".safetensors")
with Home() as h:
    with Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
        host, port = s.address.rsplit(":", 1)
        peak = asyncio.run(measure(s.process.pid, (host, int(port))))
        assert s.stop() == 0, "the server did not stop cleanly"
assert peak < BYTES_MOST + weights, f"{peak} bytes, the limit is {BYTES_MOST} beside {weights} of weights"
