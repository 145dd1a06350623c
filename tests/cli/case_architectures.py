#!/usr/bin/env python3
"""The stock OpenAI client with small random models of many architectures under published chat templates: a
plain answer, a forced call of a tool, plain and streamed, a history with its result, and the replay of all.
The weights are those of tests/vectors/oracles, with a vocabulary of bytes; the templates come with TRL."""

import importlib.util, json, math, os, pathlib, re, shutil, struct, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, TOP
from parrot import spelled, write_tokenizer

if not importlib.util.find_spec("trl") or not importlib.util.find_spec("openai"):
    print("skipped: needs openai and the templates of trl")
    sys.exit(0)
import openai

TRL = pathlib.Path(importlib.util.find_spec("trl").origin).parent
ORACLES = TOP / "tests/vectors/oracles"
GEMMA = ("<channel|>", "<|channel>", "<|tool_call>", "<tool_call|>", '<|"|>')
HARMONY = ("end", "start", "channel", "message", "constrain", "call")
# architecture: (template, end of a turn, control tokens: the first is made likely, to end what is thought)
FAMILIES = {
    "qwen2": ("qwen2_5", "<|im_end|>"),
    "qwen3": ("qwen3", "<|im_end|>"),
    "qwen3_moe": ("qwen3_instruct_2507", "<|im_end|>"),
    "qwen3_5_moe": ("qwen3_5_nothink", "<|im_end|>"),
    "bailing_hybrid": ("qwen3_6", "<|im_end|>"),
    "llama": ("llama3_2", "<|eot_id|>"),
    "gpt_oss": ("gptoss", "<|return|>", *(f"<|{m}|>" for m in HARMONY)),
    "glm4_moe": ("glm4moe", "<|user|>"),
    "glm4_moe_lite": ("glm4moe", "<|user|>"),
    "gemma4": ("gemma4_v5", "<turn|>", *GEMMA),
    "gemma4_moe": ("gemma4_v5", "<turn|>", *GEMMA),
    "nemotron": ("nemotron_3_nano", "<|im_end|>"),
    "minimax_m2": ("nemotron_3_super", "<|im_end|>"),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look up a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Bern", "Oslo"]}, "days": {"type": "boolean"}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "look_up"}}}


def widened(folder, out, size):
    """The model with a vocabulary of `size`: what has a row for each token repeats them."""
    with open(folder / "model.safetensors", "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        begin = f.tell()
        data = f.read()
    config = json.loads((folder / "config.json").read_text())
    inner = config.get("text_config", config)
    old, tensors, at = inner["vocab_size"], {}, 0
    header.pop("__metadata__", None)
    assert begin > 8
    for name, t in header.items():
        a, b = t["data_offsets"]
        body = data[a:b]
        if re.search(r"embed_tokens|word_embeddings|lm_head", name) and t["shape"][0] == old:
            row = len(body) // old
            body = (body * math.ceil(size / old))[: row * size]
            t["shape"][0] = size
        tensors[name] = (t, body)
    for t, body in tensors.values():
        t["data_offsets"] = [at, at + len(body)]
        at += len(body)
    text = json.dumps({n: t for n, (t, _) in tensors.items()}).encode()
    text += b" " * (-len(text) % 8)
    out.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(b for _, b in tensors.values()))
    inner["vocab_size"] = size
    inner["max_position_embeddings"] = 8192
    if "vocab_size_per_layer_input" in inner:
        inner["vocab_size_per_layer_input"] = size
    return config, inner


def model_of(folder, name, template, end, *special):
    special = {s: True for s in ("<|none|>", *special, end)}
    vocab = {spelled(bytes([b])): b for b in range(256)}
    ids = {s: len(vocab) + i for i, s in enumerate(special)}
    write_tokenizer(folder, vocab, ids, special, (TRL / f"chat_templates/{template}.jinja").read_text(), end)
    config, inner = widened(ORACLES / name, folder / "model.safetensors", len(vocab) + len(special))
    for c in (config, inner):
        c["eos_token_id"], c["pad_token_id"], c["bos_token_id"] = ids[end], ids["<|none|>"], None
    (folder / "config.json").write_text(json.dumps(config))
    return folder, ids


def streamed(client, **asked):
    name, arguments, finish = "", "", None
    for chunk in client.chat.completions.create(stream=True, **asked):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
            finish = choice.finish_reason or finish
    return name, arguments, finish


def check(client, likely):
    asked = {"model": "m", "temperature": 1, "seed": 7, "max_tokens": 400, "logit_bias": likely}
    asked["extra_body"] = {"chat_template_kwargs": {"enable_thinking": False}}  # noise would never end
    user = [{"role": "user", "content": "How is Bern?"}]
    brief = {**asked, "max_tokens": 12}
    answer = client.chat.completions.create(messages=user, tools=[TOOL], **brief).choices[0]
    assert answer.finish_reason in ("length", "stop", "tool_calls"), answer
    one = client.chat.completions.create(messages=user, **FORCED, **asked).choices[0]
    assert one.finish_reason == "tool_calls", one
    call = one.message.tool_calls[0]
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "look_up" and set(arguments) == {"city", "days"}, call
    assert arguments["city"] in ("Bern", "Oslo") and arguments["days"] in (True, False), call
    assert streamed(client, messages=user, **FORCED, **asked) == (
        "look_up",
        call.function.arguments,
        "tool_calls",
    )
    result = {"role": "tool", "tool_call_id": call.id, "content": "It rains."}
    history = [*user, one.message.model_dump(exclude_none=True), result]
    last = client.chat.completions.create(messages=history, tools=[TOOL], **brief)
    assert last.choices[0].finish_reason in ("length", "stop", "tool_calls"), last


replayed = 0
for name, (template, end, *special) in FAMILIES.items():
    with Home() as h:
        try:
            model, ids = model_of(h.dir / "model", name, template, end, *special)
            likely = {str(ids[s]): 50 for s in special[:1]}
            h.publish(model, "random/" + name.replace("_", "-"))
            with Server(h, model) as s:
                check(openai.OpenAI(base_url=f"http://{s.address}/v1", api_key="none", max_retries=0), likely)
                assert s.stop() == 0
            entries = h.json("audit", "list", "--count", "1000")["entries"]
            for e in entries:
                if e["entry"]["type"] == "decision":
                    report = h.json("audit", "replay", e["index"], "--unsigned", status=None)
                    assert report["equal"], (e["index"], report)
                    replayed += 1
        except BaseException:
            print("architecture", name, "with", template)
            raise
print("openai", openai.__version__, "asked", len(FAMILIES), "architectures;", replayed, "answers replayed")
