#!/usr/bin/env python3
"""`hallmark bench serve` against our server, and one that answers well, late, half, wrongly or not at all."""

import json, socket, socketserver, sys, threading, time

from client import MODEL, TOP, Home, Server

sys.path.insert(0, str(TOP / "tests/server"))
import secure  # noqa: E402

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
STREAM = HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n"
frozen = threading.Lock()  # who holds it lets nobody be answered


def event(text=None, **more):
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    data = b"data: " + json.dumps({"id": "x", "choices": choices, **more}).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def done(data=b"data: [DONE]\n\n"):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"


def refusal(status, *fields):
    body = json.dumps({"error": {"message": f"no: {status}"}}).encode()
    head = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Handler(socketserver.StreamRequestHandler):
    """The first part of the path says how to answer."""

    disable_nagle_algorithm = True

    def read_request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return None
            head += line
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = self.rfile.read(int(fields.get("content-length", 0)))
        self.server.seen.append((lines[0], fields, json.loads(body) if body else None))
        return lines[0].split(" ")[1].split("/")[1]

    def handle(self):
        while True:
            try:
                way = self.read_request()
                if way is None or not getattr(self, "do_" + way)():
                    return
            except OSError:
                return

    def send(self, *pieces):
        for p in pieces:
            self.connection.sendall(p)
        return True

    def do_v1(self):  # /v1/models
        body = json.dumps({"data": [{"id": "first"}, {"id": "second"}]}).encode()
        return self.send(HEAD % b"application/json" + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def do_well(self):
        self.send(STREAM, event(""))
        for i in range(5):
            time.sleep(0.02)
            self.send(event(f"w{i}"))
        usage = {"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17}
        return self.send(event(usage=usage), done())

    def do_uncounted(self):
        return self.send(STREAM, event("a"), event("b"), done())

    def typed(self, *events):
        """A stream of events that say their type, in this API's way."""
        lines = [f"event: {t}\ndata: " + json.dumps({"type": t, **rest}) + "\n\n" for t, rest in events]
        data = "".join(lines).encode()
        return self.send(STREAM, b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))

    def do_responding(self):
        usage = {"input_tokens": 7, "output_tokens": 4}
        return self.typed(
            ("response.created", {"response": {"error": None, "usage": None}}),
            ("response.output_text.delta", {"delta": "a"}),
            ("response.output_text.delta", {"delta": "b"}),
            ("response.output_text.done", {"text": "ab"}),
            ("response.completed", {"response": {"error": None, "output": [{"text": "ab"}], "usage": usage}}),
        )

    def do_failed(self):
        return self.typed(("response.failed", {"response": {"error": {"code": "x", "message": "no ink"}}}))

    def do_talking(self):
        return self.typed(
            ("message_start", {"message": {"content": [], "usage": {"input_tokens": 7, "output_tokens": 1}}}),
            ("content_block_start", {"content_block": {"type": "text", "text": ""}}),
            ("content_block_delta", {"delta": {"type": "text_delta", "text": "a"}}),
            ("content_block_delta", {"delta": {"type": "thinking_delta", "thinking": "b"}}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
            ("message_stop", {}),
        )

    def do_plain(self):
        usage = {"prompt_tokens": 7, "completion_tokens": 3}
        body = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": usage}).encode()
        return self.send(HEAD % b"application/json" + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def do_frozen(self):
        with frozen:
            time.sleep(0.002)
        return self.do_plain()

    def do_cut(self):
        self.send(STREAM, event("a"), b"30\r\ndata: {")
        return False

    def do_stall(self):
        self.send(STREAM, event("a"))
        time.sleep(20)
        return False

    def do_silent(self):
        return False

    def do_garbage(self):
        self.send(b"\x00\xff\x17 nothing that is HTTP\r\n\r\n")
        return False

    def do_nonsense(self):
        return self.send(STREAM, done(b"data: <html>\n\ndata: [DONE]\n\n"))

    def do_nojson(self):
        return self.send(HEAD % b"text/plain" + b"Content-Length: 2\r\n\r\nhi")

    def do_failing(self):
        return self.send(STREAM, event("a"), event(error={"message": "out of paper"}), done())

    def do_endless(self):
        return self.send(STREAM, event("a"), done(b""))

    def do_busy(self):
        return self.send(refusal(429, "Retry-After: 1"))

    def do_down(self):
        return self.send(refusal(503))


class Fake(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 512

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/" % self.server_address[1]


def bench(h, url, *args, **kw):
    return h.json("bench", "serve", url, *args, **kw)


def bench_in_vain(h, url, *args):
    """No request is answered well: the report says how, and the status that it was for nothing."""
    return bench(h, url, *args, status=7)


def waits(h, fake):
    """Times are what the server made them; requests are what was asked for."""
    r = bench(h, fake.url + "well", "--model", "m", "--requests", 8, "--clients", 2, "--prompt-tokens", 9)
    assert r["requests"] == {"sent": 8, "fine": 8, "failed": 0, "unfinished": 0, "unsent": 0}, r
    assert r["status"] == {"200": 8} and r["errors"] == [], r
    assert r["tokens"] == {"prompt": 56, "completion": 80, "counted_by": "usage"}, r
    assert 20 <= r["first_token_ms"]["p50"] <= r["first_token_ms"]["max"], r
    assert r["gap_ms"]["count"] == 32 and r["gap_ms"]["p50"] >= 19, r
    assert r["per_token_ms"]["p50"] >= 8 and r["total_ms"]["p50"] >= 100, r
    assert 0 < r["throughput"]["tokens_s"] == round(r["throughput"]["tokens_s"], 6), r
    line, fields, body = fake.seen[-1]
    assert line == "POST /well/v1/chat/completions HTTP/1.1", line
    assert body["stream"] and body["stream_options"] == {"include_usage": True}, body
    assert body["model"] == "m" and body["max_tokens"] == 64, body
    assert len(body["messages"][0]["content"].split()) == 9, body
    prompts = {s[2]["messages"][0]["content"] for s in fake.seen[-8:]}
    assert len(prompts) == 8
    # The same seed sends the same prompts, another one others.
    for seed, same in ((1, True), (2, False)):
        del fake.seen[:]
        bench(h, fake.url + "well", "--model", "m", "--requests", 8, "--prompt-tokens", 9, "--seed", seed)
        assert ({s[2]["messages"][0]["content"] for s in fake.seen} == prompts) == same
    r = bench(h, fake.url + "uncounted", "--model", "m", "--requests", 1)
    assert r["tokens"]["counted_by"] == "events" and r["tokens"]["completion"] == 2, r
    r = bench(h, fake.url + "plain/v1/", "--model", "m", "--requests", 3, "--plain")
    assert r["first_token_ms"] is None and r["total_ms"]["count"] == 3 and not r["stream"], r
    text = h.run("bench", "serve", fake.url + "well", "--model", "m", "--requests", 2).stdout.decode()
    assert "2 answered" in text and "first token" in text and "of a core" in text, text


def requests(h, fake):
    """Shapes, prompts from a file, tokens, models, connections."""
    (h.dir / "token").write_text("s3cret\n")
    bench(h, fake.url, "--requests", 1, "--plain", "--shape", "completions", "--token-file", h.dir / "token")
    line, fields, body = fake.seen[-1]
    assert line == "POST /v1/completions HTTP/1.1" and body["model"] == "first", (line, body)
    assert isinstance(body["prompt"], str) and fields["authorization"] == "bearer s3cret", (fields, body)
    lines = [
        {"prompt": "one"},
        {"messages": [{"role": "user", "content": "two"}], "max_tokens": 3, "temperature": 1},
    ]
    (h.dir / "prompts").write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    del fake.seen[:]
    bench(h, fake.url + "well", "--model", "m", "--requests", 4, "--prompts", h.dir / "prompts")
    sent = [(s[2]["messages"][0]["content"], s[2]["max_tokens"], s[2]["temperature"]) for s in fake.seen]
    assert sent == [("one", 64, 0), ("two", 3, 1)] * 2, sent
    for text, why in (("{}\n", "line 1: expected"), ("[\n", "line 1"), ("\n", "has no prompts")):
        (h.dir / "prompts").write_text(text)
        r = h.run("bench", "serve", fake.url, "--model", "m", "--prompts", h.dir / "prompts", status=1)
        assert why in r.stderr.decode(), r.stderr
    for args in (("--rate", "0"), ("--rate", "-1"), ("--clients", "0"), ("--shape", "odd"), ("--rate", "x")):
        h.run("bench", "serve", fake.url, "--model", "m", *args, status=2)
    h.run("bench", "serve", "ftp://x", "--model", "m", "--requests", 1, status=1)
    (h.dir / "token").write_text("two words\n")
    h.run("bench", "serve", fake.url, "--token-file", h.dir / "token", status=1)


def shapes(h, fake):
    """Each is asked in its way, and its text, end and counts are found in its events."""
    for shape, tokens, most, prompt in (
        ("responses", 4, "max_output_tokens", "input"),
        ("messages", 5, "max_tokens", "messages"),
    ):
        way = "responding" if shape == "responses" else "talking"
        r = bench(h, fake.url + way, "--model", "m", "--requests", 2, "--shape", shape, "--max-tokens", 9)
        assert r["requests"]["fine"] == 2 and r["errors"] == [] and r["shape"] == shape, r
        assert r["tokens"] == {"prompt": 14, "completion": 2 * tokens, "counted_by": "usage"}, r
        assert r["first_token_ms"]["count"] == 2 and r["gap_ms"]["count"] == 2, r
        line, _, body = fake.seen[-1]
        assert line == f"POST /{way}/v1/{shape} HTTP/1.1", line
        assert set(body) == {"model", "stream", "temperature", most, prompt} and body[most] == 9, body
        r = bench_in_vain(h, fake.url + "well", "--model", "m", "--requests", 1, "--shape", shape)
        assert [e["kind"] for e in r["errors"]] == ["incomplete"], r
    r = bench_in_vain(h, fake.url + "failed", "--model", "m", "--requests", 1, "--shape", "responses")
    assert r["errors"] == [{"kind": "error_event", "count": 1, "first": "no ink"}], r


def faults(h, fake):
    """Each kind is told by its name, and ends nothing else."""
    for way, kind, why in (
        ("cut", "broken", ""),
        ("silent", "broken", ""),
        ("garbage", "malformed", ""),
        ("nonsense", "malformed", "no JSON object"),
        ("failing", "error_event", "out of paper"),
        ("endless", "incomplete", "last event"),
        ("down", "status", "no: 503"),
    ):
        r = bench_in_vain(h, fake.url + way, "--model", "m", "--requests", 4, "--clients", 2)
        assert r["requests"]["failed"] == r["requests"]["sent"] == 4, (way, r)
        assert [e["kind"] for e in r["errors"]] == [kind], (way, r)
        assert r["errors"][0]["count"] == 4 and why in r["errors"][0]["first"], (way, r)
        assert r["total_ms"] is None and r["throughput"]["requests_s"] == 0, (way, r)
    text = h.run("bench", "serve", fake.url + "down", "--model", "m", "--requests", 2, status=7)
    assert b"0 answered, 2 failed" in text.stdout and b"none of 2 requests" in text.stderr, text
    r = bench_in_vain(h, fake.url + "nojson", "--model", "m", "--requests", 1, "--plain")
    assert r["errors"][0]["kind"] == "malformed", r
    r = bench_in_vain(h, fake.url + "stall", "--model", "m", "--requests", 2, "--clients", 2, "--timeout", 1)
    assert r["errors"][0]["kind"] == "timeout" and r["seconds"] < 3, r
    # Who is told to come back later does so.
    start = time.time()
    r = bench_in_vain(h, fake.url + "busy", "--model", "m", "--requests", 3)
    assert r["errors"] == [{"kind": "status", "status": 429, "count": 3, "first": "no: 429"}], r
    assert r["status"] == {"429": 3} and 2 <= time.time() - start < 6, r
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        nobody = "http://127.0.0.1:%d" % s.getsockname()[1]
        r = bench_in_vain(h, nobody, "--model", "m", "--requests", 2)
        assert r["errors"][0]["kind"] == "connect" and r["errors"][0]["count"] == 2, r
        h.run("bench", "serve", nobody, status=7)


def omission(h, fake):
    """A server that stands still for a second: an open loop sees all who would have waited."""

    def freeze():
        time.sleep(0.5)
        with frozen:
            time.sleep(1)

    for loop in (("--rate", 50), ("--rate", 50, "--clients", 1), ("--clients", 1)):
        t = threading.Thread(target=freeze)
        t.start()
        r = bench(h, fake.url + "frozen", "--model", "m", "--plain", "--duration", 2, *loop)
        t.join()
        assert r["requests"]["failed"] == 0 and r["total_ms"]["max"] >= 900, r
        if loop[0] == "--rate":
            due = r["requests"]["sent"] + r["requests"]["unsent"]
            assert 60 <= due <= 140 and r["loop"]["kind"] == "open", r
            assert r["total_ms"]["p95"] > 600 and r["total_ms"]["p50"] > 20, r
            # With one connection they leave late, and that counts as waiting.
            assert ("--clients" in loop) == (r["generator"]["late_ms"]["p95"] > 600), r
        else:
            assert r["total_ms"]["p95"] < 600, r  # one saw it, and the others never asked


def ours(h):
    with Server(h, MODEL, "--unsigned") as s:
        url = "http://" + s.address
        r = bench(h, url, "--requests", 4, "--clients", 2, "--max-tokens", 8)
        assert r["requests"]["fine"] == 4 and r["model"] == "m", r
        assert r["tokens"]["counted_by"] == "usage" and 4 <= r["tokens"]["completion"] <= 32, r
        assert r["first_token_ms"]["count"] == 4, r
        for shape in ("completions", "responses", "messages"):
            for more in ((), ("--plain",)):
                r = bench(h, url, "--requests", 2, "--max-tokens", 8, "--shape", shape, *more)
                assert r["requests"]["fine"] == 2 and r["errors"] == [], r
                assert r["tokens"]["counted_by"] == "usage", r
        r = bench(h, url, "--requests", 2, "--max-tokens", 8, "--plain", "--reconnect")
        assert r["requests"]["fine"] == 2, r
        r = bench_in_vain(h, url, "--requests", 2, "--model", "other")
        assert r["errors"][0]["status"] == 404 and "other" in r["errors"][0]["first"], r


def over_tls(h):
    """Our server with a certificate of our root, and with a token; and one that nobody vouches for."""
    root = secure.make_root(h.dir)
    stranger = secure.make_root(h.dir, "stranger")
    cert, key = secure.make(h.dir, "server", root)
    token = h.json("token", "new", "--name", "t", "--role", "user")["secret"]
    (h.dir / "token").write_text(token + "\n")
    with Server(h, MODEL, "--unsigned", "--tls-cert", cert, "--tls-key", key) as s:
        url = "https://" + s.address
        args = ("--max-tokens", 4, "--ca-file", root[0], "--token-file", h.dir / "token")
        for more in ((), ("--reconnect",), ("--plain",)):
            r = bench(h, url, "--requests", 3, "--clients", 2, *args, *more)
            assert r["requests"]["fine"] == 3 and r["url"].startswith("https:"), r
        r = bench_in_vain(h, url, "--requests", 2, "--model", "m", "--ca-file", stranger[0])
        assert r["errors"][0]["kind"] == "tls" and r["errors"][0]["count"] == 2, r
        h.run("bench", "serve", url, "--requests", 1, "--ca-file", h.dir / "none.pem", status=5)


with Home() as home:
    server = Fake()
    for part in (waits, requests, shapes, faults, omission):
        part(home, server)
    ours(home)
    over_tls(home)
