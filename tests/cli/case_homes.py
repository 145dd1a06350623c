#!/usr/bin/env python3
"""Odd state folders: one that cannot be written is read by the commands that only read, and the others say
what is wrong; one of another user's is "permission denied"; where there is none, verifying says how to trust
a publisher; a full disk is called a full disk. And what could not be checked never ends as what is wrong."""

import json, os, shutil, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home

ROOT = os.geteuid() == 0
OTHERS = not ROOT or os.stat("/").st_mode & 1  # whether another user can enter the root directory


def as_nobody():
    if ROOT:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def nobody(h, *args, home=None):
    """As a user to whom the state folder does not belong."""
    env = dict(os.environ, HALLMARK_HOME=str(home or h.state), HOME="/nonexistent")
    program = str(h.dir / "hallmark")
    args = [program, *map(str, args)]
    return subprocess.run(args, capture_output=True, env=env, preexec_fn=as_nobody, timeout=300)


def modes(folder, of_folders, of_files):
    for at, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.chmod(os.path.join(at, name), of_files)
        os.chmod(at, of_folders)


def small(h, name):
    folder = h.dir / name
    folder.mkdir()
    (folder / "data.txt").write_text(name)
    return folder


def a_home_that_cannot_be_written(h):
    shutil.copytree(h.state, h.dir / "ro")
    modes(h.dir / "ro", 0o555, 0o444)
    before = {str(p): p.stat().st_mtime_ns for p in (h.dir / "ro").rglob("*")}
    reading = (
        ("registry", "list"),
        ("registry", "show", "k/m"),
        ("registry", "export"),
        ("audit", "verify"),
        ("audit", "list"),
        ("audit", "show", "0"),
        ("audit", "proof", "0"),
        ("key", "list"),
        ("key", "export", "k"),
        ("release", "verify", h.dir / "m"),
        ("release", "show", "k/m"),
        ("fork", "tree"),
    )
    for command in reading:
        r = nobody(h, *command, home=h.dir / "ro")
        assert r.returncode == 0, (command, r)
    writing = (
        ("key", "new", "--name", "x"),
        ("registry", "alias", "k/m", "stable"),
        ("release", "create", h.dir / "m", "--name", "k/m", "--version", "2", "--key", "k"),
    )
    for command in writing:
        r = nobody(h, *command, home=h.dir / "ro")
        assert r.returncode == 1, (command, r)
        assert b"ermission denied" in r.stderr or b"Read-only" in r.stderr, (command, r)
    assert before == {str(p): p.stat().st_mtime_ns for p in (h.dir / "ro").rglob("*")}
    modes(h.dir / "ro", 0o755, 0o644)


def another_users_home(h):
    shutil.copytree(h.state, h.dir / "theirs")
    os.chmod(h.dir / "theirs", 0o000 if not ROOT else 0o700)
    refused = ("registry", "list"), ("audit", "verify"), ("release", "verify", h.dir / "m")
    for command in (*refused, ("registry", "rebuild")):
        r = nobody(h, *command, home=h.dir / "theirs")
        assert r.returncode == 1 and b"permission denied" in r.stderr, (command, r)
        assert b"publish" not in r.stderr, r
    os.chmod(h.dir / "theirs", 0o700)


def a_machine_that_only_verifies(h):
    fresh = dict(h.env(), HALLMARK_HOME=str(h.dir / "fresh"))
    r = h.run("release", "verify", h.dir / "m", env=fresh, status=5)
    assert b"hallmark key import" in r.stderr and b"--key" in r.stderr, r
    for form in ("document", "pem", "minisign", "ssh"):
        key = h.dir / f"k.{form}"
        key.write_bytes(h.run("key", "export", "k", "--format", form).stdout)
        r = h.run("release", "verify", h.dir / "m", "--key", key, env=fresh)
        if form != "document":
            key.write_bytes(key.read_bytes().replace(b"\n", b"\r\n"))
        h.run("release", "verify", h.dir / "m", "--key", key, env=fresh)
    for form in ("pem", "minisign", "ssh"):  # a bare key gets its name at the import
        env = dict(fresh, HALLMARK_HOME=str(h.dir / f"fresh-{form}"))
        key = ("--name", "k", "--models", "*/*")
        made = h.json("key", "import", h.dir / f"k.{form}", *key, env=env)
        checks = "model.sig" if form == "pem" else "manifest.json.minisig"
        assert made["name"] == "k" and made["checks"] == [checks], made
        assert h.json("release", "verify", h.dir / "m", env=env)["signer"] == "k"
    with Home() as other:
        other.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
        key = other.dir / "k.ssh"
        key.write_bytes(other.run("key", "export", "k", "--format", "ssh").stdout)
        env = dict(fresh, HALLMARK_HOME=str(h.dir / "fresh-other"))
        h.run("key", "import", key, "--name", "other", "--models", "*/*", env=env)
        h.run("release", "verify", h.dir / "m", env=env, status=5)


def what_was_not_checked_is_not_wrong(h):
    """Exit 3 is for what was checked, and is wrong."""
    unsigned = small(h, "unsigned")
    linked = h.dir / "linked"
    shutil.copytree(h.dir / "m", linked)
    os.rename(linked / "data.txt", h.dir / "elsewhere")
    (linked / "data.txt").symlink_to("../elsewhere")
    (h.dir / "text.tar").write_text("no package at all")
    (h.dir / "zip.tar").write_bytes(b"PK\x03\x04" + bytes(600))
    (h.dir / "empty.tar").write_bytes(b"")
    (h.dir / "pw").write_text("secret")
    (h.dir / "pw").chmod(0o600)
    h.run("key", "new", "--name", "locked", "--passphrase-file", h.dir / "pw", "--quiet")
    with Home() as other:
        other.run("key", "new", "--name", "z", "--models", "*/*", "--quiet")
        args = ("--name", "z/z", "--version", "1", "--key", "z", "--quiet")
        other.run("release", "create", small(h, "stranger"), *args)
    locked = ("--name", "locked/x", "--version", "1", "--key", "locked", "--no-input")
    rows = (
        (("release", "verify", unsigned), 5, "it is not a signed release"),
        (("serve", unsigned, "--listen", "127.0.0.1:0"), 5, "it is not a signed release"),
        (("release", "verify", linked), 1, "cp -rL"),
        (("release", "verify", h.dir / "text.tar"), 1, "no package"),
        (("release", "verify", h.dir / "zip.tar"), 1, "a zip file"),
        (("release", "verify", h.dir / "empty.tar"), 1, "an empty file"),
        (("release", "verify", h.dir / "stranger"), 5, "hallmark key import"),
        (("release", "verify", h.dir / "nothing"), 5, "nothing"),
        (("release", "create", unsigned, *locked), 1, "--passphrase-file"),
    )
    for command, status, words in rows:
        r = h.run(*command, status=status)
        assert words in r.stderr.decode(), (command, r)
    # And what was, is.
    pem = h.dir / "k.pem"
    h.run("release", "verify", h.dir / "stranger", "--key", pem, status=3)
    damaged = h.dir / "damaged"
    shutil.copytree(h.dir / "m", damaged)
    bundle = json.loads((damaged / "model.sig").read_text())
    signature = bundle["dsseEnvelope"]["signatures"][0]
    sig = signature["sig"]
    signature["sig"] = sig[:20] + ("B" if sig[20] == "A" else "A") + sig[21:]
    (damaged / "model.sig").write_text(json.dumps(bundle))
    h.run("release", "verify", damaged, status=3)
    (linked / "more.txt").write_text("extra, beside what is behind a link")
    h.run("release", "verify", linked, status=3)


def a_full_disk(h):
    full = h.dir / "full"
    full.mkdir()
    if not ROOT or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", full]).returncode:
        print("a full disk: not tried, for this needs a mount")
        return
    try:
        env = dict(h.env(), HALLMARK_HOME=str(full / "home"))
        h.run("key", "new", "--name", "k", "--models", "*/*", "--quiet", env=env)
        ballast = os.open(full / "ballast", os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(ballast, bytes(4096)):
                pass
        except OSError:
            os.close(ballast)
        r = h.run("key", "new", "--name", "k2", "--quiet", env=env, status=None)
        assert r.returncode in (1, 7), r
        assert b"disk is full" in r.stderr or b"No space left" in r.stderr, r
        (full / "ballast").unlink()
        h.run("key", "new", "--name", "k3", "--quiet", env=env)
        assert h.json("audit", "verify", env=env)["ok"]
    finally:
        subprocess.run(["umount", full], check=True)


with Home() as home:
    os.chmod(home.dir, 0o755)
    shutil.copy(HALLMARK, home.dir / "hallmark")
    home.publish(small(home, "m"), "k/m", "1")
    if OTHERS:
        a_home_that_cannot_be_written(home)
        another_users_home(home)
    else:
        print("left out: homes as another user sees them, who cannot enter / here")
    a_machine_that_only_verifies(home)
    what_was_not_checked_is_not_wrong(home)
    a_full_disk(home)
