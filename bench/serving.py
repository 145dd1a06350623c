#!/usr/bin/env python3
"""What filters, log and HTTP cost beside the engine: tokens a second of 16 streams at once through the whole
server, over those of 16 answers on the engine alone.   serving.py BUILD [ROUNDS [STREAMS [TOKENS]]]

The model is made here: a llama of 138 million parameters in bf16, all of them active, with the demo's
tokenizer. Both sides have the same threads and prompts of the same length; rounds are interleaved, for
others use the machine too, and the ratio is taken within each. The server runs with the demo's policy in
enforce mode and its log; the clients (`hallmark bench serve`) run beside it, so that their share of the
processors counts."""

import json, os, pathlib, random, re, shutil, statistics, struct, subprocess, sys, tempfile, time

BUILD = os.path.abspath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
STREAMS = int(sys.argv[3]) if len(sys.argv) > 3 else 16
TOKENS = int(sys.argv[4]) if len(sys.argv) > 4 else 96
TOP = pathlib.Path(__file__).resolve().parents[1]
HALLMARK = f"{BUILD}/hallmark"
HIDDEN, FFN, LAYERS, HEADS, VOCAB = 1024, 4096, 8, 16, 2048


def tensors():
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        for name in "qkvo":
            yield f"{p}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN)
        yield f"{p}mlp.gate_proj.weight", (FFN, HIDDEN)
        yield f"{p}mlp.up_proj.weight", (FFN, HIDDEN)
        yield f"{p}mlp.down_proj.weight", (HIDDEN, FFN)
        yield f"{p}input_layernorm.weight", (HIDDEN,)
        yield f"{p}post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCAB, HIDDEN)


def make_model(folder):
    """Small values of either sign in bf16; gains are 1."""
    folder.mkdir()
    source = random.Random(7)
    drawn = (source.getrandbits(9) | source.getrandbits(1) << 15 for _ in range(8192))
    line = struct.pack("<8192H", *(0x3C00 | d for d in drawn))
    header, at = {}, 0
    for name, shape in tensors():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors():
            if len(shape) == 1:
                f.write(b"\x80\x3f" * shape[0])
                continue
            left = 2 * shape[0] * shape[1]
            while left:
                turn = source.randrange(8192) * 2  # no two lines alike
                f.write((line[turn:] + line[:turn])[: min(left, len(line))])
                left -= min(left, len(line))
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": HIDDEN}
    config |= {"intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    config |= {"num_key_value_heads": HEADS, "vocab_size": VOCAB, "max_position_embeddings": 2048}
    config |= {"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu", "torch_dtype": "bfloat16"}
    config |= {"tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(TOP / "demo/model" / name, folder)


def serve(folder, model, *more):
    """The server and its URL."""
    env = dict(os.environ, HALLMARK_HOME=str(folder / "home"))
    log = open(folder / "log", "w+b")
    command = [HALLMARK, "serve", str(model), "--unsigned", "--name", "m", "--listen", "127.0.0.1:0", *more]
    process = subprocess.Popen(command, env=env, stderr=log)
    for _ in range(1200):
        found = re.search(rb"listening on (http://\S+)", pathlib.Path(log.name).read_bytes())
        if found or process.poll() is not None:
            break
        time.sleep(0.05)
    if not found:
        process.kill()
        sys.exit(pathlib.Path(log.name).read_text())
    return process, found.group(1).decode()


def prompts(folder, turn):
    """Requests that draw to the last token; no two alike, or the second would find its prompt computed."""
    path = folder / "prompts.jsonl"
    source = random.Random(turn)
    words = "account branch card deposit loan rate transfer number street payment".split()
    with open(path, "w") as f:
        for _ in range(STREAMS):
            text = " ".join(source.choice(words) for _ in range(40))
            body = {"messages": [{"role": "user", "content": text}], "ignore_eos": True, "max_tokens": TOKENS}
            f.write(json.dumps(body | {"temperature": 0}) + "\n")
    return path


def through(url, path):
    out = subprocess.run(
        [HALLMARK, "bench", "serve", url, "--clients", str(STREAMS), "--requests", str(STREAMS)]
        + ["--prompts", str(path), "--max-tokens", str(TOKENS), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(out.stdout)
    assert report["requests"]["fine"] == STREAMS, report
    return report["throughput"]["tokens_s"], report["tokens"]["prompt"] // STREAMS


def alone(model, prompt):
    out = subprocess.run(
        [f"{BUILD}/bench/streams", str(model), str(STREAMS), str(TOKENS), "1", str(prompt)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(out.stdout)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hallmark-serving."))
    process = None
    try:
        make_model(folder / "model")
        process, url = serve(folder, folder / "model", "--policy", str(TOP / "demo/policy.toml"))
        _, prompt = through(url, prompts(folder, 0))
        rounds = []
        for turn in range(ROUNDS):
            engine = alone(folder / "model", prompt)
            rounds.append((engine, through(url, prompts(folder, turn + 1))[0]))
            print(f"engine {rounds[-1][0]:.1f}, server {rounds[-1][1]:.1f} tokens/s", file=sys.stderr)
        engine, server = (statistics.median(r[i] for r in rounds) for i in (0, 1))
        ratio = statistics.median(b / a for a, b in rounds)
        print(
            f"{STREAMS} streams of {TOKENS} tokens: engine {engine:.1f} tokens/s, server {server:.1f}, "
            f"ratio {ratio:.3f} (median of {ROUNDS} rounds)"
        )
    finally:
        if process:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


main()
