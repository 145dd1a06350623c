#!/usr/bin/env python3
"""While a server runs, every command that appends works beside it, with the same results and exit codes;
whoever is killed, guest or server, leaves a whole log and no folder half published.
   case_door.py [RUSHES]"""

import fcntl, json, os, pathlib, random, signal, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, Server, TOP, tiny_model

FORK = TOP / "demo/fork-travel-fp8"
RUSHES = int(sys.argv[1]) if len(sys.argv) > 1 else 3


def types(h):
    return [e["entry"]["type"] for e in h.json("audit", "list", "--count", "10000")["entries"]]


def clean(h, ok=True):
    verdict = h.json("audit", "verify")
    assert verdict["ok"] and not verdict["problems"], verdict
    return verdict


def create(h, folder, name, *more, status=0, **kw):
    return h.run(
        *("release", "create", folder, "--name", name, "--version", "1.0.0", "--key", "k"),
        *("--json", "--quiet", *more),
        status=status,
        **kw,
    )


def every_command(h, s):
    """What fails without a server fails with the same code beside one."""
    h.run("key", "new", "--name", "b", "--quiet")
    h.run("key", "new", "--name", "b", "--quiet", status=6)
    model = h.model()
    made = json.loads(create(h, model, "k/bank", "--package", h.dir / "bank.tar").stdout)
    assert h.json("release", "verify", model)["ok"] and h.json("release", "verify", h.dir / "bank.tar")["ok"]
    vkey = h.run("key", "export", "--log", "--format", "vkey").stdout.decode().strip()
    assert h.json("audit", "verify", "--receipt", made["receipt"], "--vkey", vkey)["index"] == made["index"]
    h.run("registry", "alias", "k/bank@1.0.0", "stable")
    assert h.json("registry", "show", "k/bank@stable")["root"] == made["root"]
    h.run("registry", "alias", "k/none", "stable", status=5)
    assert h.json("registry", "init")["ok"]
    found = h.json("fork", "audit", FORK)
    assert found["index"] > made["index"], found
    answer = h.json("run", MODEL, "What is an overdraft?", "--unsigned", "--max-tokens", 8)["hallmark"]
    for index in (answer["index"], s.chat("Hello", max_tokens=8)[2]["hallmark"]["index"]):
        h.run("audit", "show", index, "--disclose")
        h.run("audit", "erase", index, "--ground", "request", "--actor", "dpo", "--yes")
        h.run("audit", "show", index, "--disclose", status=5)
        h.run("audit", "erase", index, "--ground", "request", "--actor", "dpo", "--yes", status=5)
    other = Home()
    other.run("key", "new", "--name", "theirs", "--quiet")
    h.run("key", "import", other.state / "keys/theirs.pub")
    other.__exit__()
    second = h.run("serve", MODEL, "--unsigned", "--listen", "127.0.0.1:0", "--wait", 0, status=6)
    assert f"`hallmark serve` (process {s.process.pid}) writes to" in second.stderr.decode(), second
    assert s.chat("Hello", max_tokens=4)[0] == 200


def many(h, s):
    """Twenty releases and the server's own answers at once."""
    answers = []
    asking = [
        threading.Thread(target=lambda: answers.append(s.chat("Hello", max_tokens=4)[0])) for _ in range(8)
    ]
    folders = [tiny_model(h.dir / f"m{i}", i) for i in range(20)]
    made = [
        subprocess.Popen(
            [HALLMARK, "release", "create", str(f), "--name", f"k/{f.name}", "--version", "1.0.0"]
            + ["--key", "k", "--json", "--quiet", "--wait", "600"],
            env=h.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for f in folders
    ]
    for t in asking:
        t.start()
    ended = [(p.communicate(timeout=600), p.returncode) for p in made]
    for t in asking:
        t.join()
    assert all(code == 0 for _, code in ended), ended
    assert answers == [200] * 8, answers
    assert len({json.loads(out)["index"] for (out, _), _ in ended}) == 20
    for f in folders:
        assert h.json("release", "verify", f)["ok"]


def guest_killed(h, s):
    """At each step of a publication: the server goes on, the next command puts the folder in order."""
    steps = ("publish.begun", "publish.staged", "publish.committed", "publish.moved", "publish.renamed")
    for i, step in enumerate(steps):
        folder = tiny_model(h.dir / f"killed{i}", 100 + i)
        lost = types(h).count("lost")
        env = h.env(HALLMARK_CRASH_AT=step)
        create(h, folder, f"k/killed{i}", status=-9, env=env)
        for _ in range(600):
            if types(h).count("lost") > lost or step in ("publish.begun", "publish.staged"):
                break
            time.sleep(0.05)
        h.run("registry", "init", "--quiet")
        assert not (h.dir / f"killed{i}.hallmark.part").exists(), step
        logged = h.run("registry", "show", f"k/killed{i}@1.0.0", status=None).returncode == 0
        assert logged == (i >= 2), step
        assert not logged or h.json("release", "verify", folder)["ok"], step
        assert create(h, folder, f"k/killed{i}", status=None).returncode in (0, 6), step
        assert h.json("release", "verify", folder)["ok"], step
    clean(h)


def guest_left_alone(h, s):
    """What another publishes at this moment is not taken for what a crash left."""
    folder = tiny_model(h.dir / "alone", 200)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    r = create(h, folder, "k/alone", status=6)
    assert b"is being published by another process" in r.stderr, r
    os.close(lock)
    create(h, folder, "k/alone")


def talk(h):
    chat = subprocess.Popen(
        [HALLMARK, "run", str(MODEL), "--unsigned", "--quiet", "--no-input"],
        env=h.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    chat.stdin.write(b"Hello\n")
    chat.stdin.flush()
    chat.stdout.read(1)
    return chat


def server_ends(h, how):
    """A guest at work when the server ends: told so, exit 7; nothing that was acknowledged is lost."""
    with Server(h, MODEL, "--unsigned") as s:
        chat = talk(h)
        s.process.send_signal(how)
        status = s.process.wait(timeout=60)
        assert status == (0 if how == signal.SIGTERM else -how), status
        said = chat.communicate(b"Hello again\n", timeout=120)[1].decode()
        assert chat.returncode == 7, (chat.returncode, said)
        assert "the process that writes to" in said and "ended" in said, said
    clean(h)
    h.run("key", "new", "--name", f"after-{how.name.lower()}", "--quiet")
    assert not clean(h)["remarks"]


def server_restarts(h, how):
    """While a command hashes, the server that writes for it ends: it goes on alone, or through the next."""
    for again in (False, True):
        folder = tiny_model(h.dir / f"long-{how.name}-{again}", 300 + again)
        with open(folder / "weights.bin", "wb") as f:
            f.truncate(1 << 30)
        s = Server(h, MODEL, "--unsigned")
        made = subprocess.Popen(
            [HALLMARK, "release", "create", str(folder), "--name", f"k/{folder.name.lower()}"]
            + ["--version", "1.0.0", "--key", "k", "--quiet", "--wait", "300"],
            env=h.env(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        staged = pathlib.Path(f"{folder}.hallmark.part")
        while not staged.exists() and made.poll() is None:
            time.sleep(0.002)
        s.process.send_signal(how)
        assert made.poll() is None, "it hashed too fast to test anything"
        s.process.wait(timeout=60)
        after = Server(h, MODEL, "--unsigned") if again else None
        assert made.wait(timeout=300) == 0, made.stderr.read()
        if after:
            assert after.stop() == 0
        assert h.json("release", "verify", folder)["ok"] and not staged.exists()
        assert not clean(h)["remarks"]


def killed_in_the_rush(h, loops):
    """Servers killed while commands write through them: whoever got exit 0 has its record, no number is
    without a record or a `lost`, and the next command opens the log."""
    rng, acknowledged = random.Random(7), set()
    for loop in range(loops):
        with Server(h, MODEL, "--unsigned") as s:
            rush = {
                f"r{loop}-{i}": subprocess.Popen(
                    [HALLMARK, "key", "new", "--name", f"r{loop}-{i}", "--quiet", "--wait", str(i % 2 * 60)],
                    env=h.env(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                for i in range(10)
            }
            time.sleep(rng.random() * 0.2)
            s.process.kill()
            s.process.wait()
            for name, p in rush.items():
                said = p.communicate(timeout=300)[1].decode()
                assert p.returncode in (0, 6, 7), (name, p.returncode, said)
                acknowledged |= {name} if p.returncode == 0 else set()
                if p.returncode == 7 and "nothing was recorded" in said:
                    h.run("key", "new", "--name", name, "--quiet")  # as it says
                    acknowledged |= {name}
        h.run("registry", "init", "--quiet")
        verdict = clean(h)
        assert not verdict["remarks"], verdict
    entries = [e["entry"] for e in h.json("audit", "list", "--count", "100000")["entries"]]
    logged = [e["body"]["name"] for e in entries if e["type"] == "key"]
    assert acknowledged <= set(logged) and len(logged) == len(set(logged)), acknowledged - set(logged)


class LongHome(Home):
    """A path that no address of a local socket holds."""

    def __init__(self):
        super().__init__()
        self.state = self.dir / ("long-" + "x" * 120) / ("y" * 60) / "home"


for kind in (Home, LongHome):
    with kind() as h:
        h.run("key", "new", "--name", "k", "--quiet")
        with Server(h, MODEL, "--unsigned") as s:
            door = (h.state / "door").stat()
            assert door.st_mode & 0o777 == 0o600, oct(door.st_mode)
            assert h.state.stat().st_mode & 0o777 == 0o700
            every_command(h, s)
            if kind is Home:
                many(h, s)
                guest_killed(h, s)
                guest_left_alone(h, s)
            assert s.stop() == 0
        assert not (h.state / "door").exists()
        assert not clean(h)["remarks"]
        for how in (signal.SIGTERM, signal.SIGKILL):
            server_ends(h, how)
            if kind is Home:
                server_restarts(h, how)
        killed_in_the_rush(h, RUSHES if kind is Home else 1)
