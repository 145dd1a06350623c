#!/usr/bin/env python3
# peer: openssl
"""TLS from outside: chats and streams, new certificates while it serves, certificates of clients and the
record of who they were, and clients that speak it badly, slowly, or not at all."""

import hashlib, json, os, pathlib, socket, ssl, sys, time, warnings

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server
from secure import Plain, Secure, context_for, make, make_root, need_openssl, split

HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
need_openssl()
warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions, which are to be refused


def chat(stream):
    body = json.dumps(
        {
            "model": "m",
            "messages": [{"role": "user", "content": "How do I open an account?"}],
            "temperature": 0,
            "max_tokens": 30,
            "stream": stream,
        }
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def text_of(stream):
    lines = stream.replace(b"\r\n", b"\n").split(b"\n")
    chunks = [json.loads(x[6:]) for x in lines if x.startswith(b"data: {")]
    return "".join(c["delta"].get("content") or "" for x in chunks for c in x["choices"])


def name_of(address, context):
    with socket.create_connection(split(address), 20) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as s:
            return dict(x[0] for x in s.getpeercert()["subject"])["commonName"]


def is_closed_soon(c, most=5):
    c.raw.settimeout(most)
    try:
        while c.raw.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def speak_well(s, context):
    with Secure(s.address, context) as c:
        assert c.tls.version() == "TLSv1.3", c.tls.version()
        c.send(chat(False))
        whole = json.loads(c.recv_one().split(b"\r\n\r\n", 1)[1])["choices"][0]["message"]["content"]
        c.send(chat(True))
        got, parts = b"", 0
        while not got.endswith(b"0\r\n\r\n"):
            got += c.recv()
            parts += 1
        assert text_of(got) == whole, (text_of(got), whole)
        assert parts > 3, f"a stream comes in pieces: {parts}"
        c.send(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert c.recv_one() and c.recv() == b"", "close_notify"
    old = context_for(root)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with Secure(s.address, old) as c:
        c.send(HEALTH)
        assert c.recv_one().startswith(b"HTTP/1.1 200") and c.tls.version() == "TLSv1.2"
    # a session is taken up again
    with socket.create_connection(split(s.address), 20) as raw, context.wrap_socket(
        raw, server_hostname="localhost"
    ) as one:
        one.sendall(HEALTH)
        one.recv(4096)
        kept = one.session
    with socket.create_connection(split(s.address), 20) as raw, context.wrap_socket(
        raw, server_hostname="localhost", session=kept
    ) as two:
        assert two.session_reused
    # a byte to a record, and many requests' worth of records
    with Secure(s.address, context) as c:
        for byte in HEALTH:
            c.send(bytes([byte]))
        assert c.recv_one().startswith(b"HTTP/1.1 200")


def speak_badly(s, context):
    with Plain(s.address) as c:
        c.send(HEALTH)
        got = c.recv()
        assert got.startswith(b"HTTP/1.1 400 ") and b"this port speaks TLS" in got, got
        assert is_closed_soon(c)
    record = b"\x16\x03\x01\x40\x00"
    for garbage in (bytes(100), record + b"x" * 20000, b"\x80\x2e\x01\x00\x02", b"{}\r\n", b"SSH-2.0-x\r\n"):
        with Plain(s.address) as c:
            c.send(garbage)
            assert is_closed_soon(c), garbage[:10]
    for wrong in ("h2", "TLSv1.1"):
        bad = context_for(root)
        if wrong == "h2":
            bad.set_alpn_protocols(["h2"])
        else:
            bad.set_ciphers("ALL:@SECLEVEL=0")
            bad.minimum_version = ssl.TLSVersion.TLSv1
            bad.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            Secure(s.address, bad).close()
            raise SystemExit(f"{wrong} was taken")
        except (ssl.SSLError, ConnectionResetError):
            pass
    # TLS at the plain port
    with Plain(s.addresses[1]) as c:
        c.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
        assert c.recv().startswith(b"HTTP/1.1 400 ") and is_closed_soon(c)
    # the end of a head that TLS was not told of; and of a stream
    with Secure(s.address, context) as c:
        c.send(HEALTH[:20])
        c.raw.shutdown(socket.SHUT_WR)
        assert is_closed_soon(c)


def stall(s):
    """Clients that stop in the handshake: all are let go after the time for a head, and hold nobody up."""
    hello = ssl.MemoryBIO()
    c = context_for(root).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    try:
        c.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = hello.read()
    lengths = (0, 1, 5, 50, len(hello) - 1, len(hello))
    return [(n, Plain(s.address)) for n in lengths for _ in range(20)], hello


def reload(home, status):
    """By the operator's socket."""
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(str(home.state / "admin.sock"))
        c.sendall(b"POST /admin/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                  b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        got = b""
        while part := c.recv(65536):
            got += part
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    return got.decode()


def replace_files(s, home, context, cert, key):
    """A new pair is taken within seconds, a bad one never; what is open goes on."""
    kept = Secure(s.address, context)
    kept.send(HEALTH)
    kept.recv_one()
    log = pathlib.Path(s.log.name)
    good = cert.read_bytes(), key.read_bytes()
    new = make(home.dir, "second", root)
    cert.write_bytes(new[0].read_bytes())  # half of a pair, for a moment
    key.write_bytes(new[1].read_bytes())
    end = time.monotonic() + 15
    while name_of(s.address, context) != "second":
        assert time.monotonic() < end, "the new certificate is not taken"
        time.sleep(0.2)
    key.write_bytes(good[1])
    while b"is not the certificate's key" not in log.read_bytes():
        assert time.monotonic() < end + 15, log.read_text()
        time.sleep(0.2)
    assert name_of(s.address, context) == "second"
    key.chmod(0o644)
    cert.write_bytes(good[0])
    while b"chmod 600" not in log.read_bytes():
        assert time.monotonic() < end + 30, log.read_text()
        time.sleep(0.2)
    assert name_of(s.address, context) == "second"
    kept.send(HEALTH)
    assert kept.recv_one().startswith(b"HTTP/1.1 200"), "a connection keeps what it began with"
    kept.close()
    assert "chmod 600" in reload(home, 200), "at once, and with the reason"
    assert name_of(s.address, context) == "second"
    key.chmod(0o600)
    reload(home, 200)
    assert name_of(s.address, context) == "server"


def refuse_at_start(home, cert, key):
    other = make(home.dir, "other", root)
    for args, sentence in (
        (["--tls-cert", cert, "--tls-key", other[1]], "is not the certificate's key"),
        (["--tls-cert", cert], "needs both a certificate and its key"),
        (["--tls-cert", cert, "--tls-key", home.dir / "nowhere.key"], "nowhere.key"),
        (["--listen", "https://127.0.0.1:0"], "there is no TLS certificate"),
        (["--listen", "0.0.0.0:0"], "make one first with `hallmark token new"),
        (["--listen", "0.0.0.0:0", "--auth", "none"], "anyone who reaches it could ask"),
    ):
        if "--listen" not in args:
            args += ["--listen", "127.0.0.1:0"]
        r = home.run("serve", MODEL, "--name", "m", "--unsigned", *args, status=None)
        assert r.returncode != 0 and sentence in r.stderr.decode(), (args, r)


def know_clients(home, cert, key):
    mine = make(home.dir, "alice", root, "client")
    strange = make(home.dir, "mallory", make_root(home.dir, "else"), "client")
    more = ["--tls-cert", cert, "--tls-key", key, "--client-ca", root[0]]
    # who has a certificate is no stranger: any address may be listened on
    with Server(home, MODEL, "--policy", POLICY, "--unsigned", *more, listen="0.0.0.0:0") as s:
        address = "127.0.0.1:" + s.address.rsplit(":", 1)[1]
        for pair in (None, strange):
            try:
                with Secure(address, context_for(root, pair)) as c:
                    c.send(HEALTH)
                    got = c.recv()
                raise SystemExit(f"let in with {pair}: {got}")
            except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
                pass
        with Secure(address, context_for(root, mine)) as c:
            c.send(chat(False))
            answer = json.loads(c.recv_one().split(b"\r\n\r\n", 1)[1])
        assert s.stop() == 0
    # nobody with a certificate says that another asks, but a proxy that is trusted
    names = chat(False).replace(b"Host: a\r\n", b"Host: a\r\nX-User: bob\r\n")
    more += ["--subject-header", "x-user"]
    for proxies, status in (([], b"403"), (["--trusted-proxy", "127.0.0.1"], b"200")):
        with Server(home, MODEL, "--policy", POLICY, "--unsigned", *more, *proxies) as s:
            with Secure(s.address, context_for(root, mine)) as c:
                c.send(names)
                assert c.recv_one().split(b" ", 2)[1] == status, proxies
    der = ssl.PEM_cert_to_DER_cert(mine[0].read_text())
    client = "cert:" + hashlib.sha256(der).hexdigest()[:48]
    shown = json.dumps(home.json("audit", "show", answer["hallmark"]["index"], "--disclose"))
    assert json.dumps(client) in shown, (client, shown)


with Home() as h:
    root = make_root(h.dir)
    cert, key = make(h.dir, "server", root)
    refuse_at_start(h, cert, key)
    more = ["--policy", POLICY, "--unsigned", "--tls-cert", cert, "--tls-key", key]
    with Server(h, MODEL, *more, listen="127.0.0.1:0,http://127.0.0.1:0") as s:
        context = context_for(root)
        stalled, hello = stall(s)
        begun = time.monotonic()
        for n, c in stalled:
            c.send(hello[:n])
        speak_well(s, context)
        speak_badly(s, context)
        replace_files(s, h, context, cert, key)
        time.sleep(max(0, begun + 12 - time.monotonic()))
        assert all(is_closed_soon(c) for _, c in stalled), "who stops in the handshake is let go"
        assert s.stop() == 0, "the server did not stop cleanly"
    know_clients(h, cert, key)
