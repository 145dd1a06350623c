#!/usr/bin/env python3
# peer: gguf
"""GGUF files against the gguf package and against safetensors: a twin of every reference model gives the
same bits, blocks of every type the bits of a model that holds what the package says they are, tokenizers the
ids of tokenizer.json; a file, a folder and parts are run and served; what is wrong is refused by name."""

import json, lzma, os, re, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, MODEL, TOP

try:
    import gguf, numpy as np
except ImportError:
    print("skipped: the gguf package is not installed")
    sys.exit(77)

import gguf_twin as twin
from gguf_twin import T

ORACLES = TOP / "tests/vectors/oracles"
# What no GGUF file says: FP8, and two scales of YaRN that differ.
LEFT_OUT = {"deepseek_v3_fp8", "deepseek_v3_negbias"}


def computed(home, folder, status=0):
    dump = home.dir / "dump"
    shutil.rmtree(dump, ignore_errors=True)
    dump.mkdir()
    r = home.run("selftest", "--oracles", folder, "--dump", dump, "--quiet", status=None)
    assert status is None or r.returncode == status, r.stdout.decode() + r.stderr.decode()
    out = {f.name: (f / "computed.safetensors") for f in dump.iterdir()}
    assert all(f.exists() for f in out.values()), r.stdout.decode()
    return {name: f.read_bytes() for name, f in out.items()}


def case_of(root, name, like):
    folder = root / name
    folder.mkdir(parents=True)
    for f in ("expected.json", "expected.safetensors"):
        shutil.copy(like / f, folder)
    return folder


# Options that no GGUF file has: there it is what llama.cpp computes.
SAID = {
    "gemma2": lambda c: {"query_pre_attn_scalar": c["head_dim"]},
    "gemma3_text": lambda c: {"query_pre_attn_scalar": c["head_dim"], "sliding_window_pattern": 6},
    "olmo3": lambda c: {"layer_types": None},
    "exaone4": lambda c: {"layer_types": None, "sliding_window_pattern": 4},
    "cohere2": lambda c: {"sliding_window_pattern": 4},
    "gemma4_text": lambda c: {},  # ids of images: by themselves, text_config has none
    "llama4_text": lambda c: {"attention_chunk_size": 8192, "floor_scale": 8192},
}


T_SOFTMAX = gguf.ExpertGatingFuncType.SOFTMAX


def near(got, want, name):
    a, b = (twin.read_bytes(x)["logits"][0] for x in (got, want))
    assert np.abs(a - b).max() < 1e-4 * np.abs(b).max(), name


def reference_models(home):
    """Stored alike, they compute the same bits; of deepseek2 older files too, of one several parts."""
    root, plain = home.dir / "twins", home.dir / "plain"
    forms, changed = {}, set()
    for like in sorted(ORACLES.iterdir()):
        if not like.is_dir() or like.name in LEFT_OUT:
            continue
        config = json.loads((like / "config.json").read_text())
        config = config.get("text_config", config)
        if config["model_type"] not in twin.ARCH:
            continue
        shutil.copytree(like, plain / like.name)
        if config["model_type"] in SAID:
            config |= SAID[config["model_type"]](config)
            (plain / like.name / "config.json").write_text(json.dumps(config))
            changed.add(like.name)
        twin.write(plain / like.name, case_of(root, like.name, like) / "model.gguf")
        forms[like.name] = like.name
        if like.name == "mistral":
            twin.write(like, case_of(root, "mistral-new", like) / "model.gguf", arch="mistral3")
            forms["mistral-new"] = like.name
        if like.name == "deepseek_v3":
            twin.write(like, case_of(root, "older", like) / "model.gguf", new=False)
            twin.write(like, case_of(root, "parts", like) / "m.gguf", parts=20)
            assert len(list((root / "parts").glob("m-0000?-of-*.gguf"))) > 2
            forms |= {"older": like.name, "parts": like.name}
    status = None if changed else 0  # what is changed is not what the folder's own file expects
    want, got = computed(home, plain, status), computed(home, root, status)
    for name, of in forms.items():
        if "A_log" in str(twin.read_folder(ORACLES / of).keys()):
            near(got[name], want[of], name)  # a decay is the logarithm of what is stored
            continue
        assert got[name] == want[of], name
    assert len(forms) >= 40, len(forms)


def block_types(home):
    """A model of random blocks, and one of safetensors with the values that the package gives them."""
    like = ORACLES / "llama"
    config = json.loads((like / "config.json").read_text())
    config |= {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "rope_scaling": None}
    rng = np.random.default_rng(11)
    q, kv = 4 * 32, 32
    shapes = {"model.embed_tokens": (240, 256)}
    for i in range(2):
        for name, shape in (
            ("self_attn.q_proj", (q, 256)),
            ("self_attn.k_proj", (kv, 256)),
            ("self_attn.v_proj", (kv, 256)),
            ("mlp.gate_proj", (512, 256)),
            ("mlp.up_proj", (512, 256)),
            ("mlp.down_proj", (256, 512)),
        ):
            shapes[f"model.layers.{i}.{name}"] = shape

    def blocks(kind, shape):
        size, bytes_ = gguf.GGML_QUANT_SIZES[kind]
        b = rng.integers(0, 256, (shape[0] * shape[1] // size, bytes_), dtype=np.uint8)
        scale = (
            rng.uniform(0.5, 1.5, (len(b), 2)) * {T.Q6_K: 2e-5, T.Q4_K: 1e-4, T.Q5_K: 5e-5}[kind]
        ).astype(np.float16)
        if kind == T.Q6_K:
            b[:, 208:] = scale[:, :1].view(np.uint8)
        else:
            b[:, :4] = scale.view(np.uint8)
        return b.reshape(shape[0], -1)

    root, plain = home.dir / "blocks", home.dir / "blocks-plain"
    for kind in (T.Q4_K, T.Q5_K, T.Q6_K, T.F16, T.BF16):
        raw, value = {}, {}
        for name, shape in shapes.items():
            if kind in (T.F16, T.BF16):
                raw[name] = gguf.quants.quantize((rng.standard_normal(shape) * 0.05).astype(np.float32), kind)
            else:
                raw[name] = blocks(kind, shape)
            value[name + ".weight"] = (
                gguf.quants.dequantize(raw[name], kind).astype(np.float32).reshape(shape)
            )
        for i in range(2):
            value[f"model.layers.{i}.self_attn.o_proj.weight"] = (
                rng.standard_normal((256, q)).astype(np.float32) * 0.05
            )
            for norm in ("input_layernorm", "post_attention_layernorm"):
                value[f"model.layers.{i}.{norm}.weight"] = rng.uniform(0.5, 1.5, 256).astype(np.float32)
        value["model.norm.weight"] = rng.uniform(0.5, 1.5, 256).astype(np.float32)
        folder = case_of(plain, kind.name, like)
        (folder / "config.json").write_text(json.dumps(config))
        twin.write_safetensors(folder / "model.safetensors", value)
        # rows of q and k are permuted in the file: the blocks of a row stay together
        stored = {}
        for name, b in raw.items():
            if ".q_proj" in name or ".k_proj" in name:
                b = twin.permute(b, 4 if ".q_proj" in name else 1)
            part = name.removeprefix("model.layers.")
            stored[
                (
                    "token_embd.weight"
                    if part == name
                    else f"blk.{part[0]}.{twin.layer_name(part[2:] + '.weight', 'llama')}"
                )
            ] = b
        twin.write(
            folder,
            case_of(root, kind.name, like) / "model.gguf",
            want=lambda a, name: (stored[name], kind) if name in stored else T.F32,
        )
    # they compute what they should, not what another model's file expects; F16 and BF16 stay as they are
    want, got = computed(home, plain, None), computed(home, root, None)
    for name in want:
        if name not in ("F16", "BF16"):
            assert got[name] == want[name], name
    logits = {name: twin.read_bytes(got[name])["logits"][0] for name in got}
    plain_logits = {name: twin.read_bytes(want[name])["logits"][0] for name in want}
    for name in ("F16", "BF16"):
        assert np.abs(logits[name] - plain_logits[name]).max() < 1e-3 * np.abs(plain_logits[name]).max(), name


def tokenizers(home):
    """The cases of two tokenizer.json, by a GGUF file that conversion would make of them."""
    for name, pre in (("qwen3", "qwen2"), ("deepseek_v3", "deepseek-v3")):
        folder = TOP / "tests/vectors/tokenizers"
        j = json.load(lzma.open(folder / f"{name}.tokenizer.json.xz"))
        twin.vocabulary_only(home.dir / f"{name}.gguf", twin.bpe_tokenizer(j, pre))
        r = home.run(
            "selftest",
            "--tokenizer",
            home.dir / f"{name}.gguf",
            "--cases",
            folder / f"{name}.cases.jsonl",
            "--quiet",
        )
        assert b"400 passed, 0 failed" in r.stdout, r.stdout
    # every pre-tokenizer that has a name is one
    j = json.loads((MODEL / "tokenizer.json").read_text())
    text = "It's 12345 years, naïve 中文 \U0001f600\n\n  (x+=1)"
    (home.dir / "one.jsonl").write_text(json.dumps({"text": text, "ids": [], "decoded": text}) + "\n")
    source = (TOP / "model/gguf_pre.c").read_text()
    names = " ".join(re.findall(r'\.names = "([^"]*)"', source)).split()
    assert len(names) > 40
    for name in names:
        twin.vocabulary_only(home.dir / "pre.gguf", twin.bpe_tokenizer(j, name))
        args = ("--cases", home.dir / "one.jsonl", "--dump", home.dir, "--quiet")
        home.run("selftest", "--tokenizer", home.dir / "pre.gguf", *args, status=3)  # no ids are expected
        assert json.loads((home.dir / "tokenizer.jsonl").read_text())["decoded"] == text, name
    folder = TOP / "tests/vectors/gguf"
    v = json.loads((folder / "sentencepiece.json").read_text())

    def scored(w):
        w.add_tokenizer_model("llama")
        w.add_token_list(v["tokens"])
        w.add_token_scores(v["scores"])
        w.add_token_types(v["types"])
        for add, i in ((w.add_unk_token_id, 0), (w.add_bos_token_id, 1), (w.add_eos_token_id, 2)):
            add(i)

    twin.vocabulary_only(home.dir / "spm.gguf", scored)
    cases = folder / "sentencepiece.cases.jsonl"
    r = home.run("selftest", "--tokenizer", home.dir / "spm.gguf", "--cases", cases, "--quiet")
    assert b"72 passed, 0 failed" in r.stdout, r.stdout


def demo(folder, want=None, name="model.gguf", **more):
    """The demo model with its tokenizer and template, and what else metadata is to say."""
    folder.mkdir(exist_ok=True)
    j = json.loads((MODEL / "tokenizer.json").read_text())
    c = json.loads((MODEL / "tokenizer_config.json").read_text())
    tokenizer = twin.bpe_tokenizer(j, more.pop("pre", "deepseek-v3"), template=c["chat_template"])

    def extra(w):
        tokenizer(w)
        w.add_add_bos_token(True)
        for key, value in more.items():
            w.add_string(key, value)

    twin.write(MODEL, folder / name, want=want, extra=extra)
    return folder


def said(home, ref, *args):
    return home.json("run", ref, "What is Fernbank?", "--unsigned", "--quiet", "--max-tokens", 24, *args)[
        "text"
    ]


def served(home):
    """As a file and as a folder it says what the folder of safetensors says; and from a signed release."""
    folder = demo(home.dir / "demo")
    want = said(home, MODEL)
    assert len(want) > 20 and said(home, folder) == want and said(home, folder / "model.gguf") == want
    with Server(home, folder / "model.gguf", "--unsigned") as s:
        status, _, answer = s.chat("What is Fernbank?", max_tokens=24)
        assert status == 200 and answer["choices"][0]["message"]["content"] == want, answer
    home.publish(folder)
    assert (
        home.json("run", "hallmark/fernbank-demo@1.0.0", "What is Fernbank?", "--quiet", "--max-tokens", 24)[
            "text"
        ]
        == want
    )


def forked(home):
    """A quantised file is known as a fork of what it was made of, and says nothing that contradicts it."""
    folder = demo(home.dir / "fork", want=T.Q4_0)
    (folder / "README.md").write_text("---\nbase_model: hallmark/fernbank-demo\n---\n")
    r = home.json("fork", "compare", MODEL, folder, "--quiet")
    assert r["verdict"] == "dependent-initialisation" and 0 < r["relative_l2"] < 0.2, r
    assert not [f for f in r["findings"] if f["severity"] != "note"], r["findings"]
    # a file alone says itself what it was made of; the parent is published there as GGUF too
    origin = "https://huggingface.co/Hallmark/Fernbank-demo"
    alone = demo(home.dir / "alone", want=T.Q4_0, **{"general.base_model.0.repo_url": origin})
    r = home.json("fork", "audit", alone, "--quiet")
    assert r["parent"] == "hallmark/fernbank-demo@1.0.0", r
    assert r["declared"]["base_models"] == [origin] and r["findings"] == [], (r["declared"], r["findings"])
    # rows that are stored in pairs are read as they were
    like = ORACLES / "llama"
    folder = home.dir / "pairs"
    folder.mkdir()
    twin.write(like, folder / "m.gguf")
    r = home.json("fork", "compare", like, folder, "--quiet")
    assert r["relative_l2"] == 0 and r["tensors"]["same"] > 0 and r["tensors"]["reshaped"] == 0, r


def quantised(home):
    """q8 as stored is what packing the values gives: a group that was quantised has the largest code."""
    for kind, form in ((T.Q8_0, "q8"), (T.Q4_0, "q4")):
        folder = demo(home.dir / form, want=kind)
        plain = home.dir / f"{form}-plain"
        plain.mkdir()
        for f in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(MODEL / f, plain)
        value = {}
        for name, (a, dtype) in twin.read_folder(MODEL).items():
            if a.ndim == 2 and ".gate.weight" not in name:
                a = gguf.quants.dequantize(gguf.quants.quantize(a, kind), kind).reshape(a.shape)
            value[name] = a
        twin.write_safetensors(plain / "model.safetensors", value)
        # the head of a folder is at least q8, that of a file may be q4: only with q8 they are the same
        if kind == T.Q8_0:
            assert said(home, folder) == said(home, folder, "--weights", "q8") != ""
        assert len(said(home, folder)) > 0
        if kind == T.Q8_0:
            assert said(home, folder) == said(home, plain, "--weights", "q8")


def refused(home):
    good = (demo(home.dir / "good") / "model.gguf").read_bytes()

    def wrong(name, data, words, status=3):
        folder = home.dir / "wrong"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for f, b in (data if isinstance(data, dict) else {"model.gguf": data}).items():
            (folder / f).write_bytes(b)
        r = home.run("run", folder, "x", "--unsigned", "--quiet", status=None)
        text = r.stderr.decode()
        assert r.returncode != 0 and all(w in text for w in words), (name, r.returncode, text)

    wrong("cut", good[:-4096], ["model.gguf", "tensor", "truncated"])
    wrong("cut in its header", good[:5000], ["model.gguf", "truncated"])
    wrong("more behind", good + bytes(64), ["trailing"])
    wrong("no GGUF", b"GGML" + good[4:], ["does not begin with GGUF"])
    wrong("version", good[:4] + b"\x09" + good[5:], ["version 9"])
    wrong("two models", {"a.gguf": good, "b.gguf": good}, ["more than one GGUF model", "a.gguf", "b.gguf"])
    wrong("a part alone", {"m-00002-of-00003.gguf": good}, ["m-00001-of-00003.gguf", "missing"])
    wrong("parts that are none", {"m-00001-of-00001.gguf": good}, ["split.no"])
    wrong("architecture", good.replace(b"deepseek2", b"deepseek7", 1), ["general.architecture", "deepseek7"])
    wrong(
        "pre-tokenizer",
        (demo(home.dir / "pre", pre="unheard-of") / "model.gguf").read_bytes(),
        ["tokenizer.ggml.pre", "unheard-of"],
    )
    wrong(
        "tensor of another model",
        good.replace(b"blk.0.attn_norm.weight", b"blk.0.atln_norm.weight", 1),
        ["blk.0.atln_norm.weight", "deepseek2"],
    )
    at = good.index(b"blk.1.attn_norm.weight") + 22
    wrong("type", good[: at + 12] + b"\x0a" + good[at + 13 :], ["blk.1.attn_norm.weight", "Q2_K"])
    # a type that is read for comparing, not for serving
    coded = (demo(home.dir / "coded", want=T.Q4_1) / "model.gguf").read_bytes()
    wrong("type not served", coded, ["tensor", "is Q4_1: not available"])
    name = b"tokenizer.ggml.add_bos_token"
    wrong(
        "a key twice",
        good.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.merges", 1),
        ["tokenizer.ggml.merges", "twice"],
    )
    assert name in good
    # what differs from layer to layer, or was lost in conversion
    for like, lie, words in (
        ("gemma4", lambda w: w.add_sliding_window_pattern([True] * 4), ["sliding_window_pattern"]),
        ("gemma4", lambda w: w.add_shared_kv_layers(5), ["shared_kv_layers", "no layer with keys"]),
        ("gemma4", lambda w: w.add_head_count_kv([2, 1, 2, 2, 2]), ["head_count_kv", "layers of one kind"]),
        ("gemma4", lambda w: w.add_feed_forward_length([42, 84, 42, 84, 84]), ["feed_forward_length"]),
        ("gemma4", lambda w: w.add_feed_forward_length([42, 42, 42, 43, 43]), ["feed_forward_length", "two"]),
        ("gemma4", lambda w: w.add_rope_dimension_count_swa(6), ["rope.dimension_count_swa"]),
        ("gemma4", lambda w: w.add_key_length(16), ["rope_freqs.weight", "half a head"]),
        ("apertus", lambda w: w.add_xielu_beta([0.5, 0.5]), ["xielu.beta", "F32 for each layer"]),
        ("nemotron", lambda w: w.add_rope_dimension_count(3), ["rope.dimension_count", "lost"]),
        ("llama4_text", lambda w: w.add_sliding_window(0), ["sliding_window", "only with chunks"]),
        ("llama4_text", lambda w: w.add_expert_count(0), ["expert_count"]),
        ("hunyuan_v1_moe", lambda w: w.add_expert_shared_count(2), ["expert_shared_count"]),
        ("kimi_linear", lambda w: w.add_head_count_kv([0, 0, 1]), ["head_count_kv", "3 for 4 layers"]),
        ("kimi_linear", lambda w: w.add_expert_gating_func(T_SOFTMAX), ["expert_gating_func"]),
        ("deepseek_v3", lambda w: w.add_attn_temperature_scale(0.1), ["temperature_scale"]),
        (
            "glm_moe_dsa_shared",
            lambda w: w.add_array("glm-dsa.attention.indexer.types", [True]),
            ["indexer.types"],
        ),
    ):
        folder = home.dir / "lie"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        twin.write(ORACLES / like, folder / "model.gguf", extra=lie)
        wrong(like, (folder / "model.gguf").read_bytes(), words)
    bad = bytearray(good)
    bad[-64:] = b"\xff" * 64  # a NaN in the last tensor
    wrong("not finite", bytes(bad), ["model.gguf", "non-finite"])


with Home() as home:
    reference_models(home)
    block_types(home)
    tokenizers(home)
    served(home)
    forked(home)
    quantised(home)
    refused(home)
