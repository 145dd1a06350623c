#!/usr/bin/env python3
"""A release verifies as it was made; every change is caught with exit 3 and named; a conflict or a bad
word has its own exit code."""

import json, os, shutil, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, flip

with Home() as h:
    model = h.model()
    made = h.publish(model)
    assert made["name"] == "hallmark/fernbank-demo" and made["root"].startswith("sha256:"), made
    assert (h.dir / "model.hallmark/receipt.tlog-proof").exists()
    assert not (h.dir / "model.hallmark.part").exists()
    good = h.json("release", "verify", model)
    assert (
        good["ok"]
        and good["signer"] == "k"
        and good["root"] == made["root"]
        and not good["failures"]
    ), good
    assert {c["name"] for c in good["checks"]} == {
        *("signature", "files", "minisign", "release", "provenance", "receipt", "name")
    }, good
    assert good["model"] == "hallmark/fernbank-demo" and good["version"] == "1.0.0", good
    assert h.json("release", "verify", "hallmark/fernbank-demo")["ok"]
    assert h.json("release", "verify", made["root"])["ok"]

    # The same version again is a repetition: case_again.py.
    assert h.publish(model) == dict(made, existing=True)
    assert h.json("release", "verify", model)["ok"]

    pem = h.dir / "k.pem"
    pem.write_bytes(h.run("key", "export", "k", "--format", "pem").stdout)
    changed = [
        ("weight", lambda d: flip(d / "model.safetensors", 9000000), "model.safetensors"),
        ("readme", lambda d: flip(d / "README.md", 10), "README.md"),
        ("missing", lambda d: (d / "README.md").unlink(), "README.md"),
        ("renamed", lambda d: (d / "README.md").rename(d / "README.txt"), "README.md"),
        ("extra", lambda d: (d / "extra").write_text("x"), "extra"),
        ("truncated", lambda d: os.truncate(d / "model.safetensors", 1000000), "model.safetensors"),
    ]
    for what, change, path in changed:
        copy = h.dir / what
        shutil.copytree(model, copy)
        change(copy)
        bad = h.json("release", "verify", copy, "--key", pem, status=3)
        assert not bad["ok"] and path in [f["path"] for f in bad["failures"]], (what, bad)
    weight = h.json("release", "verify", h.dir / "weight", status=3)["failures"][0]
    assert weight["tensor"] and weight["tensor"].startswith("model."), weight
    assert h.json("release", "verify", h.dir / "extra", "--ignore-unsigned-files")["ok"]

    flip(h.dir / "readme/model.sig", 900)
    assert not h.json("release", "verify", h.dir / "readme", status=3)["ok"]
    shutil.copytree(model, h.dir / "unsigned", ignore=shutil.ignore_patterns("model.sig"))
    h.run("release", "verify", h.dir / "unsigned", status=5)
    h.run("release", "verify", h.dir / "nothing-here", status=5)
    h.run(
        "release", "create", model, "--name", "no-slash", "--version", "1", "--key", "k", status=2
    )
    h.run("release", "create", model, "--name", "a/b", "--version", "1", "--key", "other", status=5)
    h.run("release", "create", model, status=2)

    # A second publisher is not trusted until imported.
    with Home() as other:
        theirs = other.model()
        other.publish(theirs, "acme/x")
        h.run("release", "verify", theirs, status=5)
        (h.dir / "acme.pub").write_bytes(other.run("key", "show", "k").stdout)
        h.run("release", "verify", theirs, "--key", h.dir / "acme.pub", status=3)  # k is not acme
        h.run("release", "verify", theirs, "--key", h.dir / "acme.pub", "--name", "acme/x")
        h.run(*("release", "verify", theirs, "--key", h.dir / "acme.pub"), *("--name", "acme/y"), status=3)

    # The package is the same release; a tampered one is not.
    tar = h.dir / "p.tar"
    h.run(
        "release",
        "create",
        model,
        "--name",
        "hallmark/fernbank-demo",
        "--version",
        "1.0.1",
        "--key",
        "k",
        "--package",
        tar,
        "--quiet",
    )
    assert h.json("release", "verify", tar)["ok"]

    # Unpacked by us, or by plain tar: the same release, with its name.
    out = h.json("release", "unpack", tar, h.dir / "out", "--name", "hallmark/fernbank-demo")
    assert out["ok"] and out["version"] == "1.0.1" and (h.dir / "out.hallmark/release.json").exists()
    h.run("release", "unpack", tar, h.dir / "out", status=6)
    h.run("release", "unpack", tar, h.dir / "other", "--name", "acme/other", status=3)
    assert not (h.dir / "other").exists() and not (h.dir / "other.part").exists()
    (h.dir / "plain").mkdir()
    subprocess.run(["tar", "xf", tar, "-C", h.dir / "plain"], check=True)
    for folder in ("out", "plain"):
        got = h.json("release", "verify", h.dir / folder)
        assert got["ok"] and got["model"] == "hallmark/fernbank-demo", got
        assert {c["name"] for c in got["checks"]} >= {"minisign", "release", "receipt"}, got

    # It is read where it lies: nothing is copied to where temporary files would go.
    nowhere = h.env(TMPDIR="/nonexistent/nowhere")
    root = h.json("release", "show", model)["root"]
    assert h.json("release", "verify", tar, env=nowhere)["root"] == root
    assert h.json("release", "show", tar, env=nowhere)["root"] == root
    answer = ["What is an overdraft?", "--max-tokens", 4]
    for unsigned in ([], ["--unsigned"]):
        said = h.json("run", tar, *answer, *unsigned, env=nowhere)
        record = h.json("audit", "show", said["hallmark"]["index"], env=nowhere)
        assert record["entry"]["outcome"] == "completed", record
    with Server(h, tar, env=nowhere) as s:
        assert s.stream(answer[0], max_tokens=4)[0] is not None
    compared = h.json("fork", "compare", model, tar, env=nowhere)
    assert compared["verdict"] == "identical", compared

    # A hole of 64 GiB in front of it is skipped, not read.
    huge = h.dir / "huge.tar"
    head = bytearray(512)
    head[:4], head[100:107], head[148:156], head[156:157] = b"hole", b"0000644", b" " * 8, b"0"
    head[124:136], head[257:265] = b"\x80" + (1 << 36).to_bytes(11, "big"), b"ustar\x0000"
    head[148:155] = b"%06o\0" % sum(head)
    with open(huge, "wb") as f:
        f.write(head)
        f.seek(1 << 36, os.SEEK_CUR)
        f.write(tar.read_bytes())
    shown = h.json("release", "show", huge, env=nowhere)
    assert shown["root"] == root, shown
    assert huge.stat().st_blocks * 512 < 2 * tar.stat().st_size

    flip(tar, 9000000)
    assert not h.json("release", "verify", tar, status=3)["ok"]
    assert h.json("audit", "verify")["ok"]
