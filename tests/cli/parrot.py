"""A model that says given texts: a folder whose next token depends on the last one alone. A user who
says NAME is answered with the text of that name, cut in tokens of the lengths asked for."""

import array, json, struct

TEMPLATE = (
    "{%- for tool in tools or [] %}{{ tool | tojson }}{%- endfor %}"
    "{%- for m in messages %}{{ m.content }}{%- endfor %}{#- <tool_call> <think> #}"
)


def asked(names):
    """What a user says is no control token; the template's own words are."""
    test = "{%%- if messages[-1].content == '%s' %%}{{ '<|say %s|>' }}{%%- endif %%}"
    return "".join(test % (n, n) for n in names)


def letters():
    """What byte-level vocabularies write for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + i) for i, b in enumerate(others)}


LETTERS = letters()


def spelled(piece):
    return "".join(LETTERS[b] for b in piece)


def cut(text, least, used):
    """Pieces of at least so many bytes, none of which was there before; the last may be longer."""
    out, at = [], 0
    while at < len(text):
        n = least
        while text[at : at + n] in used and at + n < len(text):
            n += 1
        piece = text[at : at + n]
        at += n
        while piece in used:  # the end of the text was there before: it joins what stands before it
            used.discard(out[-1])
            piece = out.pop() + piece
        used.add(piece)
        out.append(piece)
    return out


def parrot(folder, texts, least=3, template=TEMPLATE, beside=None):
    """texts: {NAME: text}, or (text, least) where another cut is wanted. beside: {NAME: what would
    have been nearly as likely as its tokens, one by one}."""
    vocab = {spelled(bytes([b])): b for b in range(256)}
    used, chains = {bytes([b]) for b in range(256)}, []
    for name, text in texts.items():
        text, n = text if isinstance(text, tuple) else (text, least)
        pieces = cut(text.encode(), n, used)
        for piece in pieces:
            vocab.setdefault(spelled(piece), len(vocab))
        chains.append((f"<|say {name}|>", [vocab[spelled(p)] for p in pieces]))
    for others in (beside or {}).values():
        for other in others:
            vocab.setdefault(spelled(other.encode()), len(vocab))
    end = len(vocab)
    special = ["<|end|>", *(go for go, _ in chains)]
    ids = {name: end + i for i, name in enumerate(special)}
    size = end + len(special)
    width = (size + 127) // 128 * 128
    follows, nearly = [end] * size, []
    for go, chain in chains:
        for a, b in zip([ids[go], *chain], [*chain, end]):
            follows[a] = b
    for name, others in (beside or {}).items():
        chain = [ids[f"<|say {name}|>"], *dict(chains)[f"<|say {name}|>"]]
        nearly += [(vocab[spelled(o.encode())], a) for a, o in zip(chain, others)]
    write_tokenizer(folder, vocab, ids, template + asked(texts))
    write_model(folder, follows, nearly, width, end)
    return folder


def write_tokenizer(folder, vocab, ids, template):
    folder.mkdir()
    added = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
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
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"}
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_model(folder, follows, nearly, width, end):
    """One layer that adds nothing; the embedding of a token is its own direction."""
    size = len(follows)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "head_dim": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "vocab_size": size, "max_position_embeddings": 32768, "tie_word_embeddings": False,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "torch_dtype": "bfloat16",
        "bos_token_id": None, "eos_token_id": end,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))

    def matrix(rows, columns, values=()):
        data = array.array("H", bytes(2 * rows * columns))
        for r, c, bits in values:
            data[r * columns + c] = bits
        return [rows, columns], data.tobytes()

    one, less, much = 0x3F80, 0x4118, 0x4120  # 1, 9.5 and 10 as bf16
    likely = [(b, a, much) for a, b in enumerate(follows)]
    norm = [width], struct.pack("<H", one) * width
    layer = "model.layers.0."
    tensors = {
        "model.embed_tokens.weight": matrix(size, width, [(i, i, one) for i in range(size)]),
        "lm_head.weight": matrix(size, width, [*likely, *((b, a, less) for b, a in nearly)]),
        "model.norm.weight": norm,
        layer + "input_layernorm.weight": norm,
        layer + "post_attention_layernorm.weight": norm,
        layer + "self_attn.o_proj.weight": matrix(width, 64),
        layer + "mlp.gate_proj.weight": matrix(64, width),
        layer + "mlp.up_proj.weight": matrix(64, width),
        layer + "mlp.down_proj.weight": matrix(width, 64),
    }
    tensors |= {layer + f"self_attn.{n}_proj.weight": matrix(64, width) for n in "qkv"}
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
