#!/usr/bin/env python3
"""A model that says given texts: a folder whose next token depends on the last one alone, or, where that one
occurs in several places (a marker that is a token), on the last one that does not. A user who says NAME is
answered with the text of that name, cut in tokens of the lengths asked for; where a constraint forbids its
token, the likeliest of the others comes.

As a program it makes a folder that answers every chat with the text of a file, and serves it:
    parrot.py FOLDER TEXT [--template FILE] [--mark MARK]... [--special MARK]... [--serve]"""

import argparse, array, collections, json, math, os, pathlib, re, struct

TEMPLATE = (
    "{%- for tool in tools or [] %}{{ tool | tojson }}{%- endfor %}"
    "{%- for m in messages %}{{ m.content }}{%- endfor %}{#- <tool_call> <think> #}"
)


def asked(template, going):
    """What a user says is no control token; the template's own words are. They stand behind the prompt."""
    test = "{%%- if parrot_heard == '%s' %%}{{ %s }}{%%- endif %%}"
    tests = "".join(test % (name, json.dumps(go)) for name, go in going.items() if name)
    tests += "".join("{{ %s }}" % json.dumps(go) for name, go in going.items() if not name)
    return "{%- set parrot_heard = messages[-1].content %}" + template + tests


def letters():
    """What byte-level vocabularies write for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


LETTERS = letters()


def spelled(piece):
    return "".join(LETTERS[b] for b in piece)


def cut(text, least, used):
    """Pieces of at least so many bytes, none of which was there before; the last may be longer. A text that
    is too short for that is one piece."""
    out, at = [], 0
    while at < len(text):
        n = least
        while text[at : at + n] in used and at + n < len(text):
            n += 1
        piece = text[at : at + n]
        at += n
        while piece in used and out:  # the end of the text was there before: it joins what stands before it
            used.discard(out[-1])
            piece = out.pop() + piece
        used.add(piece)
        out.append(piece)
    return out


def pieces(text, marks, least, used):
    """The text's markers, and between them pieces that stand nowhere else."""
    out = []
    for part in re.split("(" + "|".join(map(re.escape, marks)) + ")", text) if marks else [text]:
        out += [part] if part in marks else cut(part.encode(), least, used)
    return out


def parrot(folder, texts, least=3, template=TEMPLATE, beside=None, marks=(), end="<|end|>", quiet=False):
    """texts: {NAME: text}, or (text, least) where another cut is wanted; the one without a name answers all.
    beside: {NAME: what would have been nearly as likely as its tokens, one by one}. marks: {text: special},
    control tokens. quiet: what begins a text is white space, so that the prompt ends as the template writes
    it."""
    vocab = {spelled(bytes([b])): b for b in range(256)}
    used, chains = {bytes([b]) for b in range(256)}, []
    going = {n: "\t" + " " * (i + 1) + "\t" if quiet else f"<|say {n}|>" for i, n in enumerate(texts)}
    for name, text in texts.items():
        text, n = text if isinstance(text, tuple) else (text, least)
        chains.append((going[name], pieces(text, marks, n, used)))
    for _, chain in chains:
        for piece in chain:
            if piece not in marks:
                vocab.setdefault(spelled(piece), len(vocab))
    for others in (beside or {}).values():
        for other in others:
            vocab.setdefault(spelled(other.encode()), len(vocab))
    special = {end: True, **{go: True for go, _ in chains}, **dict(marks)}
    ids = {name: len(vocab) + i for i, name in enumerate(special)}
    size = len(vocab) + len(special)
    token = lambda piece: ids[piece] if isinstance(piece, str) else vocab[spelled(piece)]
    follows, behind, nearly = [ids[end]] * size, [], []
    places = collections.Counter(piece for _, chain in chains for piece in chain)
    common = {piece for piece, n in places.items() if n > 1}
    for go, chain in chains:
        said = [go, *chain]
        for i, piece in enumerate(said):
            then = token(said[i + 1]) if i + 1 < len(said) else ids[end]
            back = next(k for k in range(i + 1) if said[i - k] not in common)
            if back:
                behind.append((token(piece), token(said[i - back]), back, then))
            else:
                follows[token(piece)] = then
    for name, others in (beside or {}).items():
        chain = [going[name], *dict(chains)[going[name]]]
        nearly += [(vocab[spelled(o.encode())], token(a)) for a, o in zip(chain, others)]
    write_tokenizer(folder, vocab, ids, special, asked(template, going), end)
    write_model(folder, follows, nearly, behind, ids[end])
    return folder


def write_tokenizer(folder, vocab, ids, special, template, end):
    folder.mkdir()
    added = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": special[name]}
        for name, i in ids.items()
    ]  # fmt: skip
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
        "merges": [],
    }  # fmt: skip
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    whole |= {"normalizer": None, "pre_tokenizer": split, "post_processor": None}
    whole |= {"decoder": {**split, "add_prefix_space": True, "use_regex": True}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": end}
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


# tokens back that are seen, a head for each; rotary pairs that tell distances apart
BACK, HEAD, PAIRS = 8, 64, 8


def seer(behind):
    """Which token is seen by which head, and where: {(back, token): its place}."""
    seen = {}
    for _, before, back, _ in behind:
        assert back <= BACK, "too many markers in a row"
        seen.setdefault((back, before), None)
    for back in range(1, BACK + 1):
        mine = [k for k in seen if k[0] == back]
        assert len(mine) <= HEAD, "too many markers"
        for i, key in enumerate(mine):
            seen[key] = (back - 1) * HEAD + i
    return seen


def write_model(folder, follows, nearly, behind, end):
    """One layer. The embedding of a token is its own direction. Head h attends to the token h + 1 back, and
    adds that one's direction, in a space of its own; a neuron of the layer is on where a marker has a certain
    token behind it, and says what follows. Without markers the layer adds nothing."""
    size, seen = len(follows), seer(behind)
    heads, hidden = (BACK, max(64, (len(behind) + 63) // 64 * 64)) if behind else (1, 64)
    before, said = size, size + heads * HEAD  # where these spaces begin
    width = (said + hidden + 127) // 128 * 128 if behind else (size + 127) // 128 * 128
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": hidden, "num_hidden_layers": 1, "num_attention_heads": heads,
        "num_key_value_heads": heads, "head_dim": HEAD, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "vocab_size": size, "max_position_embeddings": 32768, "tie_word_embeddings": False,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "torch_dtype": "bfloat16",
        "bos_token_id": None, "eos_token_id": end,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))

    def bits(x):
        return struct.unpack("<I", struct.pack("<f", x))[0] + 0x8000 >> 16

    def matrix(rows, columns, values=()):
        data = array.array("H", bytes(2 * rows * columns))
        for r, c, x in values:
            data[r * columns + c] = bits(x)
        return [rows, columns], data.tobytes()

    def constant(rows):
        """The same vector for every token: rows {row: value}, of a norm of the width's root."""
        return [(r, c, 14 * x / math.sqrt(width)) for r, x in rows.items() for c in range(size)]

    inner = heads * HEAD
    queries, keys = {}, {}
    for h in range(BACK if behind else 0):
        for pair in range(PAIRS):
            angle = (h + 1) * 10000.0 ** (-pair / (HEAD / 2))
            queries |= {h * HEAD + pair: math.cos(angle), h * HEAD + HEAD // 2 + pair: -math.sin(angle)}
            keys[h * HEAD + pair] = 1.0
    values = [(place, t, 1 / math.sqrt(width)) for (_, t), place in seen.items()]
    shown = [(before + i, i, 1.0) for i in range(inner)] if behind else []
    gates = [(j, marker, 1.0) for j, (marker, *_) in enumerate(behind)]
    ups = [(j, before + seen[back, t], 1.0) for j, (_, t, back, _) in enumerate(behind)]
    downs = [(said + j, j, 1.0) for j in range(len(behind))]
    markers = {marker for marker, *_ in behind}
    likely = [(b, a, 0.01 if a in markers else 10) for a, b in enumerate(follows)]
    likely += [(then, said + j, 10) for j, (*_, then) in enumerate(behind)]
    norm = [width], struct.pack("<H", bits(1)) * width
    layer = "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": matrix(size, width, [(i, i, 1) for i in range(size)]),
        "lm_head.weight": matrix(size, width, [*likely, *((b, a, 9.5) for b, a in nearly)]),
        "model.norm.weight": norm,
        layer + "input_layernorm.weight": norm,
        layer + "post_attention_layernorm.weight": norm,
        layer + "self_attn.q_proj.weight": matrix(inner, width, constant(queries)),
        layer + "self_attn.k_proj.weight": matrix(inner, width, constant(keys)),
        layer + "self_attn.v_proj.weight": matrix(inner, width, values),
        layer + "self_attn.o_proj.weight": matrix(width, inner, shown),
        layer + "mlp.gate_proj.weight": matrix(hidden, width, gates),
        layer + "mlp.up_proj.weight": matrix(hidden, width, ups),
        layer + "mlp.down_proj.weight": matrix(width, hidden, downs),
    }
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            f.write(data)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("text", type=pathlib.Path)
    a.add_argument("--template", type=pathlib.Path, help="what tells the family; else Hermes'")
    a.add_argument("--mark", action="append", default=[], help="a token of its own")
    a.add_argument("--special", action="append", default=[], help="a control token")
    a.add_argument("--serve", action="store_true", help="by $BUILD/hallmark, as model m")
    o = a.parse_args()
    marks = {m: False for m in o.mark} | {m: True for m in o.special}
    template = o.template.read_text() if o.template else TEMPLATE
    parrot(o.folder, {"": o.text.read_text()}, template=template, marks=marks, quiet=True)
    if o.serve:
        program = os.path.join(os.environ.get("BUILD", "build"), "hallmark")
        os.execv(program, [program, "serve", str(o.folder), "--name", "m", "--unsigned"])


if __name__ == "__main__":
    main()
