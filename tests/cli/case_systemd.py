#!/usr/bin/env python3
"""The unit of systemd: how far it shuts the program in, that the program works in there, and what the service
manager is told while it does."""
# peer: systemd

import os, re, shutil, signal, socket, subprocess, sys, time

from client import HALLMARK, MODEL, POLICY, TOP, Home, Server
from sandbox import NOBODY, Sandbox, allowed_calls, library, settings

UNIT = TOP / "docs/hallmark.service"


class Service(Server):
    """`hallmark serve` as a child with these variables, in this sandbox."""

    def __init__(self, home, *args, sandbox=None, **variables):
        log = home.dir / "service.log"
        command = [HALLMARK, "serve", str(MODEL), "--name", "m", "--listen", "localhost:0", "--unsigned"]
        self.process = subprocess.Popen(
            [*command, "--quiet", *map(str, args)],
            env=home.env(**variables),
            stderr=open(log, "wb"),
            preexec_fn=sandbox,
        )
        self.log = log
        for _ in range(600):
            found = re.search(r"listening on http://(\S+)", log.read_text())
            if found or self.process.poll() is not None:
                break
            time.sleep(0.05)
        assert found, (self.process.poll(), log.read_text())
        self.address = found.group(1)


class Manager:
    """The socket of a service manager."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.told = []

    def wait_for(self, line, seconds=60):
        self.socket.settimeout(seconds)
        while True:
            state = self.socket.recv(4096).decode().split("\n")
            self.told.append(state)
            if line in state:
                return state


def what_is_told(h):
    path = str(h.dir / "notify")
    manager = Manager(path)
    with Service(h, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000") as s:
        ready = manager.wait_for("READY=1")
        assert "STATUS=serving m" in ready, ready
        assert s.get("/v1/models")[0] == 200  # it takes connections when it says so
        begin = time.time()
        for _ in range(5):
            manager.wait_for("WATCHDOG=1", 5)
        assert time.time() - begin < 4
        s.process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1", 10)
        assert s.process.wait(60) == 0
    assert [t for t in manager.told if "READY=1" in t] == [ready], manager.told
    # A name without a file; a watchdog that awaits another process.
    manager = Manager("\0hallmark-test-%d" % os.getpid())
    name = "@hallmark-test-%d" % os.getpid()
    with Service(h, NOTIFY_SOCKET=name, WATCHDOG_USEC="100000", WATCHDOG_PID="1") as s:
        manager.wait_for("READY=1")
        time.sleep(0.5)
        assert s.stop() == 0
        manager.wait_for("STOPPING=1", 10)
    assert not any("WATCHDOG=1" in t for t in manager.told), manager.told
    # Nobody there, or no address: it serves all the same.
    for address in (str(h.dir / "nobody"), "relative", "/" + "x" * 200):
        with Service(h, NOTIFY_SOCKET=address) as s:
            assert s.get("/v1/models")[0] == 200
            assert s.stop() == 0


def reload_is_told(h):
    """By a signal and by the unit's own command; a bad policy changes nothing, and that is told too."""
    path = str(h.dir / "notify.2")
    manager = Manager(path)
    policy = h.dir / "policy.toml"
    policy.write_text(POLICY.read_text())
    command = [HALLMARK, *settings(UNIT)["ExecReload"][0].split()[1:]]
    with Service(h, "--policy", policy, NOTIFY_SOCKET=path) as s:
        manager.wait_for("READY=1")
        s.process.send_signal(signal.SIGHUP)
        told = manager.wait_for("RELOADING=1", 20)
        assert told[1].startswith("MONOTONIC_USEC="), told
        assert abs(int(told[1].split("=")[1]) / 1e6 - time.monotonic()) < 10, told
        assert "STATUS=serving m" in manager.wait_for("READY=1", 20)
        policy.write_text(POLICY.read_text() + "\n# another\n")
        assert subprocess.run(command, env=h.env()).returncode == 0
        assert manager.wait_for("RELOADING=1", 20) and manager.wait_for("READY=1", 20)
        policy.write_text("[policy")
        r = subprocess.run(command, env=h.env(), capture_output=True)
        assert r.returncode != 0 and b"policy.toml" in r.stderr, r
        told = manager.wait_for("READY=1", 20)
        assert "the last reload changed nothing: " in told[1], told
        assert s.chat("hello", max_tokens=2)[0] == 200
        assert s.stop() == 0


def use(h, s):
    """Every kind of work that a service does."""
    status, _, answer = s.chat("Is the card 4111 1111 1111 1111 mine?", max_tokens=24)
    assert status == 200, answer
    text, last = s.stream("hello", max_tokens=24)
    assert text and last["hallmark"]["index"] > 0, last
    assert s.get("/v1/receipts/" + answer["id"])[0] == 200
    h.json("audit", "list")
    h.run("audit", "erase", answer["hallmark"]["index"], "--ground", "request", "--actor", "dpo", "--yes")
    assert s.stop() == 0, s.log.read_text()
    assert h.json("audit", "verify")["ok"]


def in_the_sandbox(h):
    """A call that the unit does not allow would kill the process here."""
    h.dir.chmod(0o711)
    if os.geteuid() == 0:
        for path in (h.state, *h.state.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    calls = allowed_calls(UNIT)
    assert 150 < len(calls) < 400 and "read" in calls and not calls & {"mount", "ptrace", "setuid", "reboot"}
    for no_exec_memory in (False, True):
        with Service(h, "--policy", POLICY, sandbox=Sandbox(UNIT, no_exec_memory)) as s:
            command = [HALLMARK, *settings(UNIT)["ExecReload"][0].split()[1:], "--json"]
            shut_in = Sandbox(UNIT, no_exec_memory)
            assert subprocess.run(command, env=h.env(), preexec_fn=shut_in).returncode == 0
            use(h, s)
    # The filter bites: what it does not allow kills.
    r = subprocess.run(["chroot", "/", "true"], preexec_fn=Sandbox(UNIT, False), capture_output=True)
    assert r.returncode == -signal.SIGSYS, r
    code = "import socket; socket.socket(socket.AF_UNIX); socket.socket(socket.AF_NETLINK)"
    r = subprocess.run(["python3", "-c", code], preexec_fn=Sandbox(UNIT, False), capture_output=True)
    assert b"not supported" in r.stderr, r
    # And with nothing to write to but the state folder, which is a link as systemd makes it.
    h.state.rename(h.dir / "private")
    h.state.symlink_to("private")
    probe = subprocess.run(["true"], preexec_fn=Sandbox(UNIT, False, str(h.dir)))
    if probe.returncode == 0:
        with Service(h, "--policy", POLICY, sandbox=Sandbox(UNIT, True, str(h.dir))) as s:
            use(h, s)
    else:
        print("no name spaces here: not shown on a read-only file system")


def interpreted(h):
    """Rules find the same where no memory may be executable."""
    texts = b'{"id": "a", "text": "card 4111 1111 1111 1111, mail a.b@example.org"}\n'
    scans = [
        subprocess.run(
            [HALLMARK, "policy", "scan", "--policy", POLICY],
            input=texts,
            capture_output=True,
            preexec_fn=sandbox,
            check=True,
        ).stdout
        for sandbox in (None, Sandbox(UNIT, True))
    ]
    assert scans[0] == scans[1] and b'"email"' in scans[0], scans


def installed(h):
    """Where it is installed, with the program's path in it."""
    make = ["make", "-s", "install-files", f"DESTDIR={h.dir}/root", "PREFIX=/opt/h"]
    build = os.environ.get("BUILD", "build")
    subprocess.run([*make, f"BUILD={build}"], cwd=TOP, check=True, stdout=sys.stderr)
    text = (h.dir / "root/opt/h/lib/systemd/system/hallmark.service").read_text()
    assert "ExecStart=/opt/h/bin/hallmark serve" in text and "ExecReload=/opt/h/bin/hallmark" in text
    assert "/usr/local" not in text
    assert (h.dir / "root/opt/h/share/doc/hallmark/operating.md").exists()
    assert settings(UNIT)["Type"] == ["notify"]


def exposure():
    analyze = ["systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT]
    r = subprocess.run(analyze, capture_output=True, text=True)
    assert r.returncode == 0, r.stdout
    print(re.search("Overall exposure level.*", r.stdout).group())


with Home() as home:
    home.run("registry", "init")
    what_is_told(home)
    reload_is_told(home)
    installed(home)
    if not shutil.which("systemd-analyze") or not library():
        print("skipped: no systemd-analyze or libseccomp: what the unit allows is not shown")
        sys.exit(77)
    exposure()
    interpreted(home)
    in_the_sandbox(home)
