#!/usr/bin/env python3
"""Measure the engine on this machine and print the first table of bench/results/cpu.md.

    bench/cpu_table.py build/hallmark [SHAPE [LAYERS]]

Each row is one run of `hallmark bench`; limits and rates of a row come from the same run. Run it
alone on the machine.
"""

import json
import os
import subprocess
import sys


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return f"{names[0]}, {len(os.sched_getaffinity(0))} of {len(names)} logical processors"


def extensions():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        flags = next(line for line in f if line.startswith("flags")).split()
    wanted = ["avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8"]
    return ", ".join(w for w in wanted if w in flags)


def bench(binary, shape, layers, dtype, numerics, threads, more=()):
    command = [
        "bench",
        "--synthetic",
        shape,
        "--layers",
        layers,
        "--dtype",
        dtype,
        "--threads",
        str(threads),
    ]
    command += ["--numerics", numerics] if numerics != "canonical" else []
    command += more
    print("hallmark " + " ".join(command), file=sys.stderr)
    found = subprocess.run([binary, *command, "--json", "--quiet"], check=True, capture_output=True)
    return "hallmark " + " ".join(command), json.loads(found.stdout)


def row(r):
    one, first, eight, limits = r["decode"], r["prefill"], r["batch8"], r["limits"]
    return [
        f"{r['dtype']} {r['numerics']}",
        r["kernels"],
        str(r["threads"]),
        f"{limits['read_gb_s']:.1f}",
        f"{limits['peak_gop_s']:.0f}",
        f"{one['tokens_s']:.1f}",
        f"{one['fraction']:.2f} ({one['fraction_median']:.2f})",
        f"{first['tokens_s']:.0f}",
        f"{first['fraction_products']:.2f}",
        f"{eight['tokens_s']:.1f}",
        f"{eight['experts']:.1f}",
        f"{eight['read_gb_s']:.1f}",
        f"{eight['fraction']:.2f} ({eight['fraction_median']:.2f})",
        f"{r['peak_rss_bytes'] / r['weight_bytes']:.2f}",
    ]


NAMES = [
    "numbers",
    "kernels",
    "threads",
    "read limit GB/s",
    "multiply limit Gop/s",
    "decode tok/s",
    "of read limit",
    "prefill 512 tok/s",
    "of multiply limit",
    "batch 8 tok/s",
    "experts a layer",
    "read limit GB/s",
    "of read limit",
    "memory / weights",
]


def print_scaling(reports):
    print("\nFrom one thread to all, in the stretches above:\n")
    for alone, together in zip(reports[::2], reports[1::2]):
        read = together["limits"]["read_gb_s"] / alone["limits"]["read_gb_s"]
        decode = together["decode"]["tokens_s"] / alone["decode"]["tokens_s"]
        print(f"- {alone['dtype']} {alone['numerics']}: read {read:.2f} times, decode {decode:.2f} times")


def main():
    binary = sys.argv[1]
    shape = sys.argv[2] if len(sys.argv) > 2 else "qwen3-30b-a3b"
    layers = sys.argv[3] if len(sys.argv) > 3 else "8"
    commands, reports = [], []
    for numbers in ["q8 canonical", "q4 canonical", "bf16 canonical", "bf16 fast"]:
        for threads in [1, len(os.sched_getaffinity(0))]:
            command, report = bench(binary, shape, layers, *numbers.split(), threads)
            commands.append(command)
            reports.append(report)
    print(f"# The engine on one CPU\n\n{cpu_name()} ({extensions()}).")
    print(f"Shape {shape}, {layers} layers, random weights. In brackets the median of all stretches.")
    print(f"\n| {' | '.join(NAMES)} |")
    print("|" + "---|" * len(NAMES))
    for report in reports:
        print("| " + " | ".join(row(report)) + " |")
    print_scaling(reports)
    print("\nCommands:\n\n" + "\n".join("    " + c for c in commands))


if __name__ == "__main__":
    main()
