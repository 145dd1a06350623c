#!/usr/bin/env python3
"""Ten thousand idle connections that have had an answer each cost a few KB and no thread, over TLS some more;
they are still answered, and so is a stranger beside them."""

import os, pathlib, resource, shutil, socket, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server
from secure import context_for, make, make_root

PLAIN, TLS, AGAIN = 10000, 300, 500
KB_EACH, KB_EACH_TLS = 4, 40
REQUEST = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def status(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int([line for line in text.splitlines() if line.startswith(name)][0].split()[1])


def open_one(address, context):
    s = socket.create_connection(address, timeout=30)
    return context.wrap_socket(s, server_hostname="localhost") if context else s


def ask(s):
    s.sendall(REQUEST)
    got = b""
    while not got.endswith(b"}\n"):
        part = s.recv(4096)
        if not part:
            raise SystemExit(f"closed after {got!r}")
        got += part
    assert got.startswith(b"HTTP/1.1 200"), got


def measure(server, address, n, context, most_kb):
    pid = server.process.pid
    for _ in range(50):  # what the first requests cost is not theirs
        ask(open_one(address, context))
    before, held, begin = status(pid, "VmRSS"), [], time.monotonic()
    for _ in range(n):
        held.append(open_one(address, context))
        ask(held[-1])
    each, threads = (status(pid, "VmRSS") - before) / n, status(pid, "Threads")
    print(
        f"{n} idle{' over TLS' if context else ''}: {each:.1f} KiB each, {threads} threads, "
        f"opened in {time.monotonic() - begin:.1f} s"
    )
    begin = time.monotonic()
    ask(open_one(address, context))
    assert time.monotonic() - begin < 2, "a newcomer waits"
    for s in held[:: max(1, n // AGAIN)]:
        ask(s)
    assert each < most_kb, f"{each:.1f} KiB for each idle connection, the limit is {most_kb}"
    assert threads < 60, f"{threads} threads"
    for s in held:
        s.close()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
plain = min(PLAIN, hard - 1500)
with Home() as h:
    args = ["--policy", POLICY, "--unsigned"]
    if shutil.which("openssl"):
        root = make_root(h.dir)
        cert, key = make(h.dir, "server", root)
        args += ["--tls-cert", cert, "--tls-key", key]
    # plain and TLS, at two ports
    listen = "http://127.0.0.1:0" + (",127.0.0.1:0" if len(args) > 3 else "")
    with Server(h, MODEL, *args, listen=listen) as s:
        addresses = [(a.rsplit(":", 1)[0], int(a.rsplit(":", 1)[1])) for a in s.addresses]
        measure(s, addresses[0], plain, None, KB_EACH)
        if len(addresses) > 1:
            measure(s, addresses[1], min(TLS, plain), context_for(root), KB_EACH_TLS)
        else:
            print("peer absent: openssl")
        assert s.stop() == 0, "the server did not stop cleanly"
