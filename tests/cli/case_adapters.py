#!/usr/bin/env python3
"""LoRA adapters, merged into their base at load: the bits of the merged model, over plain and quantised
bases and in every packing; a release of its own, named in the record, demanded by replay; and what is wrong
with one is said by file, tensor and value."""

import array, json, math, os, pathlib, random, shutil, struct, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server
from quantised import FORMS, SAME_FP8, bf16, f32, load, pack, save

BASE = load(MODEL / "model.safetensors")
LEAD, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "somewhere/else",
    "r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.05,
    "bias": "none",
    "fan_in_fan_out": False,
    "target_modules": ["q_proj", "o_proj", "kv_b_proj", "down_proj", "lm_head"],
    "modules_to_save": None,
    "init_lora_weights": True,
    "rank_pattern": {
        "model.layers.1.self_attn.o_proj": 2,
        "^model\\.layers\\.2\\.mlp\\.experts\\.3\\.down_proj": 3,
    },
    "alpha_pattern": {"kv_b_proj": 32},
    "use_dora": False,
    "use_rslora": False,
}
# module -> rank and s by the config above, without and with use_rslora
MODULES = {
    "model.layers.0.self_attn.q_proj": (4, 8 / 4, 8 / 2),
    "model.layers.0.mlp.down_proj": (4, 8 / 4, 8 / 2),
    "model.layers.1.self_attn.o_proj": (2, 8 / 2, 8 / math.sqrt(2)),
    "model.layers.1.self_attn.kv_b_proj": (4, 32 / 4, 32 / 2),
    "model.layers.2.mlp.experts.3.down_proj": (3, 8 / 3, 8 / math.sqrt(3)),
    "lm_head": (4, 8 / 4, 8 / 2),
}


def values(tensor):
    dtype, _, raw = tensor
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + raw[i : i + 2])[0] for i in range(0, len(raw), 2)]
    return list(array.array("f", raw))


def draw(rng, rows, columns, size):
    return [[bf16(rng.uniform(-1, 1) * size) for _ in range(columns)] for _ in range(rows)]


def adapter(folder, seed, config=CONFIG, change=None):
    """A random adapter of MODULES; its matrices, by module."""
    rng, tensors, parts = random.Random(seed), {}, {}
    for module, (rank, *_) in MODULES.items():
        rows, columns = BASE[module + ".weight"][1]
        a, b = draw(rng, rank, columns, 0.1), draw(rng, rows, rank, 0.05)
        tensors[LEAD + module + A] = ("BF16", [rank, columns], pack("BF16", sum(a, [])))
        tensors[LEAD + module + B] = ("F32", [rows, rank], pack("F32", sum(b, [])))
        parts[module] = a, b
    head = BASE["lm_head.weight"]  # as PEFT writes it of a head that is adapted
    tensors[LEAD + "lm_head.base_layer.weight"] = head
    if change:
        change(tensors)
    folder.mkdir(parents=True)
    save(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return parts


def merged(weights, columns, s, a, b):
    """f32 values of W + s B A, the sums in f64, in ascending order."""
    out = []
    for r, row in enumerate(b):
        for k in range(columns):
            total = 0.0
            for j, x in enumerate(row):
                total += x * a[j][k]
            out.append(f32(weights[r * columns + k] + s * total))
    return out


def even(x):
    """To bf16, ties to even."""
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return struct.unpack("<f", struct.pack("<I", bits & 0xFFFF0000))[0]


def folder_of(path, tensors, **config):
    shutil.copytree(MODEL, path)
    path.chmod(0o755)
    (path / "model.safetensors").unlink()
    save(path / "model.safetensors", tensors)
    if config:
        (path / "config.json").unlink()
        c = dict(json.loads((MODEL / "config.json").read_text()), **config)
        (path / "config.json").write_text(json.dumps(c))
    return path


def logits(h, folder, *options):
    """The recorded digest of the last logits, and the fields that say with what."""
    with Server(h, folder, "--unsigned", *options) as s:
        index = s.stream("What is an overdraft?", max_tokens=5)[1]["hallmark"]["index"]
    fields = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
    fields = {f["name"]: f["value"] for f in fields}
    return fields["logits_digest"], fields, index


def bits(top):
    with Home() as h:
        for rs in (False, True):
            parts = adapter(top / f"adapter{rs}", 5, dict(CONFIG, use_rslora=rs))
            twin, wide = dict(BASE), dict(BASE)
            for module, (a, b) in parts.items():
                name, s = module + ".weight", MODULES[module][2 if rs else 1]
                shape = BASE[name][1]
                v = merged(values(BASE[name]), shape[1], s, a, b)
                twin[name] = ("BF16", shape, pack("BF16", [even(x) for x in v]))
                wide[name] = ("F32", shape, pack("F32", v))
            stored, wider = folder_of(top / f"twin{rs}", twin), folder_of(top / f"wide{rs}", wide)
            for weights in ("stored", "q8") if rs else ("stored", "bf16", "q8", "q4"):
                # the latents stay as stored, which a wider file changes
                if weights != "stored":
                    wide["model.layers.1.self_attn.kv_b_proj.weight"] = twin[
                        "model.layers.1.self_attn.kv_b_proj.weight"
                    ]
                    save(wider / "model.safetensors", wide)
                want = logits(h, wider if weights != "stored" else stored, "--weights", weights)[0]
                got, fields, _ = logits(h, MODEL, "--weights", weights, "--adapter", top / f"adapter{rs}")
                plain = logits(h, MODEL, "--weights", weights)[0]
                assert got == want and got != plain, (rs, weights, got, want, plain)
                assert fields["weights_format"]["adapter"]["signer"] is None, fields["weights_format"]
    print("base and adapter have the bits of the merged model: stored, bf16, q8, q4; by r and by sqrt(r)")


def over_codes(top):
    """Over a base in codes: what they stand for, then the adapter."""
    forms = {
        "gptq-4": lambda m: (m.tensors, FORMS["gptq-4"][1]),
        "ct-fp8-128": lambda m: (m.tensors, FORMS["ct-fp8-128"][1]),
        "fp8": lambda m: (m.same, SAME_FP8),
    }
    with Home() as h:
        for form, pick in forms.items():
            rng, coded, plain = random.Random(8), {}, {}
            parts = adapter(top / f"over.{form}", 9)
            for name, (dtype, shape, raw) in BASE.items():
                module = name.removesuffix(".weight")
                head = module == "lm_head"
                if module not in MODULES or head:
                    coded[name] = plain[name] = (dtype, shape, raw)
                else:
                    m = FORMS[form if form in FORMS else "ct-fp8-128"][0](rng, *shape)
                    tensors, config = pick(m)
                    coded.update({f"{module}.{s}": t for s, t in tensors.items()})
                    plain[name] = ("F32", shape, m.values.tobytes())
                if module in MODULES:
                    a, b = parts[module]
                    v = map_even(merged(values(plain[name]), shape[1], MODULES[module][1], a, b), head)
                    dtype = "BF16" if head else "F32"
                    plain[name] = (dtype, shape, pack(dtype, v))
            base = folder_of(top / f"coded.{form}", coded, quantization_config=config)
            twin = folder_of(top / f"coded-twin.{form}", plain)
            got, want = logits(h, base, "--adapter", top / f"over.{form}")[0], logits(h, twin)[0]
            assert got == want, (form, got, want)
    print(f"over quantised bases too: {', '.join(forms)}")


def map_even(v, narrow):
    return [even(x) for x in v] if narrow else v


def released(top):
    """Its own release: signed, named in the record, wanted again by replay."""
    with Home() as h:
        base, folder, other = h.model("base"), h.dir / "tuned", h.dir / "other"
        adapter(folder, 5)
        adapter(other, 6)
        h.run("key", "new", "--name", "k", "--models", "*/*", "--quiet")
        h.publish(base)
        r = h.run("run", base, "Hello", "--adapter", folder, status=None)
        assert r.returncode != 0 and b"tuned cannot be served" in r.stderr, r.stderr
        root = h.publish(folder, name="acme/tuned", version="2")["root"]
        h.publish(other, name="acme/other")
        r = h.json(
            "run", "hallmark/fernbank-demo", "Hello", "--max-tokens", "4", "--adapter", "acme/tuned"
        )
        index = r["hallmark"]["index"]
        fields = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
        weights = {f["name"]: f["value"] for f in fields}["weights_format"]
        assert weights["adapter"]["root"] == root and weights["adapter"]["signer"], weights
        served = [e["entry"].get("body", {}) for e in h.json("audit", "list")["entries"]]
        served = [b for b in served if b.get("event") == "serve"][-1]
        assert served["adapter"] == weights["adapter"] and served["root"] != root, served
        assert h.json("audit", "replay", index)["equal"]
        d = h.json("audit", "replay", index, "--adapter", "acme/other", status=None)
        names = {x["field"] for x in d["differences"]}
        assert not d["equal"] and {"weights_format", "logits_digest"} <= names, d
        bytes_ = bytearray((folder / "adapter_model.safetensors").read_bytes())
        bytes_[-5] ^= 1
        (folder / "adapter_model.safetensors").chmod(0o644)
        (folder / "adapter_model.safetensors").write_bytes(bytes_)
        r = h.run("run", base, "Hello", "--adapter", folder, status=None)
        assert r.returncode != 0 and b"adapter_model.safetensors" in r.stderr, r.stderr
        r = h.run("run", folder, "Hello", status=None)
        assert r.returncode != 0 and b"an adapter without its base model" in r.stderr, r.stderr
    print("released, recorded and replayed")


def without(name):
    return lambda t: t.pop(name)


def put(name, dtype, shape, values_=None):
    def change(t):
        n = math.prod(shape)
        t[name] = (dtype, shape, pack(dtype, [values_ or 0] * n))

    return change


Q = LEAD + "model.layers.0.self_attn.q_proj"
REFUSED = [
    ({}, without(Q + B), ["adapter_model.safetensors: tensor " + Q + B + " is missing"]),
    ({}, without(Q + A), ["tensor " + Q + A + " is missing"]),
    (
        {},
        put(Q + A, "F32", [4, 255]),
        [Q + A + " is [4, 255], for another base", "q_proj.weight is [192, 256]"],
    ),
    ({}, put(Q + B, "F32", [191, 4]), [Q + B + " is [191, 4], for another base"]),
    ({}, put(Q + B, "F32", [192, 3]), [Q + A + " has rank 4, and " + Q + B + " has rank 3"]),
    ({}, put(Q + B, "I8", [192, 4]), [Q + B + " is I8, not a float"]),
    ({}, put(Q + B, "F32", [192, 4], math.nan), [Q + B + " has a non-finite value at row 0, column 0"]),
    ({"lora_alpha": 1e6}, put(Q + B, "F32", [192, 4], 3e38), ["q_proj.weight has a non-finite value"]),
    ({}, put(Q + ".lora_magnitude_vector", "F32", [192]), ["lora_magnitude_vector", "DoRA"]),
    (
        {},
        put(LEAD + "model.embed_tokens.lora_embedding_A", "F32", [4, 8]),
        ["lora_embedding_A", "embeddings"],
    ),
    (
        {},
        put(LEAD + "lm_head.base_layer.weight", "F32", [2048, 256]),
        ["base_layer.weight is for another base: 0 at"],
    ),
    (
        {},
        put(LEAD + "lm_head.base_layer.weight", "F32", [2048, 255]),
        ["base_layer.weight is [2048, 255], not"],
    ),
    ({}, put(LEAD + "lm_head.modules_to_save.weight", "F32", [2, 2]), ["modules_to_save"]),
    (
        {},
        put("model.x.weight", "F32", [2, 2]),
        ["tensor model.x.weight: not available", "NAME.lora_A.weight"],
    ),
    ({"r": 5}, None, ["lora_A.weight is [4, ", "by adapter_config.json its rank is 5"]),
    ({"r": 0}, None, ["adapter_config.json: r 0: out of range"]),
    ({"r": None}, None, ["adapter_config.json: r null"]),
    ({"lora_alpha": "x"}, None, ['adapter_config.json: lora_alpha "x": not a number']),
    ({"peft_type": "IA3"}, None, ['adapter_config.json: peft_type "IA3"']),
    ({"use_dora": True}, None, ["adapter_config.json: use_dora true"]),
    ({"bias": "all"}, None, ['adapter_config.json: bias "all"']),
    ({"modules_to_save": ["lm_head"]}, None, ["adapter_config.json: modules_to_save"]),
    (
        {"target_parameters": ["mlp.experts.gate_up_proj"]},
        None,
        ["adapter_config.json: target_parameters"],
    ),
    ({"init_lora_weights": "pissa_niter_4"}, None, ["init_lora_weights", "changes the base"]),
    ({"rank_pattern": {"layers\\.[01]\\..*": 2}}, None, ["rank_pattern", "a regular expression"]),
    ({"alpha_pattern": {"q_proj": "8"}}, None, ["alpha_pattern", "not numbers"]),
]


def refusals(top):
    with Home() as h:
        for i, (more, change, words) in enumerate(REFUSED):
            adapter(top / f"bad{i}", 5, dict(CONFIG, **more), change)
            r = h.run(
                "run", MODEL, "x", "--unsigned", "--quiet", "--adapter", top / f"bad{i}", status=None
            )
            text = r.stderr.decode()
            assert r.returncode in (1, 2, 3, 4, 5) and all(w in text for w in words), (
                words,
                r.returncode,
                text,
            )

        def rename(t):
            for end in (A, B):
                t[LEAD + "model.layers.77.self_attn.q_proj" + end] = t.pop(Q + end)

        adapter(top / "far", 5, CONFIG, rename)
        r = h.run("run", MODEL, "x", "--unsigned", "--adapter", top / "far", status=None)
        assert (
            r.returncode and b"layers.77.self_attn.q_proj.lora_A.weight is for another base" in r.stderr
        ), r.stderr
        (top / "binary").mkdir()
        (top / "binary/adapter_config.json").write_text(json.dumps(CONFIG))
        (top / "binary/adapter_model.bin").write_bytes(b"x")
        r = h.run("run", MODEL, "x", "--unsigned", "--adapter", top / "binary", status=None)
        assert r.returncode and b"adapter_model.bin" in r.stderr, r.stderr
        # of another name, and with a key that changes nothing: said, not refused
        adapter(top / "noted", 5, dict(CONFIG, fan_in_fan_out=True))
        r = h.run("run", MODEL, "x", "--unsigned", "--max-tokens", "1", "--adapter", top / "noted")
        assert b"made for somewhere/else, merged into" in r.stderr, r.stderr
        assert b"fan_in_fan_out is without effect" in r.stderr, r.stderr
    print(f"{len(REFUSED) + 2} adapters refused by file, tensor and value")


with tempfile.TemporaryDirectory(prefix="hallmark-test.") as d:
    bits(pathlib.Path(d))
    over_codes(pathlib.Path(d))
    released(pathlib.Path(d))
    refusals(pathlib.Path(d))
