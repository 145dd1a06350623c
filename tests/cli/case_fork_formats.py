#!/usr/bin/env python3
# peer: gguf
"""A copy is known as one whatever container it comes in: every form of quantised weights, with its config and
without, against the plain values it stands for; files under any name; GGUF files of every type against what
the gguf package (where it is installed) says they hold. Pickles are refused by name, and an adapter proves
nothing."""

import json, os, random, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL
from quantised import FORMS, bf16, load, pack, save

try:
    import gguf, numpy as np
    import gguf_twin as twin
    from gguf_twin import T
except ImportError:
    gguf = None

HIDDEN, WIDTH, VOCAB = 64, 96, 64
CONFIG = dict(
    model_type="llama",
    architectures=["LlamaForCausalLM"],
    hidden_size=HIDDEN,
    intermediate_size=WIDTH,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=VOCAB,
    rms_norm_eps=1e-5,
    max_position_embeddings=64,
    hidden_act="silu",
    rope_theta=1e4,
    tie_word_embeddings=False,
    bos_token_id=1,
    eos_token_id=2,
)
LAYER = "model.layers.0."
MATRICES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (32, HIDDEN),
    "self_attn.v_proj": (32, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (WIDTH, HIDDEN),
    "mlp.up_proj": (WIDTH, HIDDEN),
    "mlp.down_proj": (HIDDEN, WIDTH),
}
# What no shape tells: zero points that are stored as they are; blocks of no usual size.
BY_CONFIG_ALONE = {"gptq-8-v2", "ct-fp8-block"}
ALSO_BIASES = {"gptq-4"}


def vector(n):
    return ("F32", [n], pack("F32", [1.0] * n))


def folder_of(path, tensors, config=CONFIG, name="model.safetensors"):
    path.mkdir(parents=True)
    save(path / name, tensors)
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return path


def model(seed, make=None):
    """The tensors as stored and as plain values."""
    rng = random.Random(seed)
    stored, plain = {}, {}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        values = [bf16(rng.gauss(0, 0.05)) for _ in range(VOCAB * HIDDEN)]
        stored[name] = ("BF16", [VOCAB, HIDDEN], pack("BF16", values))
        plain[name] = ("F32", [VOCAB, HIDDEN], pack("F32", values))
    for name in ("model.norm", LAYER + "input_layernorm", LAYER + "post_attention_layernorm"):
        stored[name + ".weight"] = plain[name + ".weight"] = vector(HIDDEN)
    for name, (rows, columns) in MATRICES.items():
        x = LAYER + name + "."
        if make is None:
            values = [bf16(rng.gauss(0, 0.1)) for _ in range(rows * columns)]
            stored[x + "weight"] = ("BF16", [rows, columns], pack("BF16", values))
        else:
            m = make(rng, rows, columns)
            values = list(m.values)
            stored.update({x + end: t for end, t in m.tensors.items()})
        plain[x + "weight"] = ("F32", [rows, columns], pack("F32", values))
    return stored, plain


def compare(home, a, b):
    return home.json("fork", "compare", a, b, "--quiet")


def same(home, a, b, what, added=0):
    r = compare(home, a, b)
    t = r["tensors"]
    assert t["same"] > 0 and t["changed"] == t["removed"] == t["reshaped"] == 0, (what, t)
    assert t["added"] == added, (what, t)
    copies = ("dependent-initialisation", "contains-identical-tensors") if added else ("identical",)
    assert r["verdict"] in copies, (what, r["verdict"])
    return r


def forms(home):
    for seed, (form, (make, config)) in enumerate(FORMS.items()):
        stored, plain = model(seed, make)
        at = home.dir / form
        base = folder_of(at / "plain", plain)
        biases = len(MATRICES) if form in ALSO_BIASES else 0
        whole = CONFIG | {"quantization_config": config}
        same(home, base, folder_of(at / "coded", stored, whole), form, biases)
        if form not in BY_CONFIG_ALONE:
            same(home, base, folder_of(at / "bare", stored, None), form + " without a config", biases)


def names(home):
    """One model under the names that its files may have."""
    stored, plain = model(1000)
    at = home.dir / "names"
    base = folder_of(at / "plain", plain)
    same(home, base, folder_of(at / "mistral", stored, None, "consolidated.safetensors"), "consolidated")
    same(home, base, folder_of(at / "any", stored, CONFIG, "flux-dev.safetensors"), "any name")
    same(home, base / "model.safetensors", at / "any/flux-dev.safetensors", "files by their paths")
    half = sorted(stored)[: len(stored) // 2]
    first = {n: stored[n] for n in half}
    shards = folder_of(at / "shards", first, CONFIG, "model-00001-of-00002.safetensors")
    save(shards / "model-00002-of-00002.safetensors", {n: t for n, t in stored.items() if n not in half})
    same(home, base, shards, "shards without an index")
    same(home, base, shards / "model-00002-of-00002.safetensors", "a shard by its path")
    twice = folder_of(at / "twice", stored)
    save(twice / "consolidated.safetensors", {"x": vector(4)})
    r = same(home, base, twice, "the same model twice")
    assert any("consolidated.safetensors is not looked at" in line for line in r["notes"]["b"]), r["notes"]
    os.remove(shards / "model-00001-of-00002.safetensors")
    r = home.run("fork", "compare", base, shards, status=1)
    assert b"model-00001-of-00002.safetensors is missing" in r.stderr, r.stderr
    for name in ("pytorch_model.bin", "consolidated.00.pth", "model.ckpt"):
        folder = at / name
        folder.mkdir()
        (folder / name).write_bytes(b"\x80\x02")
        r = home.run("fork", "compare", base, folder, status=1)
        assert name.encode() in r.stderr and b"pickle" in r.stderr and b"safetensors" in r.stderr, r.stderr


def adapters(home):
    stored, _ = model(2000)
    at = home.dir / "adapters"
    base = folder_of(at / "base", stored)
    rng = random.Random(3)
    rank = 2
    for name, width in (("fits", HIDDEN), ("other", HIDDEN + 1)):
        # of a matrix from the residual stream and to it: A and B look like a small network of it
        lora = "base_model.model." + LAYER + "self_attn.o_proj.lora_"
        folder = at / name
        folder.mkdir()
        save(
            folder / "adapter_model.safetensors",
            {
                lora + x + ".weight": ("F32", shape, pack("F32", [rng.gauss(0, 0.1) for _ in range(n)]))
                for x, shape, n in (("A", [rank, width], rank * width), ("B", [HIDDEN, rank], HIDDEN * rank))
            },
        )
        config = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "base_model_name_or_path": "acme/base"}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        r = compare(home, base, folder)
        a = r["adapter"]
        assert r["verdict"] == "inconclusive" and r["parent"] is None and r["p_value"] is None, r
        assert a["fits"] == (name == "fits") and a["modules"] == 1 and a["rank"] == rank, a
        assert a["declared_base"] == "acme/base" and "no lineage" in a["meaning"], a
        assert (a["relative_change"] or 0) > 0 if name == "fits" else "self_attn.o_proj is for" in a["why"], a
    assert compare(home, base, base)["adapter"] is None
    # over a model whose networks A and B of an adapter have the shapes of
    name = "model.layers.0.self_attn.o_proj"
    rows, columns = load(MODEL / "model.safetensors")[name + ".weight"][1]
    lora = "base_model.model." + name + ".lora_"
    save(
        folder / "adapter_model.safetensors",
        {
            lora + "A.weight": ("F32", [rank, columns], pack("F32", [0.01] * (rank * columns))),
            lora + "B.weight": ("F32", [rows, rank], pack("F32", [0.01] * (rows * rank))),
        },
    )
    r = compare(home, MODEL, folder)
    assert r["verdict"] == "inconclusive" and r["adapter"]["fits"], r


# Types, and at which bytes of a block its scales in half precision are.
TYPES = {
    "F32": (),
    "F16": (),
    "BF16": (),
    "Q8_0": (0,),
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
    "MXFP4": None,
}


def blocks(rng, kind, rows, columns):
    size, nbytes = gguf.GGML_QUANT_SIZES[kind]
    if size == 1:
        values = (rng.standard_normal((rows, columns)) * 0.05).astype(np.float32)
        return values if kind == T.F32 else gguf.quants.quantize(values, kind)
    b = rng.integers(0, 256, (rows * columns // size, nbytes), dtype=np.uint8)
    for at in TYPES[kind.name] or ():
        b[:, at : at + 2] = rng.uniform(1e-4, 2e-3, (len(b), 1)).astype(np.float16).view(np.uint8)
    if kind == T.MXFP4:
        b[:, 0] = rng.integers(118, 126, len(b), dtype=np.uint8)
    return b.reshape(rows, -1)


def gguf_types(home):
    config = CONFIG | dict(hidden_size=256, intermediate_size=256, head_dim=64)
    shapes = {n: (128 if n[10:11] in "kv" and "attn" in n else 256, 256) for n in MATRICES}
    shapes = {LAYER + n: s for n, s in shapes.items()} | {"model.embed_tokens": (VOCAB, 256)}
    for seed, name in enumerate(TYPES):
        kind, rng = T[name], np.random.default_rng(seed)
        stored, value = {}, {}
        for n, (rows, columns) in shapes.items():
            b = blocks(rng, kind, rows, columns)
            v = b if kind == T.F32 else gguf.quants.dequantize(b, kind)
            value[n + ".weight"] = v.astype(np.float32).reshape(rows, columns)
            if n.endswith((".q_proj", ".k_proj")):  # rows in pairs, as conversion has them
                b = twin.permute(b, 4 if n.endswith(".q_proj") else 2)
            part = n.removeprefix(LAYER)
            to = "token_embd.weight" if part == n else "blk.0." + twin.layer_name(part + ".weight", "llama")
            stored[to] = b
        for n in ("model.norm", LAYER + "input_layernorm", LAYER + "post_attention_layernorm"):
            value[n + ".weight"] = rng.uniform(0.5, 1.5, 256).astype(np.float32)
        base = home.dir / "types" / name
        base.mkdir(parents=True)
        twin.write_safetensors(base / "model.safetensors", value)
        (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))

        def write(path, **more):
            twin.write(base, path, lambda a, to: (stored[to], kind) if to in stored else T.F32, **more)
            return path

        same(home, base, write(home.dir / f"{name}.gguf"), name)
        if name == "Q5_1":  # of an architecture that nobody knows only the rows in pairs stay as they are
            r = compare(home, base, write(home.dir / "odd.gguf", arch="llama7"))
            assert r["tensors"]["changed"] == 2 and r["tensors"]["same"] == len(value) - 2, r["tensors"]
            assert r["verdict"] in ("dependent-initialisation", "contains-identical-tensors"), r["verdict"]


def main():
    with Home() as home:
        forms(home)
        names(home)
        adapters(home)
        if gguf is None:
            print("skipped: GGUF, for the gguf package is not installed")
        else:
            gguf_types(home)


main()
