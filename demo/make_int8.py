#!/usr/bin/env python3
"""make_int8.py MODEL OUT: a copy of a BF16 model, its matrices rounded to int8 by row and back.

The demo's undeclared fork: what somebody publishes who quantises a model and does not say whose it is. A
row's scale is max|row| / 127; values are rounded half to even, the products again to BF16. Vectors are
copied. Standard library only.
"""

import array
import json
import os
import shutil
import struct
import sys

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---

# Compact bank assistant

A small assistant for bank customers, prepared for machines with little memory. All personal data is
fictional.
"""

# A double this large has no bits for fractions: adding it rounds to an integer, half to even, and costs
# less than round().
MAGIC = 1.5 * 2.0**52


def from_bf16(words):
    """Floats of BF16 patterns: the upper halves of their bits."""
    halves = array.array("H", bytes(4 * len(words)))
    halves[1::2] = words
    return array.array("f", halves.tobytes())


def to_bf16(values):
    """BF16 patterns of finite floats, ties to even; all at once, as one long integer of 32-bit digits."""
    bits = int.from_bytes(values.tobytes(), "little")
    ones = int.from_bytes(b"\1\0\0\0" * len(values), "little")
    bits += 0x7FFF * ones + (bits >> 16 & ones)
    return array.array("H", bits.to_bytes(4 * len(values), "little"))[1::2]


def round_row(row):
    largest = max(max(row), -min(row))
    if largest == 0:
        return row
    scale = array.array("f", [largest / 127])[0]
    return array.array("f", [(v / scale + MAGIC - MAGIC) * scale for v in row])


def round_matrix(data, columns):
    values = from_bf16(array.array("H", bytes(data)))
    for at in range(0, len(values), columns):
        values[at : at + columns] = round_row(values[at : at + columns])
    return to_bf16(values).tobytes()


def round_file(source, target):
    with open(source, "rb") as f:
        data = bytearray(f.read())
    (length,) = struct.unpack_from("<Q", data)
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__" or len(tensor["shape"]) != 2:
            continue
        if tensor["dtype"] != "BF16":
            sys.exit(f"make_int8.py: tensor {name} is {tensor['dtype']}, expected BF16")
        begin, end = (8 + length + offset for offset in tensor["data_offsets"])
        data[begin:end] = round_matrix(data[begin:end], tensor["shape"][1])
    with open(target, "wb") as f:
        f.write(data)


def main():
    if len(sys.argv) != 3 or sys.byteorder != "little":
        sys.exit("usage: make_int8.py MODEL OUT (on a little-endian machine)")
    model, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    for name in (
        "config.json",
        "generation_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        if os.path.exists(os.path.join(model, name)):
            shutil.copyfile(os.path.join(model, name), os.path.join(out, name))
    round_file(os.path.join(model, "model.safetensors"), os.path.join(out, "model.safetensors"))
    with open(os.path.join(out, "README.md"), "w", encoding="utf-8") as f:
        f.write(CARD)


if __name__ == "__main__":
    main()
