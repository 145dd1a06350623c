#!/usr/bin/env python3
"""The lines of tests/gpu/run as tables (Markdown) and as one JSON document.

report.py LINES JSON"""

import json
import sys
import time


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                yield json.loads(line)
            except ValueError:
                yield {"what": "text", "text": line.rstrip("\n")}


def table(head, rows):
    if rows:
        print("\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
        for row in rows:
            print("| " + " | ".join("" if c is None else str(c) for c in row) + " |")


def of(lines, what):
    return [x for x in lines if x["what"] == what]


def verdict(x):
    return "ok" if x.get("ok", True) else "**WRONG**"


def percent(x, key):
    return f"{100 * x[key]:.0f} %" if key in x else None


def main():
    lines = list(read(sys.argv[1]))
    for x in of(lines, "device"):
        gib = x["memory_bytes"] / 2**30
        print(f"# {x['name']}\n\nCompute capability {x['capability'] / 10}, {x['multiprocessors']} "
              f"multiprocessors, {gib:.0f} GiB, driver {x['driver']}.")
    for x in of(lines, "copy"):
        print(f"Copies within its memory: {x['gb_s']:,.0f} GB/s, read and written.")
    for x in of(lines, "cublas"):
        print(f"cuBLAS, bf16: {x.get('gflop_s', 0) / 1000:,.0f} TFLOP/s {verdict(x)}")
    table(["operation", "checks", "failed", "seconds", ""],
          [[x["operation"], x["checks"], x["failed"], x["seconds"], verdict(x)] for x in of(lines, "parity")])
    table(["same bits: model", "tokens a pass", "other sequences", ""],
          [[x["model"], "all" if x["piece"] > 1 << 30 else x["piece"], x["others"], verdict(x)]
           for x in of(lines, "same")])
    table(["same bits by each way: model", "cache", "way", ""],
          [[x["model"], x["cache"], x["steps"], verdict(x)] for x in of(lines, "ways")])
    table(["oracle", "largest error", "", ""],
          [[x["model"], x["max_error"], "refused" if x["refused"] else verdict(x), x["detail"]]
           for x in of(lines, "oracle")])
    table(["beside the CPU", "tokens", "largest error", "rows apart", "same best token", ""],
          [[x["model"], x["tokens"], x["max_error"], x["apart"], x["same_top"], verdict(x)]
           for x in of(lines, "near")])
    table(["shape", "layers", "weights", "numerics", "way", "", "batch", "context", "tokens/s", "MB a token",
           "GB/s", "of copies", "TFLOP/s", "of cuBLAS"],
          [[x["shape"], x["layers"], x["dtype"],
            x["numerics"] + (", cuBLAS" if "+cublas" in x["regime"] else ""), x["steps"],
            x["what"], x["batch"], x["context"], f"{x['tokens_s']:,.0f}",
            f"{x['bytes_token'] / 1e6:,.1f}", f"{x['gb_s']:,.0f}", percent(x, "of_copy"),
            f"{x['gflop_s'] / 1e3:,.1f}", percent(x, "of_products")]
           for x in lines if x["what"] in ("decode", "prefill")])
    table(["operation", "shape", "us", "GB/s", "of copies"],
          [[x["operation"], x["shape"], x["us"], x["gb_s"], percent(x, "of_copy")]
           for x in of(lines, "time")])
    said = of(lines, "text")
    if said:
        print("\n```\n" + "\n".join(x["text"] for x in said[:60]) + "\n```")
    bad = [x for x in lines if x.get("ok") is False or x["what"] == "skipped"]
    table(["section", "what is wrong, or why it was not run"],
          [[x.get("section", x["what"]), x.get("why") or x.get("error") or json.dumps(x)] for x in bad])
    print()
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        json.dump({"version": 1, "when": when, "lines": lines}, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
