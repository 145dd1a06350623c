#!/usr/bin/env python3
"""What real folders hold besides a model: leftovers of tools are left out and named, secrets stop a release,
and a git-lfs pointer is named wherever weights are read."""

import json, os, shutil, struct, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, ServerEnded

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"
ACCOUNT = json.dumps({"type": "service_account", "private_key": "x"})
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 9\n" % 1

SECRETS = """.env .env.local sub/.ENV prod.env id_rsa sub/id_ed25519 .netrc _netrc .git-credentials .npmrc
.pypirc .aws/credentials .docker/config.json sub/.kube/config .ssh/known .pgpass token .huggingface/token
kaggle.json client_secret_1.json application_default_credentials.json secrets.yaml a.p12 b.pfx c.jks d.ppk
e.kdbx""".split()
SECRETS = [(name, "x") for name in SECRETS] + [
    ("server.pem", KEY),
    ("tls/server.key", KEY),
    ("minisign.key", "untrusted comment: minisign encrypted secret key\nRWRT\n"),
    ("age.txt", "AGE-SECRET-KEY-1QQQ\n"),
    ("robot.json", ACCOUNT),
]
HARMLESS = [
    (".env.example", "A="),
    ("public.pem", PUBLIC),
    ("public.key", PUBLIC),
    ("tokens.json", "{}"),
    ("tokenizer.json", "{}"),
    ("environment.md", "x"),
    ("docs/config.json", "{}"),
    ("other.json", json.dumps({"type": "service_account"})),
]
LEFTOVERS = {
    ".DS_Store": ".DS_Store",
    "sub/.DS_Store": "sub/.DS_Store",
    "__pycache__/a.pyc": "__pycache__",
    "sub/__pycache__/a.pyc": "sub/__pycache__",
    ".ipynb_checkpoints/a.ipynb": ".ipynb_checkpoints",
    ".cache/huggingface/download/model.safetensors.lock": ".cache",
    ".hallmark/badge.svg": ".hallmark",
}


def put(folder, name, text="x"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def small(h, name):
    folder = h.dir / name
    head = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    put(folder, "config.json", "{}")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(8))
    return folder


def create(h, folder, name, *more, status=0):
    args = ("release", "create", folder, "--name", f"a/{name}", "--version", "1", "--key", "k")
    return h.run(*args, "--quiet", "--json", *more, status=status)


def secrets_stop_a_release(h):
    for i, (name, text) in enumerate(SECRETS):
        folder = small(h, f"secret{i}")
        put(folder, name, text)
        refused = create(h, folder, f"s{i}", status=4)
        assert name in refused.stderr.decode() and b"--include-secrets" in refused.stderr, refused
        assert not (folder / "model.sig").exists()
    folder = small(h, "included")
    put(folder, ".env")
    made = json.loads(create(h, folder, "included", "--include-secrets").stdout)
    assert made["secrets"] == [".env"], made
    folder = small(h, "harmless")
    for name, text in HARMLESS:
        put(folder, name, text)
    made = json.loads(create(h, folder, "harmless").stdout)
    assert made["secrets"] == [] and made["files"] == 4 + len(HARMLESS), made


def leftovers_are_left_out(h):
    folder = small(h, "leftovers")
    for name in LEFTOVERS:
        put(folder, name)
    put(folder, ".cache/token")  # no secret of the release: it stays here
    put(folder, "sub/pycache/kept")
    package = h.dir / "leftovers.tar"
    made = json.loads(create(h, folder, "leftovers", "--package", package).stdout)
    assert sorted(made["ignored"]) == sorted(set(LEFTOVERS.values())), made
    shown = [f["name"] for f in h.json("release", "show", folder)["files"]]
    assert shown == [
        "config.json",
        "hallmark.chunks",
        "hallmark.tensors",
        "model.safetensors",
        "sub/pycache/kept",
    ], shown
    assert h.json("release", "verify", folder)["ok"]
    put(folder, "__pycache__/b.pyc")  # the folder is ignored, not only what was in it
    assert h.json("release", "verify", folder)["ok"]
    put(folder, "other/__pycache__/b.pyc")  # this one was not there when it was signed
    assert h.json("release", "verify", folder, status=3)["failures"][0]["path"].startswith("other/")
    assert h.json("release", "verify", package)["ok"]


def pointers_are_named(h):
    folder = small(h, "pointer")
    create(h, folder, "pointer")
    whole = shutil.copytree(folder, h.dir / "whole")
    put(folder, "model.safetensors", POINTER)
    bad = h.json("release", "verify", folder, status=3)["failures"]
    assert [f["path"] for f in bad] == ["model.safetensors"] and "git lfs pull" in bad[0]["found"], bad
    assert b"git lfs pull" in h.run("fork", "compare", whole, folder, status=1).stderr
    assert b"git lfs pull" in create(h, folder, "again", status=1).stderr
    real = h.model("real")
    put(real, "model.safetensors", POINTER)
    try:
        Server(h, real, "--unsigned")
        raise SystemExit("a pointer was served")
    except ServerEnded as e:
        assert "git lfs pull" in str(e), e


def names_that_cannot_be_printed_are_shown(h):
    folder = small(h, "odd")
    create(h, folder, "odd")
    for name, shown in ((b"bad\xff", "bad\\xff"), (b"new\nline", "new\\x0aline")):
        odd = os.path.join(os.fsencode(folder), name)
        open(odd, "wb").close()
        said = h.run("release", "verify", folder, status=3).stdout.decode()
        assert shown in said, said
        said = h.run(*f"release create {folder} --name a/o --version 1 --key k".split(), status=1)
        assert shown in said.stderr.decode(), said
        os.unlink(odd)


def cached(h, folder, name):
    """The folder as the hub's client caches it, in the layout of two levels."""
    cache = h.dir / name
    repo = cache / "models--a--b"
    for i, path in enumerate(p for p in sorted(folder.rglob("*")) if p.is_file()):
        at = repo / "snapshots/0123" / path.relative_to(folder)
        for part in (at.parent, repo / "blobs", cache / "blobs/ab"):
            part.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, cache / f"blobs/ab/{i}")
        (repo / f"blobs/e{i}").symlink_to(f"../../blobs/ab/{i}")
        at.symlink_to("../" * (1 + len(path.relative_to(folder).parts)) + f"blobs/e{i}")
    return repo / "snapshots/0123"


def snapshots_are_used_as_they_lie(h):
    """Compared, audited, served and released, unsigned and signed, and refused when a link leads out."""
    model = h.model("model")
    plain = cached(h, model, "cache")
    assert h.json("fork", "compare", plain, model)["verdict"] == "identical"
    with Server(h, plain, "--unsigned") as s:
        assert s.chat("Hello", max_tokens=4)[0] == 200
    made = json.loads(create(h, plain, "cached").stdout)
    assert json.loads(create(h, model, "plain").stdout)["root"] == made["root"]
    with Server(h, "a/cached") as s:
        assert s.chat("Hello", max_tokens=4)[0] == 200
    arrived = cached(h, model, "arrived")  # with its signature, which is a link too
    assert h.json("release", "verify", arrived)["ok"]
    assert "a/cached@1" in h.json("fork", "audit", arrived)["registered_as"]
    (arrived / "config.json").unlink()
    (arrived / "config.json").symlink_to(model / "config.json")
    for command in (
        ("release", "verify", arrived),
        ("fork", "compare", arrived, model),
        ("serve", arrived, "--listen", "127.0.0.1:0"),
        ("release", "create", arrived, "--name", "a/x", "--version", "1", "--key", "k"),
    ):
        r = h.run(*command, status=1)
        assert b"config.json" in r.stderr and b"out of the cache" in r.stderr, (command, r)
        assert b"cp -rL" in r.stderr, r


with Home() as home:
    home.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
    secrets_stop_a_release(home)
    leftovers_are_left_out(home)
    pointers_are_named(home)
    snapshots_are_used_as_they_lie(home)
    names_that_cannot_be_printed_are_shown(home)
