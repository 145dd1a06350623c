#!/usr/bin/env python3
"""Bytes that each operation of the GPU moves for a token, and the limits that follow, as Markdown.

    bench/cuda_bytes.py > bench/results/cuda-bytes.md

Computed from the shapes in model/config_shapes.c and the layout of kernels/fragment.h; nothing is measured.
Counted is what must move once: a matrix once a pass (an expert's if a row of the pass chose it), the cache
that a row reads, activations in and out of each operation in f32. Limits: 4.3 TB/s, the rate of a large copy
on an H200, and 790 TFLOP/s of bf16 matrix products, of which the canonical regime needs two for each (both
terms of an activation)."""

import json
import math
import re

SHAPES = "model/config_shapes.c"
NAMES = "deepseek-v2-lite qwen3-30b-a3b olmoe gpt-oss-20b mixtral-8x7b".split()
CONTEXT = 512  # positions in the cache at decode
RATE, FLOPS, TERMS = 4.3e12, 790e12, 2
# bytes of a weight: codes, and scales of groups of 32 (fp8: of blocks of 128 x 128)
FORMATS = {"bf16": 2, "fp8": 1 + 4 / 128 / 128, "q4": 0.5 + 2 / 32, "mxfp4": 0.5 + 1 / 32}
STRIDE = {"bf16": 16, "fp8": 32, "q4": 64, "mxfp4": 64}  # K that 512 bytes of a panel hold
PASSES = {"batch 1": (1, 1), "batch 16": (16, 16), "prefill 4,096": (4096, 1)}  # rows, sequences


def configs():
    """{name: config} of the C source's table of texts"""
    with open(SHAPES, encoding="utf-8") as f:
        source = f.read()
    found = {}
    for m in re.finditer(r'\{ "([\w.-]+)", (\d+),\s*((?:"(?:[^"\\]|\\.)*"\s*)+),', source):
        text = "".join(json.loads(f'"{t}"') for t in re.findall(r'"((?:[^"\\]|\\.)*)"', m[3]))
        found[m[1]] = json.loads("{" + text + "}") | {"layers": int(m[2])}
    return found


class Pass:
    """Adds up what one pass moves and multiplies, by operation."""

    def __init__(self, config, weights, experts, rows, sequences):
        self.c, self.weights, self.experts = config, weights, experts
        self.rows, self.sequences = rows, sequences
        self.bytes, self.flops = {}, {}

    def add(self, name, layers, bytes_, flops=0.0):
        self.bytes[name] = self.bytes.get(name, 0) + layers * bytes_
        self.flops[name] = self.flops.get(name, 0) + layers * flops

    def product(self, name, layers, outputs, k, rows=None, copies=1.0, form=None):
        """copies: how many such matrices are read, rows: the rows of all of them together"""
        form = form or self.weights
        rows = self.rows if rows is None else rows
        wide = math.ceil(k / STRIDE[form]) * STRIDE[form]
        panels = math.ceil(outputs / 16) * 16
        moved = copies * panels * wide * FORMATS[form] + rows * (k + outputs) * 4
        self.add(name, layers, moved, 2 * rows * k * outputs)

    def positions(self, window):
        """Cache rows that the rows of the pass read, each sequence's cache once for 16 rows of it"""
        if self.sequences == self.rows:
            return self.rows * min(CONTEXT, window)
        tiles = self.rows // 16
        return sum(min(16 * (t + 1), window) for t in range(tiles))

    def scores(self, window):
        """Pairs of a row and a position"""
        if self.sequences == self.rows:
            return self.rows * min(CONTEXT, window)
        return sum(min(r + 1, window) for r in range(self.rows))


def attention(p, c, layers):
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    if "kv_lora_rank" in c:
        rank, nope, turned = c["kv_lora_rank"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        p.product("q, kv", layers, heads * (nope + turned) + rank + turned, hidden)
        p.product("absorb", 2 * layers, heads * rank, nope, form="bf16")
        row, out = (rank + turned) * 2, heads * c["v_head_dim"]
        work = heads * (2 * (rank + turned) + 2 * rank)
        windows = [(layers, 1 << 30)]
    else:
        head = c.get("head_dim", hidden // heads)
        kv = c["num_key_value_heads"]
        p.product("q, kv", layers, (heads + 2 * kv) * head, hidden)
        row, out, work = 2 * kv * head * 2, heads * head, heads * head * 4
        window = c.get("sliding_window") or 1 << 30
        windows = [(layers // 2, window), (layers - layers // 2, 1 << 30)] if window < 1 << 30 else \
            [(layers, window)]
    for count, window in windows:
        p.add("place", count, p.rows * (row + 2 * 4 * out))
        p.add("attend", count, p.positions(window) * row + 2 * p.rows * out * 4, p.scores(window) * work)
    p.product("o", layers, hidden, out)


def network(p, c, layers):
    hidden, k = c["hidden_size"], c["num_experts_per_tok"]
    experts = c.get("n_routed_experts") or c.get("num_experts") or c["num_local_experts"]
    inner = c.get("moe_intermediate_size") or c["intermediate_size"]
    dense = c.get("first_k_dense_replace", 0)
    if dense:
        p.product("dense up", 2 * dense, c["intermediate_size"], hidden)
        p.product("dense down", dense, hidden, c["intermediate_size"])
    sparse = layers - dense
    touched = experts * (1 - (1 - k / experts) ** p.rows)
    p.product("router", sparse, experts, hidden, form="bf16")
    p.add("gate, sort", sparse, p.rows * (experts * 4 + k * 14))
    p.product("experts up", 2 * sparse, inner, hidden, p.rows * k, touched, p.experts)
    p.product("experts down", sparse, hidden, inner, p.rows * k, touched, p.experts)
    shared = c.get("n_shared_experts", 0) * inner
    if shared:
        p.product("shared", 3 * sparse, hidden, shared)
    return sparse * touched, experts


def whole(config, weights, experts, rows, sequences):
    c = config
    p = Pass(c, weights, experts, rows, sequences)
    attention(p, c, c["layers"])
    network(p, c, c["layers"])
    p.add("close", 2 * c["layers"] + 1, p.rows * c["hidden_size"] * 4 * 4)
    # logits: of every sequence's last row
    p.product("head", 1, c["vocab_size"], c["hidden_size"], sequences)
    return p


def seconds(p):
    """Of each operation: no faster than its bytes and than its products"""
    return {n: max(p.bytes[n] / RATE, TERMS * p.flops[n] / FLOPS) for n in p.bytes}


def table(name, config):
    rows = [("bf16", "bf16", "bf16"), ("fp8", "fp8", "fp8"), ("4 bit", "q4", "q4")]
    if name == "gpt-oss-20b":
        rows = [("bf16", "bf16", "bf16"), ("native: mxfp4 experts, bf16 rest", "bf16", "mxfp4")]
    said, names = [], None
    for label, weights, experts in rows:
        for how, (count, sequences) in PASSES.items():
            p = whole(config, weights, experts, count, sequences)
            if names is None:
                names = list(p.bytes)
                said.append("| weights | pass | " + " | ".join(names) + " | MB a token | bound | tokens/s |")
                said.append("|---" * (len(names) + 5) + "|")
            each = [p.bytes[n] / count / 1e6 for n in names]
            time = seconds(p)
            by_bytes = sum(time[n] for n in names if time[n] == p.bytes[n] / RATE)
            bound = "bytes" if by_bytes > sum(time.values()) / 2 else "products"
            cells = [label, how] + [f"{x:,.0f}" if x >= 100 else f"{x:.3g}" for x in each]
            cells += [f"{sum(each):,.0f}", bound, f"{count / sum(time.values()):,.0f}"]
            said.append("| " + " | ".join(cells) + " |")
    return "\n".join(said)


HEAD = """# Bytes that each operation of the GPU moves

Written by `bench/cuda_bytes.py`; a test fails when this file is not what it prints. MB that each operation
moves for a token: a matrix once a pass (of experts, those that some row chose, %s of E when E experts
choose k a row), cache (bf16, %d positions at decode) and activations. Bound: what takes the longer time, the
bytes at 4.3 TB/s or the products at 790 TFLOP/s, each bf16 product done twice (`cuda/1`: both terms of an
activation). The last column is the limit that follows if every operation ran at its own."""


def main():
    found = configs()
    print(HEAD % ("E(1-(1-k/E)^rows)", CONTEXT))
    for name in NAMES:
        print(f"\n## {name}\n\n{table(name, found[name])}")


if __name__ == "__main__":
    main()
