"""Random small checkpoints in the published forms of quantised weights, and the values that they stand
for, both written here from the formats' own descriptions: codes, scales and zero points are drawn, and the
value of each weight is (code - zero) * scale in f32."""

import array, json, random, struct

BITS = {
    "F32": 32,
    "F64": 64,
    "F16": 16,
    "BF16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "I8": 8,
    "U8": 8,
    "I32": 32,
    "I64": 64,
}


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bf16(x):
    return struct.unpack("<f", b"\0\0" + struct.pack("<f", x)[2:])[0]


def f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def e4m3(byte):
    sign, power, rest = -1 if byte & 128 else 1, byte >> 3 & 15, byte & 7
    return sign * (rest / 8 * 2.0**-6 if power == 0 else (1 + rest / 8) * 2.0 ** (power - 7))


E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
NF4 = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]


def pack(dtype, values):
    """Values of a type as bytes."""
    if dtype == "BF16":
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    code = {
        "F32": "f",
        "F64": "d",
        "F16": "e",
        "I8": "b",
        "U8": "B",
        "F8_E4M3": "B",
        "I32": "I",
        "I64": "q",
    }[dtype]
    if code == "I":
        values = [v & 0xFFFFFFFF for v in values]
    return struct.pack(f"<{len(values)}{code}", *values)


def save(path, tensors):
    """tensors: name -> (dtype, shape, bytes)."""
    head, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        head[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values()))


def load(path):
    b = path.read_bytes()
    n = struct.unpack("<Q", b[:8])[0]
    return {
        k: (v["dtype"], v["shape"], b[8 + n + v["data_offsets"][0] : 8 + n + v["data_offsets"][1]])
        for k, v in json.loads(b[8 : 8 + n]).items()
        if k != "__metadata__"
    }


def fields(values, bits):
    """Into words of 32 bits, the lowest field first."""
    per, out = 32 // bits, []
    for i in range(0, len(values), per):
        out.append(sum((v & (1 << bits) - 1) << bits * j for j, v in enumerate(values[i : i + per])))
    return out


class Matrix:
    """One matrix [rows, columns] drawn in one form: `tensors` by suffix, and `values`."""

    def __init__(self, rng, rows, columns):
        self.rng, self.rows, self.columns, self.tensors, self.same = rng, rows, columns, {}, None

    def put(self, suffix, dtype, shape, values):
        self.tensors[suffix] = (dtype, shape, pack(dtype, values))

    def scales(self, n, dtype, size=0.02):
        """Random scales, exact in the type."""
        cut = {"BF16": bf16, "F16": f16, "F32": f32}[dtype]
        return [cut(self.rng.uniform(0.3, 1) * size) for _ in range(n)]

    def done(self, codes, zero, scale, block_rows, block_columns, group_of=None):
        """values from codes [r][k], and zero and scale [row block][group]."""
        out = array.array("f")
        for r in range(self.rows):
            s, z = scale[r // block_rows], zero[r // block_rows] if zero else None
            for k in range(self.columns):
                g = group_of[k] if group_of else k // block_columns
                v = codes[r][k] - z[g] if z else codes[r][k]
                out.append(v * s[g])  # both exact as doubles: rounded once
        self.values = out
        return self

    def draw(self, low, high):
        return [[self.rng.randint(low, high) for _ in range(self.columns)] for _ in range(self.rows)]

    def grid(self, rows, columns, flat):
        return [flat[r * columns : (r + 1) * columns] for r in range(rows)]


def packed(rng, rows, columns, bits=4, group=32, symmetric=True, dtype="BF16", ordered=False):
    """compressed-tensors, pack-quantized."""
    m = Matrix(rng, rows, columns)
    half, size = 1 << bits - 1, group or columns
    groups = columns // size
    codes = m.draw(-half, half - 1)
    scale = m.scales(rows * groups, dtype, 0.3 / half)
    m.put(
        "weight_packed",
        "I32",
        [rows, -(-columns * bits // 32)],
        sum((fields([c + half for c in r], bits) for r in codes), []),
    )
    m.put("weight_scale", dtype, [rows, groups], scale)
    m.put("weight_shape", "I64", [2], [rows, columns])
    zero = order = None
    if not symmetric:
        flat = [rng.randint(-half, half - 1) for _ in range(rows * groups)]
        zero = m.grid(rows, groups, flat)
        turned = [fields([zero[r][g] + half for r in range(rows)], bits) for g in range(groups)]
        words = len(turned[0])
        m.put(
            "weight_zero_point",
            "I32",
            [words, groups],
            [turned[g][w] for w in range(words) for g in range(groups)],
        )
    if ordered:
        order = [k // size for k in range(columns)]
        rng.shuffle(order)
        m.put("weight_g_idx", "I32", [columns], order)
    return m.done(codes, zero, m.grid(rows, groups, scale), 1, size, order)


def int8(rng, rows, columns, symmetric=True):
    m = Matrix(rng, rows, columns)
    codes = m.draw(-128, 127)
    scale = m.scales(rows, "BF16", 0.003)
    m.put("weight", "I8", [rows, columns], sum(codes, []))
    m.put("weight_scale", "BF16", [rows, 1], scale)
    zero = None
    if not symmetric:
        zero = [[rng.randint(-128, 127)] for _ in range(rows)]
        m.put("weight_zero_point", "I8", [rows, 1], sum(zero, []))
    return m.done(codes, zero, m.grid(rows, 1, scale), 1, columns)


def fp8(rng, rows, columns, blocks, suffix="weight_scale", dtype="F32", shape=None):
    """blocks (rows, columns); None: all. One scale, and blocks of 128, stay FP8, as in `same`."""
    m = Matrix(rng, rows, columns)
    br, bc = blocks[0] or rows, blocks[1] or columns
    n, g = -(-rows // br), -(-columns // bc)
    raw = [
        [b if b & 127 != 127 else 0 for b in (rng.randrange(256) for _ in range(columns))]
        for _ in range(rows)
    ]
    scale = m.scales(n * g, dtype, 0.002)
    m.put("weight", "F8_E4M3", [rows, columns], sum(raw, []))
    m.put(suffix, dtype, [n, g] if shape is None else shape, scale)
    if n * g == 1 or blocks == (128, 128):
        n, g = -(-rows // 128), -(-columns // 128)
        whole = scale * (n * g) if len(scale) == 1 else scale
        m.same = {"weight": m.tensors["weight"], "weight_scale_inv": ("F32", [n, g], pack("F32", whole))}
    return m.done(
        [[e4m3(b) for b in r] for r in raw],
        None,
        m.grid(-(-rows // br), -(-columns // bc), scale),
        br,
        bc,
    )


def nvfp4(rng, rows, columns, whole, divides):
    m = Matrix(rng, rows, columns)
    codes = m.draw(0, 15)
    groups = columns // 16
    raw = [rng.randrange(1, 127) for _ in range(rows * groups)]
    one = f32(rng.uniform(3000, 5000)) if divides else f32(rng.uniform(2, 4) / 10000)
    scale = [f32(e4m3(b) / one) if divides else f32(e4m3(b) * one) for b in raw]
    m.put(
        "weight_packed" if divides else "weight",
        "U8",
        [rows, columns // 2],
        [r[k] | r[k + 1] << 4 for r in codes for k in range(0, columns, 2)],
    )
    m.put("weight_scale", "F8_E4M3", [rows, groups], raw)
    m.put(whole, "F32", [1] if divides else [], [one])
    return m.done([[E2M1[c] for c in r] for r in codes], None, m.grid(rows, groups, scale), 1, 16)


def gptq(rng, rows, columns, bits=4, group=32, first=True, ordered=False, half=False):
    """half: symmetric; every 32 codes have a 0 among them, so that q4 of the values finds the same scales."""
    m = Matrix(rng, rows, columns)
    top, size = (1 << bits) - 1, group or columns
    groups = columns // size
    codes = m.draw(0, top)
    flat = m.scales(rows * groups, "F16", 0.5 / (top + 1))
    zero = [[rng.randint(1 if first else 0, top) for _ in range(groups)] for _ in range(rows)]
    if half:
        zero = [[(top + 1) // 2] * groups for _ in range(rows)]
        for row in codes:
            for k in range(0, columns, 32):
                row[k + rng.randrange(32)] = 0
    turned = [fields([codes[r][k] for k in range(columns)], bits) for r in range(rows)]
    m.put(
        "qweight",
        "I32",
        [columns * bits // 32, rows],
        [turned[r][w] for w in range(columns * bits // 32) for r in range(rows)],
    )
    m.put(
        "qzeros",
        "I32",
        [groups, rows * bits // 32],
        sum((fields([zero[r][g] - first for r in range(rows)], bits) for g in range(groups)), []),
    )
    scale = m.grid(rows, groups, flat)
    m.put("scales", "F16", [groups, rows], [scale[r][g] for g in range(groups) for r in range(rows)])
    order = [k // size for k in range(columns)]
    if ordered:
        rng.shuffle(order)
    m.put("g_idx", "I32", [columns], order)
    if half:
        raw = sum((fields(r, bits) for r in codes), [])
        m.same = {
            "weight_packed": ("I32", [rows, columns * bits // 32], pack("I32", raw)),
            "weight_scale": ("F16", [rows, groups], pack("F16", sum(scale, []))),
            "weight_shape": ("I64", [2], pack("I64", [rows, columns])),
        }
    return m.done(codes, zero, scale, 1, size, order)


def gptq_biased(rng, rows, columns):
    """With a bias that the model does not have, as some makers write it: zeros."""
    m = gptq(rng, rows, columns, ordered=True)
    m.put("bias", "F16", [rows], [0.0] * rows)
    return m


def awq(rng, rows, columns, group=32):
    m = Matrix(rng, rows, columns)
    order, size = [0, 2, 4, 6, 1, 3, 5, 7], group or columns
    groups = columns // size
    codes = m.draw(0, 15)
    zero = [[rng.randint(0, 15) for _ in range(groups)] for _ in range(rows)]
    scale = m.grid(rows, groups, m.scales(rows * groups, "F16", 0.03))

    def words(at):
        return [sum(at(w * 8 + order[i]) << 4 * i for i in range(8)) for w in range(rows // 8)]

    m.put(
        "qweight",
        "I32",
        [columns, rows // 8],
        sum((words(lambda r: codes[r][k]) for k in range(columns)), []),
    )
    m.put(
        "qzeros",
        "I32",
        [groups, rows // 8],
        sum((words(lambda r: zero[r][g]) for g in range(groups)), []),
    )
    m.put("scales", "F16", [groups, rows], [scale[r][g] for g in range(groups) for r in range(rows)])
    return m.done(codes, zero, scale, 1, size)


def table4(rng, rows, columns, kind="nf4", nested=True, block=64):
    """bitsandbytes' nf4 and fp4."""
    m = Matrix(rng, rows, columns)
    codes = m.draw(0, 15)
    table = [f32(v) for v in (NF4 if kind == "nf4" else [v / 6 for v in E2M1])]
    n = -(-rows * columns // block)
    state = {"quant_type": kind, "blocksize": block, "dtype": "bfloat16", "shape": [rows, columns]}
    flat = sum(codes, [])
    m.put(
        "weight",
        "U8",
        [rows * columns // 2, 1],
        [flat[i] << 4 | flat[i + 1] for i in range(0, len(flat), 2)],
    )
    m.put("weight.quant_map", "F32", [16], table)
    if nested:
        size = 256
        inner = [f32(rng.uniform(-1, 1)) for _ in range(256)]
        outer = [f32(rng.uniform(0.05, 0.1)) for _ in range(-(-n // size))]
        raw = [rng.randrange(256) for _ in range(n)]
        offset = f32(rng.uniform(0.1, 0.2))
        absmax = [f32(f32(inner[b] * outer[i // size]) + offset) for i, b in enumerate(raw)]
        m.put("weight.absmax", "U8", [n], raw)
        m.put("weight.nested_absmax", "F32", [len(outer)], outer)
        m.put("weight.nested_quant_map", "F32", [256], inner)
        state.update(nested_blocksize=size, nested_dtype="float32", nested_offset=offset)
    else:
        absmax = m.scales(n, "F32", 0.3)
        m.put("weight.absmax", "F32", [n], absmax)
    text = list(json.dumps(state).encode())
    m.put(f"weight.quant_state.bitsandbytes__{kind}", "U8", [len(text)], text)
    m.values = array.array("f", (table[c] * absmax[i // block] for i, c in enumerate(flat)))
    return m


def rows8(rng, rows, columns):
    """bitsandbytes' int8."""
    m = Matrix(rng, rows, columns)
    codes = m.draw(-127, 127)
    scale = m.scales(rows, "F32", 0.3)
    m.put("weight", "I8", [rows, columns], sum(codes, []))
    m.put("SCB", "F32", [rows], scale)
    m.put("weight_format", "U8", [], [0])
    part = f32(0.007874015718698502)
    m.values = array.array("f", (f32(c * scale[r]) * part for r in range(rows) for c in codes[r]))
    return m


def groups(**weights):
    g = {
        "weights": dict(
            {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}, **weights
        )
    }
    return {"group_0": dict(g, targets=["Linear"], input_activations=None, output_activations=None)}


def compressed(form, **weights):
    return {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": groups(**weights),
        "ignore": ["lm_head"],
        "quantization_status": "compressed",
        "kv_cache_scheme": None,
    }


BNB = {"quant_method": "bitsandbytes", "bnb_4bit_compute_dtype": "bfloat16"}
# What the tensors of Matrix.same are: FP8 in blocks of 128, or symmetric words of compressed-tensors.
SAME_FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
SAME_WORDS = compressed("pack-quantized", num_bits=4, strategy="group", group_size=32)
# name -> (maker of a matrix, quantization_config)
FORMS = {
    "ct-int4-group": (
        lambda *a: packed(*a),
        compressed("pack-quantized", num_bits=4, strategy="group", group_size=32),
    ),
    "ct-int4-zeros": (
        lambda *a: packed(*a, symmetric=False, ordered=True),
        compressed("pack-quantized", num_bits=4, strategy="group", group_size=32, symmetric=False),
    ),
    "ct-int8-channel": (
        lambda *a: packed(*a, bits=8, group=0, dtype="F32"),
        compressed("pack-quantized", num_bits=8),
    ),
    "ct-int2": (
        lambda *a: packed(*a, bits=2, group=16, dtype="F16"),
        compressed("pack-quantized", num_bits=2, strategy="group", group_size=16),
    ),
    "ct-int8": (lambda *a: int8(*a), compressed("int-quantized", num_bits=8)),
    "ct-naive-zeros": (
        lambda *a: int8(*a, symmetric=False),
        compressed("naive-quantized", symmetric=False),
    ),
    "ct-fp8-tensor": (
        lambda *a: fp8(*a, (None, None), shape=[1]),
        compressed("float-quantized", type="float", strategy="tensor"),
    ),
    "ct-fp8-channel": (
        lambda *a: fp8(*a, (1, None), dtype="BF16"),
        compressed("float-quantized", type="float"),
    ),
    "ct-fp8-block": (
        lambda *a: fp8(*a, (32, 24)),
        compressed("float-quantized", type="float", strategy="block", block_structure=[32, 24]),
    ),
    "ct-fp8-128": (
        lambda *a: fp8(*a, (128, 128)),
        compressed("float-quantized", type="float", strategy="block", block_structure=[128, 128]),
    ),
    "ct-nvfp4": (
        lambda *a: nvfp4(*a, "weight_global_scale", True),
        compressed(
            "nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group", group_size=16
        ),
    ),
    "fbgemm": (
        lambda *a: fp8(*a, (1, None)),
        {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0},
    ),
    "fp8-tensor": (
        lambda *a: fp8(*a, (None, None), shape=[]),
        {"quant_method": "fp8", "activation_scheme": "static"},
    ),
    "fp8-inv": (
        lambda *a: fp8(*a, (None, None), suffix="weight_scale_inv", dtype="BF16", shape=[]),
        {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None},
    ),
    "fp8-blocks": (
        lambda *a: fp8(*a, (64, 32), suffix="weight_scale_inv"),
        {"quant_method": "fp8", "weight_block_size": [64, 32]},
    ),
    "modelopt": (
        lambda *a: fp8(*a, (None, None), shape=[]),
        {"quant_method": "modelopt", "quant_algo": "FP8"},
    ),
    "modelopt-nvfp4": (
        lambda *a: nvfp4(*a, "weight_scale_2", False),
        {"quant_method": "modelopt", "quant_algo": "NVFP4"},
    ),
    "gptq-4": (
        lambda *a: gptq_biased(*a),
        {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": False},
    ),
    "gptq-8-v2": (
        lambda *a: gptq(*a, bits=8, group=0, first=False),
        {"quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2"},
    ),
    "gptq-2": (
        lambda *a: gptq(*a, bits=2, group=16),
        {"quant_method": "gptq", "bits": 2, "group_size": 16},
    ),
    "gptq-4-sym": (
        lambda *a: gptq(*a, half=True),
        {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True},
    ),
    "awq": (
        lambda *a: awq(*a),
        {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
    ),
    "nf4-nested": (lambda *a: table4(*a), dict(BNB, load_in_4bit=True, bnb_4bit_quant_type="nf4")),
    "fp4": (
        lambda *a: table4(*a, kind="fp4", nested=False),
        dict(BNB, load_in_4bit=True, bnb_4bit_quant_type="fp4"),
    ),
    "bnb-int8": (lambda *a: rows8(*a), dict(BNB, load_in_8bit=True)),
}
