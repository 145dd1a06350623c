#!/usr/bin/env python3
"""Releases that we sign verify with the stock model_signing tool, and the other way round, until one byte of
any file changes. Sizes around the chunk border, names that the two sort apart, ignored paths."""

# peer: model_signing

import os, pathlib, shutil, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, flip

TOOL = shutil.which("model_signing")
if not TOOL:
    print("skipped: no model_signing on PATH")
    sys.exit(77)

CHUNK = 4 << 20


def model_signing(*args):
    r = subprocess.run([TOOL, *map(str, args)], capture_output=True, timeout=300)
    return r.returncode == 0, (r.stdout + r.stderr).decode()


def fill(folder):
    """A model whose names sort differently by component and by code point."""
    content = {
        "a/b": b"one",
        "a-b": b"two",
        "a.b": b"three",
        "empty": b"",
        "file (copy).bin": b"four",
        "sub/\u6a21\u578b.bin": b"five",
        "border.bin": bytes(range(256)) * (CHUNK // 256),
        "large.bin": bytes(range(251)) * 40000,
    }
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def files(folder):
    return sorted(
        p for p in folder.rglob("*") if p.is_file() and p.name != "model.sig" and p.stat().st_size
    )


def ours_verifies_there(h):
    model = fill(h.model("ours"))
    h.publish(model, "a/ours", "1")
    pem = h.dir / "k.pem"
    pem.write_bytes(h.run("key", "export", "k", "--format", "pem").stdout)
    check = ("verify", "key", model, "--signature", model / "model.sig", "--public_key", pem)
    ok, text = model_signing(*check)
    assert ok, text
    for path in files(model):
        flip(path, path.stat().st_size // 2)
        ok, text = model_signing(*check)
        assert not ok, f"model_signing accepted a changed {path.name}"
        assert h.json("release", "verify", model, "--key", pem, status=3)["ok"] is False
        flip(path, path.stat().st_size // 2)
    # What the signed list of ignored paths names may lie there, for both.
    for name in (".cache/huggingface/x.lock", ".hallmark/badge.json", ".git/config"):
        (model / name).parent.mkdir(parents=True)
        (model / name).write_text("x")
    ok, text = model_signing(*check)
    assert ok, text
    assert h.json("release", "verify", model, "--key", pem)["ok"] is True
    (model / "extra").write_text("x")
    ok, text = model_signing(*check)
    assert not ok, "model_signing accepted an extra file"
    (model / "extra").unlink()
    ok, text = model_signing(*check)
    assert ok, text


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def theirs_verifies_here(h, curve):
    model = fill(h.dir / f"theirs-{curve}")
    (model / "scratch").mkdir()
    (model / "scratch/notes").write_text("not part of the model")
    secret, public = h.dir / f"{curve}.key", h.dir / f"{curve}.pub"
    openssl("ecparam", "-genkey", "-name", curve, "-noout", "-out", secret)
    openssl("pkey", "-in", secret, "-pubout", "-out", public)
    sign = ("sign", "key", model, "--private_key", secret, "--signature", model / "model.sig")
    ok, text = model_signing(*sign, "--ignore-paths", model / "scratch")
    assert ok, text
    assert h.json("release", "verify", model, "--key", public)["ok"] is True
    for path in files(model):
        if "scratch" in path.parts:
            continue
        flip(path, path.stat().st_size // 2)
        bad = h.json("release", "verify", model, "--key", public, status=3)
        assert [f["path"] for f in bad["failures"]] == [str(path.relative_to(model))], bad
        flip(path, path.stat().st_size // 2)
    flip(model / "model.sig", (model / "model.sig").stat().st_size // 2)
    h.run("release", "verify", model, "--key", public, status=3)
    flip(model / "model.sig", (model / "model.sig").stat().st_size // 2)
    h.run("release", "verify", model, "--key", public)
    h.run("release", "verify", model, "--key", h.dir / "k.pem", status=3)


def cached(h, model, name):
    """A snapshot of the model as the hub's client caches it: small files in the repository's blobs, large
    ones in the store that repositories share."""
    cache = h.dir / name
    repo = cache / "models--a--b"
    snapshot = repo / "snapshots/0123456789abcdef"
    kept = (p for p in sorted(model.rglob("*")) if p.is_file() and ".hallmark" not in p.parts)
    for i, path in enumerate(kept):
        at = snapshot / path.relative_to(model)
        blob, up = repo / "blobs" / f"e{i}", "../" * (1 + len(path.relative_to(model).parts))
        for folder in (at.parent, blob.parent, cache / "blobs/ab"):
            folder.mkdir(parents=True, exist_ok=True)
        if path.stat().st_size > CHUNK:
            shutil.copy(path, cache / "blobs/ab" / f"h{i}")
            blob.symlink_to(f"../../blobs/ab/h{i}")
        else:
            shutil.copy(path, blob)
        at.symlink_to(f"{up}blobs/e{i}")
    return snapshot


def snapshots_verify_on_both_sides(h):
    """A snapshot can be signed where it lies; what is signed are the files behind the links."""
    model = fill(h.model("plain"))
    snapshot = cached(h, model, "cache")
    h.publish(snapshot, "a/cached", "1")
    assert not (snapshot / "model.sig").is_symlink()
    pem = h.dir / "k.pem"
    check = ("verify", "key", snapshot, "--signature", snapshot / "model.sig", "--public_key", pem)
    check = (*check, "--allow_symlinks")  # it asks for this, whatever the statement says
    ok, text = model_signing(*check)
    assert ok, text
    assert h.json("release", "verify", snapshot)["ok"] is True
    flip(snapshot / "large.bin", 5 << 20)
    ok, text = model_signing(*check)
    assert not ok and "large.bin" in text, text
    bad = h.json("release", "verify", snapshot, status=3)
    assert [f["path"] for f in bad["failures"]] == ["large.bin"], bad


def a_release_arrives_in_a_cache(h):
    """All its files are links there, its signature too; signing it again replaces the link."""
    snapshot = cached(h, h.dir / "ours", "arrived")
    assert (snapshot / "model.sig").is_symlink()
    assert h.json("release", "verify", snapshot)["ok"] is True
    blob, bundle = (snapshot / "model.sig").resolve(), (snapshot / "model.sig").read_bytes()
    (snapshot / "README.md").unlink()
    (snapshot / "README.md").write_text("another")
    assert h.json("release", "verify", snapshot, status=3)["failures"][0]["path"] == "README.md"
    h.publish(snapshot, "a/again", "2")
    assert h.json("release", "verify", snapshot)["ok"] is True
    assert not (snapshot / "model.sig").is_symlink() and blob.read_bytes() == bundle


def leftovers_are_ignored_on_both_sides(h):
    model = fill(h.model("leftovers"))
    for name in (".DS_Store", "sub/__pycache__/a.pyc", ".cache/huggingface/x.lock", "a/.DS_Store"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("left")
    h.publish(model, "a/leftovers", "1")
    check = ("verify", "key", model, "--signature", model / "model.sig", "--public_key", h.dir / "k.pem")
    (model / "sub/__pycache__/b.pyc").write_text("later")
    ok, text = model_signing(*check)
    assert ok and h.json("release", "verify", model)["ok"], text
    (model / "sub/.DS_Store").write_text("not there when it was signed")
    ok, text = model_signing(*check)
    assert not ok and not h.json("release", "verify", model, status=3)["ok"]


with Home() as home:
    ours_verifies_there(home)
    for name in ("prime256v1", "secp384r1"):
        theirs_verifies_here(home, name)
    snapshots_verify_on_both_sides(home)
    a_release_arrives_in_a_cache(home)
    leftovers_are_ignored_on_both_sides(home)
