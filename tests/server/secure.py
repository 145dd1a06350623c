"""Certificates made by openssl, and a TLS client that can shut its sending side alone, as a socket can."""

import shutil, socket, ssl, subprocess, sys

EXTENSIONS = {"server": "subjectAltName=DNS:localhost,IP:127.0.0.1", "client": "extendedKeyUsage=clientAuth"}


def need_openssl():
    if not shutil.which("openssl"):
        print("skipped: openssl is absent")
        sys.exit(77)


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_root(folder, name="root"):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365"
    openssl(*new.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", cert)
    return cert, key


def make(folder, name, root, kind="server", days=90):
    """(certificate, key), signed by a root."""
    cert, key, ask, ext = (folder / f"{name}.{x}" for x in ("pem", "key", "csr", "ext"))
    new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(*new.split(), "-subj", f"/CN={name}", "-keyout", key, "-out", ask)
    ext.write_text(EXTENSIONS[kind] + "\n")
    sign = "x509 -req -CAcreateserial -days"
    openssl(*sign.split(), days, "-in", ask, "-CA", root[0], "-CAkey", root[1], "-extfile", ext, "-out", cert)
    return cert, key


def context_for(root, pair=None):
    c = ssl.create_default_context(cafile=str(root[0]))
    if pair:
        c.load_cert_chain(*map(str, pair))
    return c


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


class Plain:
    """A connection, with one way of speaking for plain and TLS."""

    def __init__(self, address, context=None, timeout=20, source=None):
        self.raw = socket.create_connection(split(address), timeout, source)

    def send(self, data):
        self.raw.sendall(data)

    def shut(self):
        self.raw.shutdown(socket.SHUT_WR)

    def recv(self):
        """What comes next; b"" at the end."""
        return self.raw.recv(65536)

    def close(self):
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def recv_one(self):
        """One response with a length."""
        got = b""
        while b"\r\n\r\n" not in got:
            part = self.recv()
            if not part:
                raise ConnectionResetError(f"closed after {got!r}")
            got += part
        head, rest = got.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(rest) < length:
            rest += self.recv()
        return head + b"\r\n\r\n" + rest


class Secure(Plain):
    def __init__(self, address, context, timeout=20, source=None):
        super().__init__(address, None, timeout, source)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.ended = False
        self.pump(self.tls.do_handshake)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.raw.sendall(data)

    def pump(self, call, *args):
        while True:
            try:
                result = call(*args)
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                part = self.raw.recv(65536)
                if part:
                    self.incoming.write(part)
                else:
                    self.incoming.write_eof()

    def send(self, data):
        for at in range(0, len(data), 65536):
            self.pump(self.tls.write, data[at : at + 65536])

    def shut(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            pass
        self.flush()
        self.raw.shutdown(socket.SHUT_WR)

    def recv(self):
        """b"" where the server said that it ends; an end that it did not say raises."""
        try:
            return self.pump(self.tls.read, 65536)
        except ssl.SSLZeroReturnError:
            return b""
