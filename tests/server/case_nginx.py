#!/usr/bin/env python3
# peer: nginx-light
"""docs/nginx.conf as it stands, but for names and ports: answers, streams that come piece by piece, long
bodies, a client that leaves, kept connections to hallmark."""

import json, os, pathlib, re, shutil, socket, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server, TOP
from secure import Secure, context_for, make, make_root, need_openssl

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
if not NGINX:
    print("skipped: nginx is absent")
    sys.exit(77)
need_openssl()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configure(folder, upstream, port, cert, key):
    text = (TOP / "docs/nginx.conf").read_text()
    for pattern, to in (
        (r"server 127\.0\.0\.1:8080;", f"server {upstream};"),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        (r"listen \[::\]:443 ssl;", ""),
        (r"llm\.example\.org;", "localhost;"),
        (r"ssl_certificate /\S+;", f"ssl_certificate {cert};"),
        (r"ssl_certificate_key /\S+;", f"ssl_certificate_key {key};"),
    ):
        text, n = re.subn(pattern, to, text)
        assert n == 1, pattern
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temp = "".join(f"{x}_temp_path {folder}/{x};\n" for x in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off;\nworker_processes 1;\n{user}pid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\n"
        f"events {{ }}\nhttp {{\naccess_log off;\n{temp}{text}\n}}\n"
    )
    return conf


def post(body):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chat(**more):
    messages = [{"role": "user", "content": "How do I open an account?"}]
    return json.dumps({"model": "m", "messages": messages, "temperature": 0, **more}).encode()


def connections_of(port):
    """Established ones to a local port."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(x.split()[1].endswith(f":{port:04X}") and x.split()[3] == "01" for x in lines)


def pieces(c):
    """(seconds until it came, bytes) of each piece of a stream."""
    begin, got = time.monotonic(), []
    while not got or not got[-1][1].endswith(b"0\r\n\r\n"):
        part = c.recv()
        assert part, "cut off"
        got.append((time.monotonic() - begin, part))
    return got


with Home() as h:
    root = make_root(h.dir)
    cert, key = make(h.dir, "localhost", root)
    with Server(h, MODEL, "--policy", POLICY, "--unsigned", "--trusted-proxy", "127.0.0.1") as s:
        port = free_port()
        conf = configure(h.dir, s.address, port, cert, key)
        nginx = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(h.dir)], stderr=subprocess.DEVNULL)
        try:
            address, context = f"127.0.0.1:{port}", context_for(root)
            for _ in range(200):
                try:
                    Secure(address, context).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            with Secure(address, context) as c:
                c.send(post(chat(max_tokens=8)))
                assert c.recv_one().startswith(b"HTTP/1.1 200"), "a plain answer"
                c.send(post(chat(max_tokens=60, stream=True, ignore_eos=True)))
                got = pieces(c)
                assert b"data: [DONE]" in b"".join(p for _, p in got)
                first, last = got[0][0], got[-1][0]
                assert len(got) >= 10 and first < last / 2, (len(got), first, last)
                for _ in range(20):
                    c.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert c.recv_one().startswith(b"HTTP/1.1 200")
                mine = connections_of(int(s.address.rsplit(":", 1)[1]))
                assert mine <= 3, f"{mine} connections to hallmark: they are not kept"
            with Secure(address, context) as c:  # long, and then too long
                c.send(post(chat(messages=[{"role": "user", "content": "x" * 3000000}])))
                assert c.recv_one().startswith(b"HTTP/1.1 400"), "the prompt is too long, its body is not"
            with Secure(address, context) as c:
                c.send(post(b"x")[:-5].replace(b"Content-Length: ", b"Content-Length: 9000000") + b"\r\n\r\n")
                assert b" 413 " in c.recv(), "more than 8 MiB"
            # a client that leaves ends its answer
            with Secure(address, context) as c:
                c.send(post(chat(max_tokens=1900, stream=True, ignore_eos=True)))
                c.recv()
            begin = time.monotonic()
            outcomes = ""
            while "cancelled" not in outcomes and "aborted" not in outcomes:
                assert time.monotonic() - begin < 20, outcomes
                time.sleep(0.2)
                outcomes = h.run("audit", "list", "--json").stdout.decode()
        finally:
            nginx.terminate()
            nginx.wait(20)
        assert s.stop() == 0, "the server did not stop cleanly"
