"""Fill changes.json: what the reference computes when keys of an oracle's config are changed.

    python changes.py ROWS.json >changes.json     (transformers 5.24, torch, safetensors; by hand)

A row is {"case", "set": {key: value}, "drop": [key]}; "bare": its tensors lose the prefix
"model.". Added is "logits", the first eight of the last position of the first sequence, or
"reference", why the reference refuses. "refused" (what our sentence holds) is written by hand.
"""
import json
import os
import shutil
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ORACLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracles")


def prepare(row, folder):
    shutil.copytree(os.path.join(ORACLES, row["case"]), folder)
    path = os.path.join(folder, "config.json")
    config = json.load(open(path))
    config.update(row["set"])
    for key in row.get("drop", []):
        config.pop(key, None)
    json.dump(config, open(path, "w"))
    if row.get("bare"):
        path = os.path.join(folder, "model.safetensors")
        tensors = {k.removeprefix("model."): v for k, v in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})


def compute(row, folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager",
        experts_implementation="eager", output_loading_info=True)
    if info["missing_keys"]:
        raise ValueError("missing " + sorted(info["missing_keys"])[0])
    ids = load_file(os.path.join(folder, "expected.safetensors"))["input_ids"].long()
    with torch.no_grad():
        return model(ids[:1], use_cache=False).logits[0, -1, :8].tolist()


def main():
    rows = json.load(open(sys.argv[1]))
    for row in rows:
        with tempfile.TemporaryDirectory() as outer:
            folder = os.path.join(outer, "model")
            prepare(row, folder)
            try:
                row["logits"] = [float("%.7g" % x) for x in compute(row, folder)]
            except Exception as e:  # whatever the reference raises is its answer
                row["reference"] = (type(e).__name__ + ": " + " ".join(str(e).split()))[:120]
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")


main()
