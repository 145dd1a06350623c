"""A GGUF twin of a folder of safetensors, as llama.cpp's conversion makes one: names, permuted rows, stacked
experts, completed gains, metadata. Written with the PyPI package gguf, which is what reads and checks it too.
"""

import json
import os
import re
import struct

import gguf
import numpy as np

T = gguf.GGMLQuantizationType
NUMPY = {
    "F32": np.float32,
    "F16": np.float16,
    "F64": np.float64,
    "U8": np.uint8,
    "I64": np.int64,
    "U16": np.uint16,
    "I32": np.int32,
}


def read_bytes(whole):
    """name -> array and type; BF16 as f32, which holds it exactly."""
    n = struct.unpack("<Q", whole[:8])[0]
    head, data, out = json.loads(whole[8 : 8 + n]), whole[8 + n :], {}
    for name, t in head.items():
        if name == "__metadata__":
            continue
        raw = data[t["data_offsets"][0] : t["data_offsets"][1]]
        if t["dtype"] == "BF16":
            a = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            a = np.frombuffer(raw, NUMPY[t["dtype"]])
        out[name] = (a.reshape(t["shape"]), t["dtype"])
    return out


def read_safetensors(path):
    with open(path, "rb") as f:
        return read_bytes(f.read())


def read_folder(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith("model") and name.endswith(".safetensors"):
            out.update(read_safetensors(os.path.join(folder, name)))
    return {name: t for name, t in out.items() if ".rotary_emb." not in name}


def write_safetensors(path, tensors):
    """name -> f32 array."""
    head, at = {}, 0
    for name in sorted(tensors):
        size = tensors[name].size * 4
        head[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(np.ascontiguousarray(tensors[name], np.float32).tobytes())


def permute(a, heads):
    """What conversion does to rows of q and k of llama."""
    return a.reshape(heads, 2, a.shape[0] // heads // 2, *a.shape[1:]).swapaxes(1, 2).reshape(a.shape)


def unpermute(a, heads):
    return a.reshape(heads, a.shape[0] // heads // 2, 2, *a.shape[1:]).swapaxes(1, 2).reshape(a.shape)


WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.": "attn_q.",
    "self_attn.k_proj.": "attn_k.",
    "self_attn.v_proj.": "attn_v.",
    "self_attn.o_proj.": "attn_output.",
    "self_attn.q_norm.": "attn_q_norm.",
    "self_attn.k_norm.": "attn_k_norm.",
    "self_attn.sinks": "attn_sinks.weight",
    "self_attn.q_a_proj.": "attn_q_a.",
    "self_attn.q_b_proj.": "attn_q_b.",
    "self_attn.q_a_layernorm.": "attn_q_a_norm.",
    "self_attn.kv_a_proj_with_mqa.": "attn_kv_a_mqa.",
    "self_attn.kv_a_layernorm.": "attn_kv_a_norm.",
    "self_attn.kv_b_proj.": "attn_kv_b.",
    "mlp.gate_proj.": "ffn_gate.",
    "mlp.up_proj.": "ffn_up.",
    "mlp.down_proj.": "ffn_down.",
    "mlp.gate.weight": "ffn_gate_inp.weight",
    "block_sparse_moe.gate.": "ffn_gate_inp.",
    "mlp.router.": "ffn_gate_inp.",
    "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
    "mlp.shared_expert_gate.weight": "ffn_gate_inp_shexp.weight",
    "mlp.shared_experts.gate_proj.": "ffn_gate_shexp.",
    "mlp.shared_experts.up_proj.": "ffn_up_shexp.",
    "mlp.shared_experts.down_proj.": "ffn_down_shexp.",
    "mlp.shared_expert.gate_proj.": "ffn_gate_shexp.",
    "mlp.shared_expert.up_proj.": "ffn_up_shexp.",
    "mlp.shared_expert.down_proj.": "ffn_down_shexp.",
}
EXPERT = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down", "w1": "gate", "w3": "up", "w2": "down"}
ARCH = {
    "llama": "llama",
    "mistral": "llama",
    "mixtral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "qwen2_moe": "qwen2moe",
    "qwen3_moe": "qwen3moe",
    "olmoe": "olmoe",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "glm4_moe_lite": "deepseek2",
    "gpt_oss": "gpt-oss",
    "glm4_moe": "glm4moe",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
    "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "olmo2": "olmo2",
    "olmo3": "olmo2",
    "exaone4": "exaone4",
    "cohere2": "cohere2",
    "glm4": "glm4",
    "granite": "granite",
    "granitemoe": "granitemoe",
    "granitemoeshared": "granitemoe",
    "dots1": "dots1",
    "minimax_m2": "minimax-m2",
    "ernie4_5_moe": "ernie4_5-moe",
    "qwen3_next": "qwen3next",
    "qwen3_5_text": "qwen35",
    "qwen3_5_moe_text": "qwen35moe",
    "gemma4_text": "gemma4",
    "llama4_text": "llama4",
    "ministral3": "mistral3",
    "nemotron": "nemotron",
    "gpt_neox": "gptneox",
    "hunyuan_v1_moe": "hunyuan-moe",
    "deepseek_v32": "deepseek32",
    "glm_moe_dsa": "glm-dsa",
    "apertus": "apertus",
    "kimi_linear": "kimi-linear",
}
FIRST = list(ARCH)[:13]  # those whose names are written down above; of the others the package says them
TURNED = ("llama", "smollm3", "granite", "granitemoe", "mistral3")  # architectures whose q and k are permuted
DELTA = ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text")
DEEPSEEK = (
    "deepseek_v2",
    "deepseek_v3",
    "glm4_moe_lite",
    "glm4_moe",
    "dots1",
    "deepseek_v32",
    "glm_moe_dsa",
)
INDEXED = ("deepseek_v32", "glm_moe_dsa")
# Families whose gains conversion completes.
COMPLETED = ("gemma2", "gemma3_text", "nemotron", *DELTA)
AFTER = {"gpt_oss": "post_attention_norm.weight", "glm4_moe": "post_attention_norm.weight"}


def official(name, arch):
    """What the package itself calls a tensor of the folder."""
    arch = "glm-dsa" if arch == "deepseek32" else arch  # which the package does not have; names are the same
    kind = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    name = name.replace("_correction_bias", "_correction.bias")
    if arch == "gemma4":
        if name.endswith("router.scale"):
            return "blk." + name.split(".")[2] + ".ffn_gate_inp.scale"
        if name.endswith("per_expert_scale"):
            return "blk." + name.split(".")[2] + ".ffn_down_exps.scale"
        if name.endswith("layer_scalar") or ".experts." in name:
            name += ".weight"
    found = gguf.get_tensor_name_map(kind, 100).get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise KeyError(name)
    return found


def layer_name(part, family):
    if part == "post_attention_layernorm.weight" and family in AFTER:
        return AFTER[family]
    for prefix, to in LAYER.items() if family in FIRST else ():
        if part.startswith(prefix):
            return to + part[len(prefix) :]
    base = "gpt_neox" if family == "gpt_neox" else "model"
    part = part.replace("self_attn.dt_bias", "self_attn.dt_proj.bias")
    return official(base + ".layers.0." + part, ARCH[family]).removeprefix("blk.0.")


def rename(tensors, c):
    """The file's name -> array; and its type in the folder."""
    family, out, stacks = c["model_type"], {}, {}
    for name, (a, dtype) in tensors.items():
        if name.startswith("mtp.") or re.search(r"\.visual\.|multi_modal_projector|vision_tower", name):
            continue
        name = name.replace("model.language_model.", "model.").removeprefix("language_model.")
        m = re.match(r"(?:model|gpt_neox)\.layers\.(\d+)\.(.*)", name)
        if not m:
            a = a + np.float32(1) if family in COMPLETED and name.endswith("model.norm.weight") else a
            out[WHOLE.get(name) or official(name, ARCH[family])] = (a, dtype)
            continue
        layer, part = m.groups()
        e = re.match(r"(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight", part)
        if e:
            stacks.setdefault((layer, EXPERT[e.group(2)]), {})[int(e.group(1))] = (a, dtype)
            continue
        if int(layer) >= c["num_hidden_layers"]:
            if family == "glm4_moe" and ".experts." not in part:
                out[f"blk.{layer}.nextn.{part}"] = (a, dtype)
            continue
        if family in DELTA and part.startswith("linear_attn."):
            delta(out, layer, part, a, dtype, c)
            continue
        if family == "gpt_oss" and part.startswith("mlp.experts."):
            gpt_oss(out, layer, part, tensors, name)
            continue
        if family == "llama4_text" and ".experts." in part:
            halves = np.split(a.swapaxes(1, 2), 2, axis=1) if "gate_up" in part else (a.swapaxes(1, 2),)
            for half, kind in zip(halves, ("gate", "up") if "gate_up" in part else ("down",)):
                out[f"blk.{layer}.ffn_{kind}_exps.weight"] = (np.ascontiguousarray(half), dtype)
            continue
        if ".act_fn." in part:
            values = c.setdefault("xielu", {}).setdefault(part.split(".")[-1], {})
            values[int(layer)] = float(a.reshape(-1)[0])
            continue
        if "conv1d" in part and family == "kimi_linear":
            a = a.reshape(1, a.shape[0], 1, a.shape[-1])
        if part == "self_attn.A_log":
            a = -np.exp(a)
        if part.startswith("attention.query_key_value."):
            parts = a.reshape(c["num_attention_heads"], 3, -1, *a.shape[1:]).swapaxes(0, 1)
            out[f"blk.{layer}.attn_qkv.{part.split('.')[-1]}"] = (parts.reshape(a.shape), dtype)
            continue
        if part in ("mlp.experts.gate_up_proj", "mlp.experts.down_proj") and family in DELTA:
            halves = np.split(a, 2, axis=1) if "gate_up" in part else (a,)
            for half, kind in zip(halves, ("gate", "up") if "gate_up" in part else ("down",)):
                out[f"blk.{layer}.ffn_{kind}_exps.weight"] = (np.ascontiguousarray(half), dtype)
            continue
        if part.startswith("block_sparse_moe.input_linear") or part.startswith("shared_mlp.input_linear"):
            end = "exps" if part.startswith("block") else "shexp"
            gate, up = np.split(a, 2, axis=-2)
            out[f"blk.{layer}.ffn_gate_{end}.weight"], out[f"blk.{layer}.ffn_up_{end}.weight"] = (
                gate,
                dtype,
            ), (up, dtype)
            continue
        to = layer_name(part, family)
        if ARCH[family] in TURNED and to.startswith("attn_q."):
            a = permute(a, c["num_attention_heads"])
        if ARCH[family] in TURNED and to.startswith("attn_k."):
            a = permute(a, c.get("num_key_value_heads") or c["num_attention_heads"])
        if to == "ffn_gate_inp_shexp.weight":
            a = a.reshape(-1)
        if family in COMPLETED and to.endswith("norm.weight"):
            a = a + np.float32(1)
        out[f"blk.{layer}.{to}"] = (a, dtype)
    for (layer, kind), experts in stacks.items():
        out[f"blk.{layer}.ffn_{kind}_exps.weight"] = (
            np.stack([experts[i][0] for i in sorted(experts)]),
            experts[0][1],
        )
    return out


def tiled(a, c, width):
    """Value heads that share a key head apart from each other, along the first dimension."""
    keys, values = c["linear_num_key_heads"], c["linear_num_value_heads"]
    return a.reshape(keys, values // keys, width, *a.shape[1:]).swapaxes(0, 1).reshape(a.shape)


def delta(out, layer, part, a, dtype, c):
    """Layers of the gated delta rule in Qwen's hybrids."""
    arch = ARCH[c["model_type"]]
    keys, values = c["linear_num_key_heads"], c["linear_num_value_heads"]
    key, value = c["linear_key_head_dim"], c["linear_value_head_dim"]
    part = part.removeprefix("linear_attn.")
    blk = f"blk.{layer}."
    if part == "in_proj_qkvz.weight":
        share = values // keys * value
        q, k, v, z = np.split(a.reshape(keys, -1, a.shape[1]), np.cumsum([key, key, share]), axis=1)
        flat = [x.reshape(-1, a.shape[1]) for x in (q, k, v)]
        out[blk + "attn_qkv.weight"] = (np.concatenate(flat), dtype)
        out[blk + "attn_gate.weight"] = (z.reshape(-1, a.shape[1]), dtype)
        return
    if part == "conv1d.weight":
        a = a.reshape(a.shape[0], -1)
    if arch != "qwen3next":
        if part in ("in_proj_qkv.weight", "conv1d.weight"):
            a = np.concatenate([a[: 2 * keys * key], tiled(a[2 * keys * key :], c, value)])
        elif part == "in_proj_z.weight":
            a = tiled(a, c, value)
        elif part == "out_proj.weight":
            a = tiled(a.T, c, value).T
        elif part != "norm.weight":
            a = tiled(a, c, 1)
    if part == "A_log":
        a = -np.exp(a.astype(np.float32))
    name = {"A_log": "A_log", "dt_bias": "dt_proj.bias"}.get(part, part)
    to = official(f"model.layers.{layer}.linear_attn.{name}", arch)
    out[to] = (np.ascontiguousarray(a), dtype)


def gpt_oss(out, layer, part, tensors, name):
    """Gate and up, interleaved in the folder, apart; wide ones are transposed there."""
    a, dtype = tensors[name]
    if part.endswith("_scales"):
        return
    kinds = ("gate", "up") if "gate_up" in part else ("down",)
    if part.endswith("_blocks"):
        scales = tensors[name.replace("_blocks", "_scales")][0]
        low, high = a & 15, a >> 4
        code = np.stack([low, high], -1).reshape(*a.shape[:-1], 32)
        packed = code[..., :16] | code[..., 16:] << 4
        a = np.concatenate([scales[..., None], packed], -1).astype(np.uint8)
        a, dtype, suffix = a.reshape(*a.shape[:2], -1), "MXFP4", "weight"
    else:
        suffix = "bias" if part.endswith("_bias") else "weight"
        a = a if suffix == "bias" else a.swapaxes(1, 2)
    for i, kind in enumerate(kinds):
        out[f"blk.{layer}.ffn_{kind}_exps.{suffix}"] = (np.ascontiguousarray(a[:, i :: len(kinds)]), dtype)


def split_kv_b(out, c):
    """Newer files of deepseek2: keys transposed and values, each of every head."""
    nope, value = c["qk_nope_head_dim"], c["v_head_dim"]
    for name in [n for n in out if n.endswith("attn_kv_b.weight")]:
        a, dtype = out.pop(name)
        a = a.reshape(c["num_attention_heads"], nope + value, -1)
        out[name.replace("kv_b", "k_b")] = (np.ascontiguousarray(a[:, :nope].swapaxes(1, 2)), dtype)
        out[name.replace("kv_b", "v_b")] = (np.ascontiguousarray(a[:, nope:]), dtype)


def llama3_factors(c, r):
    dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    theta = r.get("rope_theta", c.get("rope_theta", 10000.0))
    freqs = 1.0 / (theta ** (np.arange(0, dim, 2, dtype=np.float32) / dim))
    old, low, high, whole = (
        r["original_max_position_embeddings"],
        r["low_freq_factor"],
        r["high_freq_factor"],
        r["factor"],
    )
    out = []
    for f in freqs:
        wave = 2 * np.pi / f
        smooth = (old / wave - low) / (high - low)
        out.append(
            1 if wave < old / high else whole if wave > old / low else 1 / ((1 - smooth) / whole + smooth)
        )
    return np.array(out, np.float32)


def metadata(w, c, new):
    family = c["model_type"]
    mla = "kv_lora_rank" in c
    r = c.get("rope_scaling") or c.get("rope_parameters") or {}
    r = r.get("full_attention", r)
    w.add_context_length(c.get("max_position_embeddings") or c["model_max_length"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(
        c["num_hidden_layers"] + (c.get("num_nextn_predict_layers") or 0 if family == "glm4_moe" else 0)
    )
    if "intermediate_size" in c:
        w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(1 if mla and new else c.get("num_key_value_heads") or c["num_attention_heads"])
    w.add_rope_freq_base(float(r.get("rope_theta") or c.get("rope_theta", 10000.0)))
    if "rms_norm_eps" in c:
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    kind = r.get("rope_type") or r.get("type")
    if kind in ("linear", "yarn"):
        w.add_rope_scaling_type(gguf.RopeScalingType(kind))
        w.add_rope_scaling_factor(r["factor"])
    if kind == "yarn":
        w.add_rope_scaling_orig_ctx_len(r["original_max_position_embeddings"])
        if r.get("mscale_all_dim"):
            w.add_rope_scaling_yarn_log_mul((1 if family == "ministral3" else 0.1) * r["mscale_all_dim"])
        if "llama_4_scaling_beta" in r:
            w.add_attn_temperature_scale(r["llama_4_scaling_beta"])
        for key in ("beta_fast", "beta_slow"):
            if r.get(key):
                w.add_float32(f"{w.arch}.rope.scaling.yarn_{key}", float(r[key]))
    if c.get("head_dim"):
        w.add_key_length(c["head_dim"])
        w.add_value_length(c["head_dim"])
    experts = c.get("num_experts") or c.get("num_local_experts") or c.get("n_routed_experts")
    if experts:
        w.add_expert_count(experts)
        keys = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts")
        w.add_expert_used_count(next((c[k] for k in keys if c.get(k)), None) or c["moe_topk"][0])
    if isinstance(c.get("moe_intermediate_size"), list):
        w.add_expert_feed_forward_length(c["moe_intermediate_size"][0])
        w.add_expert_shared_feed_forward_length(c["intermediate_size"])
        w.add_expert_shared_count(c["num_shared_expert"][0])
    elif c.get("moe_intermediate_size"):
        w.add_expert_feed_forward_length(c["moe_intermediate_size"])
    if family == "gpt_oss":
        w.add_expert_feed_forward_length(c["intermediate_size"])
        w.add_sliding_window(c["sliding_window"])
    if c.get("shared_expert_intermediate_size"):
        w.add_expert_shared_feed_forward_length(c["shared_expert_intermediate_size"])
    if c.get("clip_qkv"):
        w.add_clamp_kqv(c["clip_qkv"])
    for key, add in (
        ("n_shared_experts", w.add_expert_shared_count),
        ("n_group", w.add_expert_group_count),
        ("topk_group", w.add_expert_group_used_count),
        ("first_k_dense_replace", w.add_leading_dense_block_count),
        ("routed_scaling_factor", w.add_expert_weights_scale),
        ("q_lora_rank", w.add_q_lora_rank),
        ("kv_lora_rank", w.add_kv_lora_rank),
    ):
        if c.get(key) is not None and family in DEEPSEEK:
            add(c[key])
    if c.get("norm_topk_prob") and family in DEEPSEEK:
        w.add_expert_weights_norm(True)
    if family == "qwen3_moe" and not c.get("norm_topk_prob"):
        w.add_expert_weights_norm(False)
    if c.get("num_nextn_predict_layers") and family == "glm4_moe":
        w.add_nextn_predict_layers(c["num_nextn_predict_layers"])
    if mla:
        rope, nope = c["qk_rope_head_dim"], c["qk_nope_head_dim"]
        w.add_rope_dimension_count(rope)
        w.add_key_length(c["kv_lora_rank"] + rope if new else nope + rope)
        w.add_value_length(c["kv_lora_rank"] if new else c["v_head_dim"])
        if new:
            w.add_key_length_mla(nope + rope)
            w.add_value_length_mla(c["v_head_dim"])
    elif family == "glm4_moe":
        w.add_rope_dimension_count(int(c["head_dim"] * c["partial_rotary_factor"]))
    elif family in ("nemotron", "gpt_neox"):
        head = c["hidden_size"] // c["num_attention_heads"]
        turned = int(c["rotary_pct"] * head) if family == "gpt_neox" else 0
        whole = int(c.get("partial_rotary_factor", 0) * c["hidden_size"])
        w.add_rope_dimension_count(turned or whole // c["num_attention_heads"])
    elif c.get("partial_rotary_factor") or c.get("rotary_dim") or family == "phi3":
        head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        w.add_rope_dimension_count(c.get("rotary_dim") or int(head * c.get("partial_rotary_factor", 1)))
    others(w, c, family)
    eos = c["eos_token_id"] if isinstance(c["eos_token_id"], list) else [c["eos_token_id"]]
    for key, value in zip(("eos", "eot", "eom"), eos):
        w.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
    if c.get("bos_token_id") is not None:
        w.add_bos_token_id(c["bos_token_id"])
    return kind, r


def gemma4(w, c):
    """Heads, widths and rotations differ from layer to layer."""
    near = [t == "sliding_attention" for t in c["layer_types"]]
    shared, rope = c["num_kv_shared_layers"], c["rope_parameters"]
    w.add_shared_kv_layers(shared)
    w.add_embedding_length_per_layer_input(c["hidden_size_per_layer_input"])
    w.add_sliding_window(c["sliding_window"])
    w.add_sliding_window_pattern(near)
    for add, head in (
        (w.add_key_length, "global_head_dim"),
        (w.add_value_length, "global_head_dim"),
        (w.add_key_length_swa, "head_dim"),
        (w.add_value_length_swa, "head_dim"),
        (w.add_rope_dimension_count, "global_head_dim"),
        (w.add_rope_dimension_count_swa, "head_dim"),
    ):
        add(c[head])
    if c.get("use_double_wide_mlp"):
        layers, width = c["num_hidden_layers"], c["intermediate_size"]
        w.add_feed_forward_length([width * (1 + (i >= layers - shared)) for i in range(layers)])
    if c.get("num_global_key_value_heads") is not None:
        w.add_head_count_kv([c["num_key_value_heads" if n else "num_global_key_value_heads"] for n in near])
    w.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
    pairs = c["global_head_dim"] // 2
    turned = int(c["global_head_dim"] * rope["full_attention"]["partial_rotary_factor"] / 2)
    w.add_tensor("rope_freqs.weight", np.array([1.0] * turned + [1e30] * (pairs - turned), np.float32))


def others(w, c, family):
    """What some architectures have beside the usual."""
    if family == "gemma4_text":
        gemma4(w, c)
    if family == "llama4_text":
        w.add_feed_forward_length(c["intermediate_size_mlp"])
        w.add_expert_feed_forward_length(c["intermediate_size"])
        w.add_interleave_moe_layer_step(c["interleave_moe_layer_step"])
    if family == "hunyuan_v1_moe":
        head = c["head_dim"]
        w.add_rope_freq_base(c["rope_theta"] * c["rope_scaling"]["alpha"] ** (head / (head - 2)))
        w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
        w.add_rope_scaling_factor(1)
    if family == "nemotron":
        w.add_layer_norm_eps(c["norm_eps"])
        w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    for key, values in c.get("xielu", {}).items():
        w.add_array(f"xielu.{key}", [values[i] for i in range(len(values))])
    if family == "kimi_linear":
        linear = c["linear_attn_config"]
        full = linear["full_attn_layers"]
        w.add_head_count_kv([int(i + 1 in full) for i in range(c["num_hidden_layers"])])
        w.add_ssm_conv_kernel(linear["short_conv_kernel_size"])
        w.add_kda_head_dim(linear["head_dim"])
        w.add_kv_lora_rank(c["kv_lora_rank"])
        w.add_expert_shared_count(c["num_shared_experts"])
        w.add_leading_dense_block_count(c["first_k_dense_replace"])
        w.add_expert_weights_scale(c["routed_scaling_factor"])
        w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    if family == "gpt_neox":
        w.add_parallel_residual(c["use_parallel_residual"])
    if family in INDEXED:
        w.add_indexer_head_count(c["index_n_heads"])
        w.add_indexer_key_length(c["index_head_dim"])
        w.add_indexer_top_k(c["index_topk"])
        if "index_topk_pattern" in c:
            types = [kind == "F" for kind in c["index_topk_pattern"]]
            w.add_array(f"{w.arch}.attention.indexer.types", types)
    if family in ("gemma2", "gemma3_text", "phi3", "olmo3", "exaone4", "cohere2"):
        w.add_sliding_window(c.get("sliding_window") or 0)
    if family == "gemma3_text":
        w.add_float32("gemma3.rope.freq_base_swa", c["rope_local_base_freq"])
    for key, add in (
        ("attn_logit_softcapping", w.add_attn_logit_softcapping),
        ("final_logit_softcapping", w.add_final_logit_softcapping),
        ("layer_norm_eps", w.add_layer_norm_eps),
        ("logit_scale", w.add_logit_scale),
        ("logits_scaling", w.add_logit_scale),
        ("embedding_multiplier", w.add_embedding_scale),
        ("residual_multiplier", w.add_residual_scale),
        ("attention_multiplier", w.add_attention_scale),
        ("shared_intermediate_size", w.add_expert_shared_feed_forward_length),
    ):
        if c.get(key):
            add(c[key])
    if family in DELTA:
        w.add_ssm_conv_kernel(c["linear_conv_kernel_dim"])
        w.add_ssm_state_size(c["linear_key_head_dim"])
        w.add_ssm_group_count(c["linear_num_key_heads"])
        w.add_ssm_time_step_rank(c["linear_num_value_heads"])
        w.add_ssm_inner_size(c["linear_value_head_dim"] * c["linear_num_value_heads"])
        w.add_uint32(f"{w.arch}.full_attention_interval", c["full_attention_interval"])
    if family == "minimax_m2":
        w.add_expert_feed_forward_length(c["intermediate_size"])
    if family == "ernie4_5_moe":
        w.add_expert_count(c["moe_num_experts"])
        w.add_expert_used_count(c["moe_k"])
        w.add_expert_shared_count(c["moe_num_shared_experts"])
        w.add_leading_dense_block_count(c["moe_layer_start_index"])
        w.add_interleave_moe_layer_step(c["moe_layer_interval"])
    r = c.get("rope_scaling") or {}
    if "long_factor" in r:
        w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        w.add_rope_scaling_orig_ctx_len(c["original_max_position_embeddings"])
        for kind in ("long", "short"):
            w.add_tensor(f"rope_factors_{kind}.weight", np.array(r[f"{kind}_factor"], np.float32))


def encode(a, dtype, want, name):
    """Data and type: vectors and routers stay F32; want None: as in the folder."""
    if dtype == "MXFP4":
        return a, T.MXFP4
    matrix = a.ndim > 1 and "gate_inp" not in name
    kind = want if want is not None and matrix else T.F32 if not matrix else T[dtype]
    if callable(kind):
        kind = kind(a, name)
    if kind == T.F32:
        return a.astype(np.float32), kind
    if isinstance(kind, tuple):
        return kind
    return gguf.quants.quantize(a.astype(np.float32), kind), kind


def write(folder, out, want=None, new=True, extra=None, parts=None, arch=None):
    """want: the type of matrices, a function of (array, name), or None. new: with the metadata and names of
    newer conversions. extra: adds metadata to the writer. parts: tensors in each part of a split
    model. arch: by another name."""
    c = json.load(open(os.path.join(folder, "config.json")))
    c = c.get("text_config", c)
    tensors = rename(read_folder(folder), c)
    if new and "kv_lora_rank" in c:
        split_kv_b(tensors, c)
    kwargs = {"split_max_tensors": parts} if parts else {}
    w = gguf.GGUFWriter(out, arch or ARCH[c["model_type"]], **kwargs)
    kind, r = metadata(w, c, new)
    if extra:
        extra(w)
    if kind == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(c, r))
    for name in sorted(tensors):
        data, kind = encode(*tensors[name], want, name)
        w.add_tensor(name, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def bpe_tokenizer(j, pre, size=None, bos=None, eos=None, template=None):
    """What conversion writes of a tokenizer.json with BPE over bytes, as a function of a writer."""
    model = j["model"]
    added = {a["id"]: a for a in j["added_tokens"]}
    token = {i: t for t, i in model["vocab"].items()}
    token.update({i: a["content"] for i, a in added.items()})
    tokens, types = [], []
    for i in range(size or max(token) + 1):
        text = token.get(i, f"[PAD{i}]")
        looks = (
            text.startswith("<|") and text.endswith("|>") or text.startswith("<｜") and text.endswith("｜>")
        )
        tokens.append(text)
        types.append(
            gguf.TokenType.UNUSED
            if i not in token
            else (
                gguf.TokenType.NORMAL
                if i not in added
                else gguf.TokenType.CONTROL if added[i]["special"] or looks else gguf.TokenType.USER_DEFINED
            )
        )
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]

    def extra(w):
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre)
        w.add_token_list(tokens)
        w.add_token_types(types)
        w.add_token_merges(merges)
        for key, value in (("bos", bos), ("eos", eos)):
            if value is not None:
                w.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
        if template:
            w.add_chat_template(template)

    return extra


def vocabulary_only(out, extra):
    w = gguf.GGUFWriter(out, "llama")
    w.add_block_count(1)
    extra(w)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
