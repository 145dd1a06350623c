#!/usr/bin/env python3
"""A model's files as Python writes them are released, served and compared; what a person should know of
them is said at load; a release that could not be served says so, and is made."""

import json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server

HUGE = 1000000000000000019884624838656


def change(path, **members):
    o = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(o | members))


def as_python_writes(m):
    inf, nan = float("inf"), float("nan")
    change(m / "config.json", model_max_length=HUGE, loss=nan, foo=[inf, -inf], bar=1)
    change(m / "generation_config.json", max_length=HUGE, typical=inf, eos_token_id=[1, -1])
    change(m / "tokenizer_config.json", model_max_length=HUGE, other=nan)
    change(m / "special_tokens_map.json", unused=nan)
    tokenizer = json.loads((m / "tokenizer.json").read_text())
    (m / "tokenizer.json").write_text(json.dumps(tokenizer | {"truncation": None, "x": HUGE}))


def drop_embeddings(m):
    data = (m / "model.safetensors").read_bytes()
    (m / "model.safetensors").write_bytes(data.replace(b"model.norm.weight", b"model.norn.weight"))


BROKEN = {
    "not JSON": lambda m: (m / "config.json").write_text("{"),
    "unknown model_type": lambda m: change(m / "config.json", model_type="gpt2"),
    "is_causal false": lambda m: change(m / "config.json", is_causal=False),
    "rope_theta": lambda m: change(m / "config.json", rope_theta=float("nan")),
    "hidden_size 255": lambda m: change(m / "config.json", hidden_size=255, head_dim=None),
    "model.norm.weight is missing": drop_embeddings,
    "tokenizer.json": lambda m: (m / "tokenizer.json").write_text("{}"),
    "config.json": lambda m: (m / "config.json").unlink(),
}
SAID = {"not JSON": "config.json: line 1", "hidden_size 255": "tensor model.embed_tokens.weight must be"}


with Home() as h:
    plain, m = h.model("plain"), h.model()
    as_python_writes(m)
    for path in m.glob("*config.json"):
        assert "000019884624838656" in path.read_text() and "NaN" + "Infinity" not in path.read_text()
    assert h.publish(plain, "acme/plain")["serve"] == "loads"
    assert h.publish(m)["serve"] == "loads"
    say = ("run", "--policy", "demo/policy.toml")
    want = h.run(*say, "--quiet", plain, "Hello").stdout
    got = h.run(*say, m, "Hello")
    assert got.stdout == want and want.strip(), (got, want)
    notes = [x for x in got.stderr.decode().splitlines() if x.startswith("hallmark: config.json")]
    assert notes == ["hallmark: config.json: not known here and without effect: loss, foo, bar"], got
    assert b"not known here" not in h.run(*say, "--quiet", m, "Hello").stderr
    other = h.model("other")
    (other / "chat_template.jinja").write_text("{{ messages[0].content }}")
    change(other / "config.json", auto_map={"AutoModel": "modeling.X"})
    h.publish(other, "acme/other")
    notes = h.run(*say, other, "Hello").stderr.decode()
    assert "hallmark: config.json: auto_map names code of the folder's own, which is not run" in notes, notes
    assert "hallmark: chat_template.jinja differs from the template in tokenizer_config.json" in notes, notes
    with Server(h, m) as s:
        status, _, answer = s.chat("Hello", max_tokens=4)
        assert status == 200, answer
    h.run("fork", "audit", m, "--parent", "acme/plain@1.0.0", status=None)

    for i, (word, spoil) in enumerate(BROKEN.items()):
        m = h.model(f"broken-{i}")
        spoil(m)
        report = h.publish(m, f"acme/broken-{i}")
        said = SAID.get(word, word)
        assert said in report["serve"], (word, report["serve"])
        r = h.run("release", "create", m, "--name", f"acme/broken-{i}", "--version", "1.0.0", "--key", "k")
        assert b"hallmark: this release cannot be served as it is: " in r.stderr, r
        h.run("release", "verify", m)
        assert said in h.run("run", m, "Hello", status=None).stderr.decode(), (word, r)

print("files as Python writes them load, and releases say what cannot be served")
