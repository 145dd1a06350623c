#!/usr/bin/env python3
"""A crowd of one address that holds connections open - silent, in a head, in a body, reading slowly - against
a server with few descriptors: an honest client of another address, and one of the same, get their answers."""

import http.client, json, os, shutil, socket, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
import client
from client import Home, MODEL, POLICY, Server
from secure import make, make_root

CROWD, OTHER = "127.0.0.3", "127.0.0.2"
FILES = 700  # descriptors: 250 connections
SECONDS = 3


def ask(text, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0, **more}
    return json.dumps(body).encode()


def head(length):
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


def first_words(kind):
    if kind == "hello":
        return b"\x16\x03\x01\x02\x00\x01"
    if kind == "head":
        return b"GET / HTTP/1.1\r\nX: a"
    if kind == "body":
        return head(8388608) + b"{"
    if kind == "slow":
        body = ask("Hi", stream=True, max_tokens=400)
        return head(len(body)) + body
    return b""


class Crowd(threading.Thread):
    """n sockets that are opened again when they are closed; of a head or a body a byte now and then."""

    def __init__(self, address, kind, n):
        super().__init__()
        self.address, self.kind, self.n, self.opened, self.over = address, kind, n, 0, False

    def open(self):
        s = socket.socket()
        s.bind((CROWD, 0))
        s.settimeout(2)
        s.connect(self.address)
        s.sendall(first_words(self.kind))
        s.setblocking(False)
        self.opened += 1
        return s

    def keep(self, s):
        """Whether the server still has it."""
        try:
            if self.kind in ("head", "body"):
                s.send(b"a")
            return self.kind == "slow" or s.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def run(self):
        held = []
        while not self.over:
            for s in [s for s in held if not self.keep(s)]:
                held.remove(s)
                s.close()
            while len(held) < self.n and not self.over:
                try:
                    held.append(self.open())
                except OSError:
                    break
            time.sleep(0.02)
        for s in held:
            s.close()


def honest(address, source, results):
    """New connections, an answer each, for a while."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        begin = time.monotonic()
        c = http.client.HTTPConnection(*address, timeout=20, source_address=(source, 0))
        try:
            c.request(
                "POST", "/v1/chat/completions", ask("Hi", max_tokens=1), {"Content-Type": "application/json"}
            )
            r = c.getresponse()
            r.read()
            status = r.status
        except OSError as e:
            status = repr(e)
        c.close()
        results.append((status, time.monotonic() - begin))
        time.sleep(0.05)


bad = []
with Home() as h:
    small = h.dir / "few-files"
    small.write_text(f'#!/bin/sh\nulimit -n {FILES}\nexec "{client.HALLMARK}" "$@"\n')
    small.chmod(0o755)
    client.HALLMARK = str(small)
    args, listen, crowds = ["--policy", POLICY, "--unsigned"], "http://127.0.0.1:0", {"slow": 30}
    crowds.update({"idle": 400, "head": 400, "body": 400})
    if shutil.which("openssl"):
        cert, key = make(h.dir, "server", make_root(h.dir))
        args += ["--tls-cert", cert, "--tls-key", key]
        listen += ",127.0.0.1:0"
        crowds["hello"] = 400  # stops in the handshake
    with Server(h, MODEL, *args, listen=listen) as s:
        address, *secure = [(a.rsplit(":", 1)[0], int(a.rsplit(":", 1)[1])) for a in s.addresses]
        for kind, n in crowds.items():
            crowd = Crowd(secure[0] if kind == "hello" else address, kind, n)
            crowd.start()
            time.sleep(1)
            results = {OTHER: [], CROWD: []}
            clients = [threading.Thread(target=honest, args=(address, a, results[a])) for a in results]
            for c in clients:
                c.start()
            for c in clients:
                c.join()
            crowd.over = True
            crowd.join()
            for source, got in results.items():
                wrong = [x for x in got if x[0] != 200 or x[1] > 10]
                slowest = max(x[1] for x in got)
                print(f"{kind} {n}: {source}: {len(got)} answers, slowest {slowest * 1e3:.0f} ms")
                # the crowd's own address has what the crowd leaves: nearly all, not each
                if len(got) < 3 or len(wrong) > (0 if source == OTHER else len(got) // 10):
                    bad.append(f"{kind}: {source}: {len(wrong)} of {len(got)}: {wrong[:3]}")
        assert s.get("/health")[0] == 200
        assert s.stop() == 0, "the server did not stop cleanly"
sys.exit("\n".join(bad) if bad else 0)
