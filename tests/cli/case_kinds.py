#!/usr/bin/env python3
"""Every kind of folder that people release is signed, verified, packed, unpacked and verified again:
weights in one file, in shards with and without an index, in other formats, adapters, whole pipelines,
data, documents, and what the hub's clients make. Tensors have digests wherever they are safetensors; a
flipped byte is found."""

import json, os, shutil, struct, sys, tarfile

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, flip


def put(folder, name, content=b"x"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def weights(*names):
    offsets, head = 0, {}
    for name in names:
        head[name] = {"dtype": "F32", "shape": [4], "data_offsets": [offsets, offsets + 16]}
        offsets += 16
    head = json.dumps(head).encode()
    return struct.pack("<Q", len(head)) + head + os.urandom(offsets)


def shards(folder, stem, ext, contents):
    for i, content in enumerate(contents, 1):
        put(folder, f"{stem}-{i:05}-of-{len(contents):05}.{ext}", content)


def one_file(d):
    put(d, "config.json", "{}")
    put(d, "model.safetensors", weights("a", "b"))
    return 2


def three_shards(d):
    shards(d, "model", "safetensors", [weights("a"), weights("b"), weights("c")])
    map = {k: f"model-0000{i}-of-00003.safetensors" for i, k in enumerate("abc", 1)}
    put(d, "model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": map}))
    return 3


def no_index(d):
    shards(d, "model", "safetensors", [weights("a"), weights("b"), weights("c")])
    return 3


def gguf(d):
    put(d, "model-Q4_K_M.gguf", b"GGUF\x03" + bytes(100))


def gguf_parts(d):
    shards(d, "big", "gguf", [b"GGUF\x03" + bytes(50), b"GGUF\x03" + bytes(60)])


def adapter(d):
    put(d, "adapter_config.json", "{}")
    put(d, "adapter_model.safetensors", weights("base_model.lora_A", "base_model.lora_B"))
    return 2


def pytorch(d):
    put(d, "pytorch_model.bin", b"PK\x03\x04" + bytes(100))


def onnx(d):
    put(d, "onnx/model.onnx", b"\x08\x07" + bytes(30))
    put(d, "onnx/model.onnx_data", bytes(5 << 20))


def diffusers(d):
    put(d, "model_index.json", "{}")
    put(d, "scheduler/scheduler_config.json", "{}")
    for part in ("unet", "vae"):  # both have a conv_in.weight
        put(d, f"{part}/config.json", "{}")
        name = f"{part}/diffusion_pytorch_model.safetensors"
        put(d, name, weights("conv_in.weight", part))
    put(d, "text_encoder/model.safetensors", weights("e"))
    return 5


def consolidated(d):
    put(d, "params.json", "{}")
    put(d, "consolidated.safetensors", weights("tok_embeddings.weight", "norm.weight"))
    return 2


def tokenizer(d):
    put(d, "tokenizer.json", '{"model": {}}')
    put(d, "tokenizer_config.json", "{}")


def dataset(d):
    put(d, "README.md", "---\nlicense: mit\n---\n")
    put(d, "data/train-00000-of-00001.parquet", b"PAR1" + bytes(40) + b"PAR1")
    put(d, "data/test.jsonl", '{"text": "a"}\n')


def documents(d):
    put(d, "paper.pdf", b"%PDF-1.7" + bytes(50))
    put(d, "pictures/logo.png", b"\x89PNG\r\n" + bytes(50))


def local_dir(d):
    put(d, ".gitattributes", "*.safetensors filter=lfs\n")
    put(d, ".cache/huggingface/.gitignore", "*")
    put(d, ".cache/huggingface/download/config.json.metadata", "abc\n")
    return one_file(d)


def names(d):
    put(d, "with spaces/a file (1).txt")
    put(d, "\u6a21\u578b/\u043c\u043e\u0434\u0435\u043b\u044c.json", "{}")
    put(d, "n" * 251 + ".txt")
    put(d, "\U0001f33f.md", "leaf")
    put(d, "quote\"and\\backslash'.txt")


def several(d):
    put(d, "model.safetensors", weights("a"))
    put(d, "model.fp16.safetensors", weights("a"))
    return 2


KINDS = (one_file, three_shards, no_index, gguf, gguf_parts, adapter, pytorch, onnx, diffusers, consolidated)
KINDS += (tokenizer, dataset, documents, local_dir, names, several)


def cached(h, folder):
    """The folder as a snapshot in the hub's cache."""
    repo = h.dir / "cache/models--a--b"
    for i, path in enumerate(p for p in sorted(folder.rglob("*")) if p.is_file()):
        at = repo / "snapshots/0123" / path.relative_to(folder)
        at.parent.mkdir(parents=True, exist_ok=True)
        put(repo, f"blobs/{i}", path.read_bytes())
        up = "../" * (1 + len(path.relative_to(folder).parts))
        at.symlink_to(f"{up}blobs/{i}")
    return repo / "snapshots/0123"


def verified(h, ref, root):
    seen = h.json("release", "verify", ref, "--quiet")
    assert seen["ok"] and seen["root"] == root, seen


def round_trip(h, folder, name, tensors):
    package, unpacked = h.dir / f"{name}.tar", h.dir / f"{name}-unpacked"
    args = ("--name", f"a/{name}", "--version", "1", "--key", "k", "--package", package, "--quiet")
    made = h.json("release", "create", folder, *args)
    assert made["tensors"] == (tensors or 0), (name, made)
    other = any(name.startswith(k) for k in ("gguf", "pytorch", "onnx"))
    assert bool(made["whole"]) == other, (name, made)
    verified(h, folder, made["root"])
    verified(h, package, made["root"])
    verified(h, f"a/{name}", made["root"])
    h.run("release", "unpack", package, h.dir / f"{name}-again", "--quiet")
    verified(h, h.dir / f"{name}-again", made["root"])
    with tarfile.open(package) as tar:
        tar.extractall(unpacked)
    verified(h, unpacked, made["root"])
    ours = ("model.sig", "hallmark.chunks", "hallmark.tensors")
    files = [p for p in unpacked.rglob("*") if p.is_file() and p.name not in ours]
    files = [p for p in files if ".hallmark" not in p.parts]
    victim = max(files, key=lambda p: (p.suffix == ".safetensors", p.stat().st_size))
    flip(victim, victim.stat().st_size - 1)
    bad = h.json("release", "verify", unpacked, "--quiet", status=3)["failures"]
    assert [f["path"] for f in bad] == [str(victim.relative_to(unpacked))], (name, bad)
    named = bool(tensors) and victim.suffix == ".safetensors"
    assert (bad[0]["tensor"] is not None) == named, (name, bad)


def a_missing_part_is_named(h):
    for ext, content in (("safetensors", weights("a")), ("gguf", b"GGUF"), ("bin", b"PK")):
        folder = h.dir / f"missing-{ext}"
        shards(folder, "model", ext, [content] * 3)
        (folder / f"model-00002-of-00003.{ext}").unlink()
        args = ("release", "create", folder, "--name", "a/m", "--version", "1", "--key", "k")
        refused = h.run(*args, status=1)
        assert f"model-00002-of-00003.{ext}" in refused.stderr.decode(), refused.stderr


with Home() as home:
    home.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
    for kind in KINDS:
        tensors = kind(home.dir / kind.__name__)
        round_trip(home, home.dir / kind.__name__, kind.__name__, tensors)
    one_file(home.dir / "plain")
    round_trip(home, cached(home, home.dir / "plain"), "snapshot", 2)
    a_missing_part_is_named(home)
