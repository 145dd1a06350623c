#!/usr/bin/env python3
"""Checkpoints in the published forms of quantised weights give the bits of the plain checkpoint that holds
the values they stand for: dense, expert and latent models, as stored and packed; and what is wrong with one
is said by file, tensor and value."""

import json, math, os, pathlib, random, shutil, struct, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, Server, TOP
from quantised import BITS, compressed, FORMS, SAME_FP8, SAME_WORDS, load, pack, save

VECTORS = TOP / "tests/vectors/oracles"
PLAIN = ("embed_tokens.weight", "lm_head.weight", "mlp.gate.weight", "norm.weight")
# family -> its config's changes: sizes that are whole words in every form
FAMILIES = {
    "llama": dict(
        hidden_size=64,
        intermediate_size=96,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        num_hidden_layers=2,
        vocab_size=96,
    ),
    "qwen3_moe": dict(
        hidden_size=64,
        intermediate_size=96,
        moe_intermediate_size=32,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        num_hidden_layers=2,
        num_experts=3,
        num_experts_per_tok=2,
        vocab_size=96,
        mlp_only_layers=[1],
    ),
    "phi3": dict(
        hidden_size=64,
        intermediate_size=96,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_hidden_layers=2,
        vocab_size=96,
    ),
    "deepseek_v2": dict(
        hidden_size=64,
        intermediate_size=96,
        moe_intermediate_size=32,
        num_attention_heads=2,
        num_key_value_heads=2,
        q_lora_rank=32,
        kv_lora_rank=32,
        qk_nope_head_dim=16,
        qk_rope_head_dim=16,
        v_head_dim=16,
        num_hidden_layers=2,
        n_routed_experts=4,
        n_group=1,
        topk_group=1,
        num_experts_per_tok=2,
        n_shared_experts=1,
        vocab_size=96,
        first_k_dense_replace=1,
    ),
}


def shapes(c):
    """Name -> shape of every tensor of the family, from its config."""
    h, v = c["hidden_size"], c["vocab_size"]
    out = {"model.embed_tokens.weight": [v, h], "model.norm.weight": [h]}
    if not c["tie_word_embeddings"]:
        out["lm_head.weight"] = [v, h]

    fused = c["model_type"] == "phi3"

    def ffn(at, width):
        if fused:
            out[at + "gate_up_proj.weight"], out[at + "down_proj.weight"] = [2 * width, h], [h, width]
            return
        out[at + "gate_proj.weight"] = out[at + "up_proj.weight"] = [width, h]
        out[at + "down_proj.weight"] = [h, width]

    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        out[at + "input_layernorm.weight"] = out[at + "post_attention_layernorm.weight"] = [h]
        a, n = at + "self_attn.", c["num_attention_heads"]
        if "kv_lora_rank" in c:
            nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
            out[a + "q_a_proj.weight"] = [c["q_lora_rank"], h]
            out[a + "q_a_layernorm.weight"] = [c["q_lora_rank"]]
            out[a + "q_b_proj.weight"] = [n * (nope + rope), c["q_lora_rank"]]
            out[a + "kv_a_proj_with_mqa.weight"] = [c["kv_lora_rank"] + rope, h]
            out[a + "kv_a_layernorm.weight"] = [c["kv_lora_rank"]]
            out[a + "kv_b_proj.weight"] = [n * (nope + value), c["kv_lora_rank"]]
            out[a + "o_proj.weight"] = [h, n * value]
        else:
            q, kv = n * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
            out[a + "o_proj.weight"] = [h, q]
            if fused:
                out[a + "qkv_proj.weight"] = [q + 2 * kv, h]
            else:
                out[a + "q_proj.weight"] = [q, h]
                out[a + "k_proj.weight"] = out[a + "v_proj.weight"] = [kv, h]
            if c["model_type"].startswith("qwen3"):
                out[a + "q_norm.weight"] = out[a + "k_norm.weight"] = [c["head_dim"]]
        experts = c.get("num_experts", c.get("n_routed_experts"))
        dense = i in c.get("mlp_only_layers", []) or i < c.get("first_k_dense_replace", 0)
        if experts is None or dense:
            ffn(at + "mlp.", c["intermediate_size"])
            continue
        out[at + "mlp.gate.weight"] = [experts, h]
        for x in range(experts):
            ffn(f"{at}mlp.experts.{x}.", c["moe_intermediate_size"])
        if c.get("n_shared_experts"):
            ffn(at + "mlp.shared_experts.", c["n_shared_experts"] * c["moe_intermediate_size"])
    return out


def write(folder, config, tensors, vocab, moe_layers):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    save(folder / "model.safetensors", tensors)
    rng = random.Random(1)
    b, s, g = 2, 8, 4
    ids = [rng.randrange(vocab) for _ in range(b * s)]
    expected = {
        "input_ids": ("I32", [b, s], pack("I32", ids)),
        "logits": ("F64", [b, s, vocab], bytes(8 * b * s * vocab)),
        "greedy": ("I32", [b, g], bytes(4 * b * g)),
    }
    for i in moe_layers:
        expected[f"moe.{i}.expert_ids"] = ("I32", [b, s, 2], bytes(4 * b * s * 2))
    save(folder / "expected.safetensors", expected)
    meta = {"logit_std": 1.0, "prefix_len": 4, "greedy_len": g, "moe_layers": moe_layers}
    (folder / "expected.json").write_text(json.dumps(meta))


PHI3 = {
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "head_dim": 16,
}


def family_config(family):
    if family == "phi3":
        return dict(PHI3, **FAMILIES[family])
    source = {"deepseek_v2": "deepseek_v2"}.get(family, family)
    config = json.loads((VECTORS / source / "config.json").read_text())
    config.update(FAMILIES[family])
    return config


def make(top, family, form, seed):
    """Both folders of one model; True where every form has a matrix."""
    maker, quantisation = FORMS[form]
    config, rng = family_config(family), random.Random(seed)
    coded, plain = {}, {}
    for i, (name, shape) in enumerate(shapes(config).items()):
        stem = name.removesuffix("weight")
        if name.endswith(PLAIN) or len(shape) == 1 or i % 7 == 6:  # some are left out, as in the field
            n = math.prod(shape)
            low, high = (0.5, 1.5) if len(shape) == 1 else (-0.2, 0.2)
            plain[name] = coded[name] = (
                "F32",
                shape,
                pack("F32", [rng.uniform(low, high) for _ in range(n)]),
            )
            continue
        m = maker(rng, *shape)
        coded.update({stem + suffix: t for suffix, t in m.tensors.items()})
        if m.same:
            plain.update({stem + suffix: t for suffix, t in m.same.items()})
            config["quantization_config"] = SAME_WORDS if "weight_packed" in m.same else SAME_FP8
        else:
            plain[name] = ("F32", shape, m.values.tobytes())
        if "fp8" in form or form == "modelopt":
            coded[stem + "input_scale"] = ("F32", [], pack("F32", [0.5]))
    moe = [i for i in range(2) if f"model.layers.{i}.mlp.gate.weight" in plain]
    write(
        top / f"{family}.{form}",
        dict(config, quantization_config=quantisation),
        coded,
        config["vocab_size"],
        moe,
    )
    write(top / f"{family}.{form}.plain", config, plain, config["vocab_size"], moe)


def same_bits(top):
    names = []
    for f, family in enumerate(FAMILIES):
        for i, form in enumerate(FORMS):
            make(top / "models", family, form, 1000 * f + i)
            names.append(f"{family}.{form}")
    r = subprocess.run(
        [HALLMARK, "selftest", "--oracles", top / "models", "--dump", top / "dump", "--json"],
        capture_output=True,
    )
    details = {c["name"]: c["detail"] for c in json.loads(r.stdout)["cases"]} if r.stdout else {}
    for name in names:
        both = [top / "dump" / n / "computed.safetensors" for n in (name, name + ".plain")]
        for n, path in zip((name, name + ".plain"), both):
            assert path.exists(), f"{n}: {details.get(n)}{r.stderr.decode()}"
        got, want = (load(p)["logits"][2] for p in both)
        values = struct.unpack(f"<{len(want) // 4}f", want)
        assert all(map(math.isfinite, values)) and max(values) - min(values) > 0.1, (
            name,
            min(values),
            max(values),
        )
        assert got == want, f"{name}: logits differ from those of the plain values"
    print(f"{len(names)} models of {len(FORMS)} forms: the bits of the plain values")


def borders(top):
    """Units that lie across the border of two pieces that files are read in, at many places."""
    piece, names = 4 << 20, {}
    for family, form in (
        ("llama", "ct-int4-zeros"),
        ("llama", "nf4-nested"),
        ("phi3", "gptq-4"),
        ("deepseek_v2", "ct-fp8-channel"),
        ("deepseek_v2", "awq"),
        ("deepseek_v2", "fp8-tensor"),
    ):
        source = top / "models" / f"{family}.{form}"
        tensors = load(source / "model.safetensors")
        size = sum(len(t[2]) for t in tensors.values())
        for i in range(6):
            n = (piece - 16384 - size * i // 6) // 4  # a buffer that is no part of the model
            buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [n], bytes(4 * n))}
            folder = top / "across" / f"{family}.{form}.{i}"
            shutil.copytree(source, folder)
            save(folder / "model.safetensors", {**buffer, **tensors})
            names[folder.name] = source.name
    subprocess.run(
        [
            HALLMARK,
            "selftest",
            "--oracles",
            top / "across",
            "--dump",
            top / "dump2",
            "--json",
            "--threads",
            "3",
        ],
        capture_output=True,
    )
    for name, source in names.items():
        got = load(top / "dump2" / name / "computed.safetensors")["logits"][2]
        assert got == load(top / "dump" / source / "computed.safetensors")["logits"][2], name
    print(f"{len(names)} files with units across the border of two pieces: the same bits")


Q = "model.layers.0.self_attn.q_proj."
# form, tensor, what becomes of it (None: it goes), and the sentence's words
DAMAGES = [
    (
        "ct-int4-group",
        Q + "weight_scale",
        None,
        [Q + "weight_packed is there and", "weight_scale is missing"],
    ),
    ("ct-int4-group", Q + "weight_shape", None, ["weight_shape is missing"]),
    (
        "ct-int4-group",
        Q + "weight_scale",
        ("BF16", [128, 3]),
        ["weight_scale is BF16", "must be [128, 2]"],
    ),
    (
        "ct-int4-group",
        Q + "weight_scale",
        ("I32", [128, 1]),
        ["weight_scale is I32, not a supported type"],
    ),
    (
        "ct-int4-group",
        Q + "weight_packed",
        ("I32", [128, 7]),
        [Q + "weight_packed is I32 [128, 7], as no group"],
    ),
    ("ct-int4-group", Q + "weight_zeros", ("I8", [1]), [Q + "weight_zeros is not part of llama"]),
    ("ct-int4-zeros", Q + "weight_zero_point", None, [Q + "weight_packed has no zero points"]),
    (
        "ct-int4-zeros",
        Q + "weight_zero_point",
        ("I32", [15, 2]),
        ["weight_zero_point", "must be [16, 2]"],
    ),
    ("ct-int4-zeros", Q + "weight_g_idx", ("I32", [63]), ["weight_g_idx", "must be [64, 1]"]),
    (
        "ct-int4-zeros",
        Q + "weight_g_idx",
        ("I32", [64], [9] * 64),
        ["weight_g_idx has 9 at 0: no such group"],
    ),
    ("ct-int8", Q + "weight", ("I8", [128, 63]), [Q + "weight is I8", "must be [128, 64]"]),
    (
        "ct-int8",
        Q + "weight_scale",
        ("F32", [128, 1], [math.inf] * 128),
        ["weight_scale has inf at 0: not finite"],
    ),
    ("ct-fp8-tensor", Q + "weight_scale", ("F32", [2]), ["weight_scale is F32", "must be [1, 1]"]),
    (
        "fbgemm",
        Q + "weight",
        ("F8_E4M3", [128, 64], [127] * 8192),
        [Q + "weight has a non-finite value at row 0"],
    ),
    ("fbgemm", Q + "weight", ("F8_E5M2", [128, 64]), [Q + "weight is F8_E5M2"]),
    (
        "ct-fp8-channel",
        Q + "weight_scale",
        ("F32", [128, 1], [3e38] * 128),
        [Q + "weight has a non-finite value"],
    ),
    ("gptq-4", Q + "g_idx", None, [Q + "qweight has no g_idx beside it"]),
    ("gptq-4", Q + "qzeros", ("I32", [2, 15]), [Q + "qzeros is I32", "must be [2, 16]"]),
    ("gptq-4", Q + "scales", ("F16", [128, 2]), [Q + "scales is F16", "must be [2, 128]"]),
    ("gptq-4", Q + "qweight", ("I32", [8, 127]), [Q + "qweight is I32", "must be [8, 128]"]),
    ("gptq-4", Q + "bias", ("F16", [128], [0.0] * 127 + [0.5]), [Q + "bias has 0.5 at 127: a bias that"]),
    (
        "gptq-4-sym",
        Q + "qzeros",
        ("I32", [2, 16], [0x77777776] * 32),
        ["qzeros has 7 at 0: a zero point that"],
    ),
    (
        "gptq-4-sym",
        Q + "g_idx",
        ("I32", [64], [1] * 64),
        ["g_idx has 1 at 0: out of order, which desc_act"],
    ),
    (
        "gptq-4-sym",
        Q + "scales",
        ("F16", [2, 128], [math.nan] * 256),
        ["scales has nan at 0: not finite"],
    ),
    ("awq", Q + "qzeros", None, [Q + "qzeros is missing"]),
    ("awq", Q + "qweight", ("I32", [64, 15]), [Q + "qweight is I32", "must be [64, 16]"]),
    ("nf4-nested", Q + "weight.nested_absmax", None, ["nested_absmax and nested_quant_map are not both"]),
    ("nf4-nested", Q + "weight.absmax", ("U8", [127]), [Q + "weight.absmax has 127 values, not 128"]),
    ("nf4-nested", Q + "weight.quant_map", ("F32", [15]), ["quant_map", "must be [16, 1]"]),
    (
        "nf4-nested",
        Q + "weight.quant_state.bitsandbytes__nf4",
        ("U8", [2], b"{}"),
        ["bitsandbytes__nf4: blocksize 0"],
    ),
    ("bnb-int8", Q + "SCB", None, [Q + "SCB is missing"]),
    ("bnb-int8", Q + "SCB", ("F32", [127]), [Q + "SCB is F32", "must be [128, 1]"]),
]
UNEVEN = compressed("", num_bits=4, type="float", strategy="tensor_group", group_size=17)
# form, what its config says instead, and the sentence's words
OTHERWISE = [
    ("awq", {"group_size": 33}, [Q + "qweight: groups of 33", "do not divide 64 columns"]),
    (
        "ct-nvfp4",
        {"config_groups": UNEVEN["config_groups"]},
        [Q + "weight_packed: groups of 17", "do not divide 64 columns"],
    ),
]


def otherwise(top):
    for i, (form, change, _) in enumerate(OTHERWISE):
        folder = top / "otherwise" / str(i)
        shutil.copytree(top / "models" / f"llama.{form}", folder)
        config = json.loads((folder / "config.json").read_text())
        config["quantization_config"].update(change)
        (folder / "config.json").write_text(json.dumps(config))
    r = subprocess.run([HALLMARK, "selftest", "--oracles", top / "otherwise", "--json"], capture_output=True)
    said = {c["name"]: c["detail"] for c in json.loads(r.stdout)["cases"]}
    for i, (form, _, words) in enumerate(OTHERWISE):
        assert all(w in said[str(i)] for w in words), (form, said[str(i)])


def refusals(top):
    for i, (form, tensor, change, words) in enumerate(DAMAGES):
        if not (top / "models" / f"llama.{form}").exists():
            make(top / "models", "llama", form, 7)
        folder = top / "damaged" / str(i)
        shutil.copytree(top / "models" / f"llama.{form}", folder)
        tensors = load(folder / "model.safetensors")
        if change is None:
            del tensors[tensor]
        else:
            dtype, shape, *values = change
            raw = pack(dtype, list(values[0])) if values else bytes(math.prod(shape) * BITS[dtype] // 8)
            tensors[tensor] = (dtype, shape, raw)
        save(folder / "model.safetensors", tensors)
    r = subprocess.run(
        [HALLMARK, "selftest", "--oracles", top / "damaged", "--json"], capture_output=True
    )
    said = {c["name"]: c["detail"] for c in json.loads(r.stdout)["cases"]}
    for i, (form, tensor, change, words) in enumerate(DAMAGES):
        text = said[str(i)]
        assert "model.safetensors: tensor " in text and all(w in text for w in words), (
            form,
            tensor,
            text,
        )
    print(f"{len(DAMAGES)} damaged folders: refused by file, tensor and value")


def answers(folder, weights):
    with Home() as h, Server(h, folder, "--unsigned", "--weights", weights) as s:
        document = s.chat("What is an overdraft?", max_tokens=12, logprobs=True, top_logprobs=5)[2]
        return document["choices"][0]["logprobs"]


def packed_alike(top, form, packings):
    """The demo model in codes of 4 bits, served in packings."""
    rng, config = random.Random(3), json.loads((MODEL / "config.json").read_text())
    folders = [top / f"demo.{form}", top / f"demo-plain.{form}"]
    tensors = [{}, {}]
    for name, (dtype, shape, raw) in load(MODEL / "model.safetensors").items():
        if name.endswith(PLAIN) or len(shape) == 1:
            tensors[0][name] = tensors[1][name] = (dtype, shape, raw)
            continue
        m = FORMS[form][0](rng, *shape)
        tensors[0].update({name.removesuffix("weight") + s: t for s, t in m.tensors.items()})
        tensors[1][name] = ("F32", shape, m.values.tobytes())
    for folder, t in zip(folders, tensors):
        shutil.copytree(MODEL, folder)
        folder.chmod(0o755)
        for file in ("model.safetensors", "config.json"):
            (folder / file).unlink()
        save(folder / "model.safetensors", t)
        (folder / "config.json").write_text(json.dumps(config))
        config["quantization_config"] = None
    config["quantization_config"] = FORMS[form][1]
    (folders[0] / "config.json").write_text(json.dumps(config))
    for weights in packings:
        coded, plain = (answers(f, weights) for f in folders)
        assert coded == plain and (coded["content"] or weights == "q4"), (weights, coded, plain)
    print(f"{form}: served alike as {packings}")


with tempfile.TemporaryDirectory(prefix="hallmark-test.") as d:
    same_bits(pathlib.Path(d))
    borders(pathlib.Path(d))
    otherwise(pathlib.Path(d))
    refusals(pathlib.Path(d))
    packed_alike(pathlib.Path(d), "ct-int4-zeros", ("stored", "bf16", "q8", "q4"))
    packed_alike(pathlib.Path(d), "gptq-4-sym", ("bf16", "q4"))  # q4: the codes as they are
