#!/usr/bin/env python3
"""Measure long prompts and long contexts on this machine and print the second table of bench/results/cpu.md.

    bench/cpu_long.py build/hallmark [SHAPE ...]

Each row is one run of `hallmark bench --prompt N --context N`: prefill of N tokens and decoding after N,
their limits from the same run. Takes half an hour on two idle cores; run it alone on the machine.
"""

import os
import sys

from cpu_table import bench, cpu_name, extensions

NAMES = [
    "shape, cache",
    "threads",
    "tokens",
    "multiply, f32 limit Gop/s",
    "prefill tok/s",
    "of the limits",
    "products alone",
    "last 512 tok/s",
    "of the limits",
    "read limit GB/s",
    "decode tok/s",
    "MB a token, of it cache",
    "of read limit",
    "or where attention multiplies longer",
]


def rate(part):
    return [f"{part['tokens_s']:.1f}", f"{part['fraction']:.2f} ({part['fraction_median']:.2f})"]


def row(r):
    first, end, one = r["prefill"], r["prefill_end"], r["decode"]
    return [
        f"{r['shape']} {r['cache']}",
        str(r["threads"]),
        ", ".join(str(n) for n in dict.fromkeys([first["tokens"], one["context"]])),
        f"{first['peak_gop_s']:.0f}, {first['float_gop_s']:.0f}",
        *rate(first),
        f"{first['fraction_products']:.2f}",
        *rate(end),
        f"{one['read_gb_s']:.1f}",
        f"{one['tokens_s']:.1f}",
        f"{one['bytes_token'] / 1e6:.0f}, {one['cache_bytes_token'] / 1e6:.0f}",
        f"{one['fraction']:.2f} ({one['fraction_median']:.2f})",
        f"{one['fraction_attention']:.2f}",
    ]


def runs():
    """Threads, prompt, context, cache."""
    everyone = len(os.sched_getaffinity(0))
    for threads in sorted({1, everyone}):
        yield threads, 4096, 4096, "f32"
        yield threads, 16384, 16384, "f32"
    for cache in ["bf16", "int8"]:
        yield everyone, 4096, 16384, cache


def main():
    binary, shapes = sys.argv[1], sys.argv[2:] or ["qwen3-30b-a3b", "deepseek-v2-lite"]
    commands = []
    print(f"{cpu_name()} ({extensions()}). 8 layers, q8, random weights.")
    print("In brackets the median of all stretches.\n")
    print(f"| {' | '.join(NAMES)} |\n|" + "---|" * len(NAMES))
    for shape in shapes:
        for threads, prompt, context, cache in runs():
            more = ["--cache", cache, "--prompt", str(prompt), "--context", str(context)]
            command, report = bench(binary, shape, "8", "q8", "canonical", threads, more)
            commands.append(command)
            print("| " + " | ".join(row(report)) + " |", flush=True)
    print("\nCommands:\n\n" + "\n".join("    " + c for c in commands))


if __name__ == "__main__":
    main()
