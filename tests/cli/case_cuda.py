#!/usr/bin/env python3
"""The GPU's backend through the program, without a GPU: the kernels under the emulator answer the demo's
prompts, filtered, logged and replayed; and what a machine without a usable GPU is told."""

import concurrent.futures, http.client, json, os, re, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import BUILD, Home, MODEL, POLICY, Server, ServerEnded

EMULATED = os.path.abspath(f"{BUILD}/emulator/libhallmark_cuda.so")
PLAIN = os.path.abspath(f"{BUILD}/emulator/libplain.so")
SAMPLES = [json.loads(line) for line in (MODEL / "samples.jsonl").read_text().splitlines()]


def fields(h, index):
    disclosed = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
    return {f["name"]: f["value"] for f in disclosed}


def replay(h, index, env, status=0):
    return h.json("audit", "replay", index, "--model", MODEL, "--unsigned", env=env, status=status)


def whole(h, library, samples):
    """All of them on the GPU that the library is, under the policy; then one is replayed."""
    gpu = h.env(HALLMARK_CUDA=library)

    def ask(sample):
        return s.stream(sample["messages"][-1]["content"], max_tokens=len(sample["output_ids"]) + 4)

    with Server(h, MODEL, "--unsigned", "--policy", POLICY, "--device", "cuda", env=gpu) as s:
        with concurrent.futures.ThreadPoolExecutor(len(samples)) as together:
            answers = list(together.map(ask, samples))
        for sample, (text, last) in zip(samples, answers):
            assert last["choices"][0]["finish_reason"] == "stop", (sample["name"], text)
            for secret in ("e.murphy@example.org", "4111 1111 1111 1111", "FERN 0009", "Larkspur"):
                assert secret not in text, text
            if sample["name"] == "card":
                assert text == "The card number of Alice Moreno is 4111 11** **** 1111.", text
        assert s.stop() == 0
    index = last["hallmark"]["index"]
    said = fields(h, index)
    assert said["kernel_regimes"] == ["cuda/1"] and said["kernel_set"] == "cuda-sm90", said
    assert said["output_ids_digest"] and said["finish_reason"] == "stop", said
    same = replay(h, index, gpu)
    assert same["equal"] and same["regime"] == "cuda/1" and same["kernels_here"] == "cuda-sm90", same
    # Without a GPU its bits cannot be had: nothing is run, and nothing is called different.
    other = replay(h, index, h.env(HALLMARK_CUDA="/nowhere/lib.so"), status=7)
    assert other["verdict"] == "other regime" and other["regime"] == "cpu/1", other
    assert other["regimes_recorded"] == ["cuda/1"], other
    served = [e["entry"].get("body", {}) for e in h.json("audit", "list")["entries"]]
    assert [b["regime"] for b in served if b.get("event") == "serve"][0] == "cuda/1", served
    return index


def refused(h, words, *options, **env):
    """A start that ends with 7 and says why."""
    try:
        Server(h, MODEL, "--unsigned", *options, env=h.env(**env)).stop()
    except ServerEnded as why:
        assert why.status == 7 and all(w in str(why) for w in words), (why.status, str(why))
        return
    raise AssertionError(f"it serves: {options}, {env}")


with Home() as h:
    whole(h, EMULATED, SAMPLES)

with Home() as h:
    gpu = {"HALLMARK_CUDA": PLAIN}
    # By name it is the GPU or nothing; with ",cpu", or if nothing was said, it is said why not.
    none = {"HALLMARK_CUDA": "/nowhere/lib.so"}
    refused(h, ["no GPU can be used here: no device found"], "--device", "cuda", **none)
    refused(h, ["no GPU can be used here", "GPU 5"], "--device", "cuda:5", **gpu)
    # So it is of a selftest, though without reference models it computes nothing there.
    r = h.run("selftest", "--device", "cuda", env=h.env(**none), status=7)
    assert b"no GPU can be used here: no device found" in r.stderr, r.stderr
    for device, env in (("cuda", gpu), ("cuda,cpu", none), ("auto", none)):
        assert h.json("selftest", "--device", device, env=h.env(**env))["failed"] == 0
    refused(h, ["the model needs", "GB", "bytes"], "--device", "cuda", "--memory", "1000000", **gpu)
    r = h.run("run", MODEL, "x", "--unsigned", "--device", "gpu", status=2)
    assert b"expected auto, cpu, cuda" in r.stderr, r.stderr
    for device in ("cuda,cpu", "auto"):
        r = h.run(
            "run", MODEL, "Hi", "--unsigned", "--device", device, "--max-tokens", 2,
            env=h.env(**none),
        )
        assert b"computes on the CPU: no GPU can be used here" in r.stderr, r.stderr
    r = h.run("run", MODEL, "Hi", "--unsigned", "--max-tokens", 2, env=h.env(**gpu))
    assert b"computes on plain operations" in r.stderr, r.stderr
    r = h.run("run", MODEL, "Hi", "--unsigned", "--device", "cpu", "--max-tokens", 2, env=h.env(**gpu))
    assert b"computes on" not in r.stderr, r.stderr

    # Another class of bits by choice, in the record too.
    fast = ("--numerics", "fast", "--device", "cuda")
    with Server(h, MODEL, "--unsigned", *fast, env=h.env(**gpu)) as s:
        index = s.stream("What is an overdraft?", max_tokens=4)[1]["hallmark"]["index"]
    assert fields(h, index)["kernel_regimes"] == ["cuda-fast/1"], fields(h, index)
    assert replay(h, index, h.env(**gpu))["equal"]
    # What the CPU computed is replayed there, whatever is in the machine.
    with Server(h, MODEL, "--unsigned", "--device", "cpu", env=h.env(**gpu)) as s:
        index = s.stream("What is an overdraft?", max_tokens=4)[1]["hallmark"]["index"]
    assert fields(h, index)["kernel_regimes"] == ["cpu/1"]
    assert replay(h, index, h.env(**gpu))["regime"] == "cpu/1"




def choices(path):
    """A table of choices for the emulated device: cuBLAS from the first list of the fast regime on."""
    digest, source = 14695981039346656037, open("kernels/choice.c").read()
    for name in re.findall(r'^\t\{ "([^"]+)", \{', source, re.M):
        for byte in name.encode() + b"\0":
            digest = (digest ^ byte) * 1099511628211 % 2**64
    version = re.search(r"DEVICE_TABLE_VERSION (\d+)", open("kernels/device_table.h").read())[1]
    head = f"hallmark cuda choice 1\ndevice host emulator\ncapability 90\nlibrary {version} {digest:016x}\n"
    open(path, "w").write(head + "product bf16 fast 4294967295 cublas\n")
    return str(path)


with Home() as h:
    # Dense products of a long prompt by cuBLAS: the record names its version, and takes it to be replayed.
    gpu = {
        "HALLMARK_CUDA": EMULATED, "HALLMARK_CUBLAS": os.path.abspath(f"{BUILD}/emulator/libcublas.so"),
        "EMULATOR_CUBLAS_VERSION": "13.0.2", "HALLMARK_CUDA_CHOICE": choices(h.dir / "choice.txt"),
    }
    with Server(h, MODEL, "--unsigned", *fast, env=h.env(**gpu)) as s:
        index = s.stream("overdraft " * 115, max_tokens=2)[1]["hallmark"]["index"]
    # it has the rows of a list for 128, but for an eighth at most: its pass is cuBLAS's
    assert 112 <= fields(h, index)["prompt_count"] <= 128, fields(h, index)
    named = "cuda-fast/1+cublas-13.0.2"
    assert fields(h, index)["kernel_regimes"] == [named], fields(h, index)
    same = replay(h, index, h.env(**gpu))
    assert same["equal"] and same["regime"] == named, same
    # One that cannot be opened is told of, not done without.
    refused(h, ["cuBLAS: the library was not initialized"], *fast, **gpu, EMULATOR_CUBLAS_FAILS="0")
    for change, regime in [
        ({"EMULATOR_CUBLAS_VERSION": "13.1.0"}, "cuda-fast/1+cublas-13.1.0"),
        ({"HALLMARK_CUBLAS": ""}, "cuda-fast/1"),
        ({"HALLMARK_CUBLAS": "/nowhere/libcublas.so"}, "cuda-fast/1"),
    ]:
        other = replay(h, index, h.env(**{**gpu, **change}), status=7)
        assert other["verdict"] == "other regime" and other["regime"] == regime, other


def cut_off(s, asked):
    """(text, error) of a stream that ends with an error event."""
    message = {"role": "user", "content": asked}
    body = {"model": "m", "messages": [message], "temperature": 0, "stream": True}
    c = http.client.HTTPConnection(s.address, timeout=300)
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    assert r.status == 200, (r.status, r.read())
    text, error = "", None
    for line in r:
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            error = error or chunk.get("error")
            for choice in chunk.get("choices", []):
                text += choice["delta"].get("content") or ""
    return text, error


with Home() as h:
    # The device is lost while it answers: the stream says so, the record too, and later ones get 503.
    env = h.env(HALLMARK_CUDA=PLAIN, EMULATOR_LOSE_AFTER="500")
    with Server(h, MODEL, "--unsigned", "--policy", POLICY, "--device", "auto", env=env) as s:
        text, error = cut_off(s, "Tell me about overdrafts, loans, cards and all that your bank offers.")
        assert error and "the GPU failed" in error["message"], (text, error)
        status, _, document = s.chat("Hello")
        assert status == 503 and "the GPU failed" in document["error"]["message"], (status, document)
        assert s.get("/ready")[0] == 503, s.get("/ready")
        assert s.stop() == 0
    records = [e for e in h.json("audit", "list")["entries"] if e["entry"]["type"] == "decision"]
    said = fields(h, records[0]["index"])
    assert said["finish_reason"] == "error" and said["kernel_regimes"] == ["cuda/1"], said
    assert said["output_count"] > 0, said
    assert h.json("audit", "verify")["ok"]
