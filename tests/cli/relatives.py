"""Small models and their relatives, made here without a library: a base of a seed, tuned (noise of its own),
mixed, rounded to 8 bits. A model is {name: (rows, columns, floats)}; write() makes a folder of it."""

import array, json, random, struct

HIDDEN, UNITS, EXPERTS, WORDS = 32, 24, 26, 64
CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": HIDDEN,
    "num_hidden_layers": 1,
    "vocab_size": WORDS,
    "moe_intermediate_size": UNITS,
    "intermediate_size": UNITS,
    "num_experts": EXPERTS,
    "num_experts_per_tok": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e4,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "norm_topk_prob": True,
}


def base(seed, layers=1):
    """A model with a random start of its own."""
    r = random.Random(seed)

    def matrix(rows, columns, scale):
        return rows, columns, [r.gauss(0, scale) for _ in range(rows * columns)]

    m = {
        "model.embed_tokens.weight": matrix(WORDS, HIDDEN, 0.02),
        "lm_head.weight": matrix(WORDS, HIDDEN, 0.02),
        "model.norm.weight": (0, HIDDEN, [1.0] * HIDDEN),
    }
    for i in range(layers):
        layer = f"model.layers.{i}."
        m[layer + "input_layernorm.weight"] = (0, HIDDEN, [1.0] * HIDDEN)
        m[layer + "post_attention_layernorm.weight"] = (0, HIDDEN, [1.0] * HIDDEN)
        m[layer + "mlp.gate.weight"] = matrix(EXPERTS, HIDDEN, 0.02)
        for e in range(EXPERTS):
            at = f"{layer}mlp.experts.{e}."
            m[at + "gate_proj.weight"] = matrix(UNITS, HIDDEN, HIDDEN**-0.5)
            m[at + "up_proj.weight"] = matrix(UNITS, HIDDEN, HIDDEN**-0.5)
            m[at + "down_proj.weight"] = matrix(HIDDEN, UNITS, UNITS**-0.5)
    return m


def stacked(below, above, at):
    """The layers before `at` of one, the rest of the other."""
    upper = tuple(f"model.layers.{i}." for i in range(at, 64))
    return {k: above[k] if k.startswith(upper) else v for k, v in below.items()}


def each(m, change):
    """The same with its matrices changed; vectors stay."""
    return {k: (r, c, change(k, r, c, v) if r else v) for k, (r, c, v) in m.items()}


def tuned(m, share, seed):
    """With noise of its own, a share of each matrix's spread."""
    r = random.Random(seed)

    def change(_, rows, columns, v):
        spread = (sum(x * x for x in v) / len(v)) ** 0.5
        return [x + r.gauss(0, share * spread) for x in v]

    return each(m, change)


def mixed(a, b, weight):
    return each(a, lambda k, r, c, v: [weight * x + (1 - weight) * y for x, y in zip(v, b[k][2])])


def rounded(m):
    """To 8 bits by row."""

    def change(_, rows, columns, v):
        out = []
        for i in range(rows):
            row = v[i * columns : (i + 1) * columns]
            step = max(map(abs, row)) / 127 or 1
            out += [round(x / step) * step for x in row]
        return out

    return each(m, change)


def beside(m, seed):
    """With a vision tower that is drawn from that seed."""
    r = random.Random(seed)
    tower = {
        f"vision_tower.layers.{i}.mlp.{n}.weight": (48, 32, [r.gauss(0, 0.18) for _ in range(48 * 32)])
        for i in range(4)
        for n in ("gate_proj", "up_proj")
    }
    return {**m, **tower}


def write(folder, m, card=None, config=None):
    """A checkpoint folder in F32."""
    folder.mkdir(exist_ok=True)
    header, values, at = {}, b"", 0
    for name, (rows, columns, v) in sorted(m.items()):
        part = array.array("f", v).tobytes()
        shape = [rows, columns] if rows else [columns]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(part)]}
        at += len(part)
        values += part
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    if card is not None:
        (folder / "README.md").write_text(f"---\n{card}\n---\n")
    return folder
