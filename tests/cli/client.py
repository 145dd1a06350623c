"""What the command-line tests share: a program, a fresh state folder, a running server."""

import http.client, json, os, pathlib, re, shutil, struct, subprocess, sys, tempfile, time

BUILD = os.environ.get("BUILD", "build")
HALLMARK = os.path.abspath(f"{BUILD}/hallmark")
TOP = pathlib.Path(__file__).resolve().parents[2]
MODEL = TOP / "demo/model"
POLICY = TOP / "demo/policy.toml"


class Home:
    """A temporary folder with a state folder in it, removed at the end."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hallmark-test."))
        self.state = self.dir / "home"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def env(self, **more):
        return dict(os.environ, HALLMARK_HOME=str(self.state), **more)

    def run(self, *args, status=0, env=None, **kw):
        r = subprocess.run(
            [HALLMARK, *map(str, args)],
            capture_output=True,
            env=env or self.env(),
            timeout=300,
            **kw,
        )
        if status is not None and r.returncode != status:
            raise SystemExit(
                f"expected exit {status}, got {r.returncode}: hallmark {' '.join(map(str, args))}\n"
                f"{r.stdout.decode()}{r.stderr.decode()}"
            )
        return r

    def json(self, *args, status=0, **kw):
        return json.loads(self.run(*args, "--json", status=status, **kw).stdout)

    def model(self, name="model"):
        """A private copy of the demo model."""
        shutil.copytree(MODEL, self.dir / name)
        return self.dir / name

    def publish(self, folder, name="hallmark/fernbank-demo", version="1.0.0"):
        if not (self.state / "keys/k.pub").exists():
            self.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
        return self.json(
            "release",
            "create",
            folder,
            "--name",
            name,
            "--version",
            version,
            "--key",
            "k",
            "--quiet",
        )


class Server:
    """`hallmark serve` on a free port; the model is called m. addresses: of all TCP listeners."""

    def __init__(self, home, ref, *args, env=None, listen="127.0.0.1:0", name="m", quiet=True):
        self.log = open(home.dir / "server.log", "w+b")
        self.process = subprocess.Popen(
            [
                HALLMARK,
                "serve",
                str(ref),
                "--name",
                name,
                "--listen",
                listen,
                *(["--quiet"] if quiet else []),
                *map(str, args),
            ],
            env=env or home.env(),
            stderr=self.log,
        )
        for _ in range(600):
            log = pathlib.Path(self.log.name).read_bytes()
            found = re.findall(rb"listening on https?://(\S+)\n", log)
            if len(found) > listen.count(",") or self.process.poll() is not None:
                break
            time.sleep(0.05)
        if not found:
            self.process.kill()
            raise ServerEnded(self.process.wait(), pathlib.Path(self.log.name).read_text())
        self.addresses = [f.decode() for f in found]
        self.address = self.addresses[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=60)

    def chat(self, text, **more):
        """(status, headers, document) of a plain answer."""
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            **more,
        }
        c = http.client.HTTPConnection(self.address, timeout=60)
        c.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        r = c.getresponse()
        return r.status, dict(r.getheaders()), json.loads(r.read())

    def stream(self, text, **more):
        """(text, finishing chunk) of a streamed answer."""
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "stream": True,
            **more,
        }
        c = http.client.HTTPConnection(self.address, timeout=60)
        c.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        r = c.getresponse()
        assert r.status == 200, (r.status, r.read())
        out, last, done = "", None, False
        for line in r:
            if line.startswith(b"data: [DONE]"):
                done = True
            elif line.startswith(b"data: "):
                chunk = json.loads(line[6:])
                for choice in chunk["choices"]:
                    out += choice["delta"].get("content") or ""
                    if choice["finish_reason"]:
                        last = chunk
        assert done, "no [DONE]"
        return out, last

    def get(self, path):
        c = http.client.HTTPConnection(self.address, timeout=60)
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read()


class ServerEnded(Exception):
    def __init__(self, status, text):
        super().__init__(f"server ended with {status}: {text}")
        self.status = status


def tiny_model(folder, i):
    """A folder with the smallest model, another for each i."""
    folder.mkdir()
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [64], "data_offsets": [0, 256]}}, separators=(",", ":")
    ).encode()
    values = struct.pack("<64f", *(float(i * 64 + k) for k in range(64)))
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))
