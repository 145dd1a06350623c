#!/usr/bin/env python3
"""Answers at the edge: any character may be said, recorded and replayed; a request whose parts leave
nothing to say is refused with a sentence; a demanded call comes in the family's own markers."""

import json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server

CITY = {"city": {"type": "string", "maxLength": 8}}
CITY = {"type": "object", "properties": CITY, "required": ["city"]}
TOOL = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


def with_markers(h, name, markers, special):
    """The demo model; its last tokens are control tokens with these texts, its template shows tools."""
    model = h.model(name)
    text = json.loads((model / "tokenizer.json").read_text())
    vocab, ids = text["model"]["vocab"], []
    for marker in markers:
        last = max((k for k in vocab if vocab[k] not in ids), key=vocab.get)
        ids.append(vocab[last])
        vocab[marker] = vocab.pop(last)
        pieces = lambda merge: merge if isinstance(merge, list) else merge.split()
        text["model"]["merges"] = [
            m for m in text["model"]["merges"] if last not in (*pieces(m), "".join(pieces(m)))
        ]
        text["added_tokens"].append(
            {"id": ids[-1], "content": marker, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": special}
        )  # fmt: skip
    (model / "tokenizer.json").write_text(json.dumps(text, ensure_ascii=False))
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["chat_template"] = (
        "{{ bos_token }}{%- if tools %}{%- for tool in tools %}{{ tool | tojson }}{%- endfor %}{{ '"
        + markers[0] + "' }}{%- endif %}{%- for m in messages %}{{ '<｜User｜>' + m.content }}{%- endfor %}"
        "{{ '<｜Assistant｜>' }}"
    )  # fmt: skip
    (model / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False))
    return model, ids


def check_markers(h, name, markers, special):
    model, ids = with_markers(h, name, markers, special)
    with Server(h, model, "--unsigned") as s:
        asked = {"tools": TOOL, "tool_choice": "required", "temperature": 1.5, "max_tokens": 200}
        asked["parallel_tool_calls"] = False
        # unlikely markers, and banned ones, which are spelled in other tokens then
        for bias in (None, *((i, x) for i in ids for x in (-50, -100))):
            more = {"logit_bias": {str(bias[0]): bias[1]}} if bias else {}
            for seed in range(3):
                status, _, said = s.chat("Rain?", seed=seed, **asked, **more)
                assert status == 200, said
                (call,) = said["choices"][0]["message"]["tool_calls"]
                assert call["function"]["name"] == "weather", said
                assert len(json.loads(call["function"]["arguments"])["city"]) <= 8, said
        assert s.stop() == 0


with Home() as h:
    with Server(h, MODEL, "--unsigned") as s:
        status, _, said = s.chat("Hello", guided_regex=r"a\x00[\x00-\x01]b")
        assert status == 200 and said["choices"][0]["message"]["content"][:2] == "a\0", said
        text, last = s.stream("Hello", guided_regex=r"a\x00b", n=2)
        assert sorted(text) == sorted("a\0ba\0b") and last["choices"][0]["finish_reason"] == "stop", last
        index = last["hallmark"]["index"]

        # The least top_p there is leaves the likeliest token, and is not "off".
        best = s.chat("How do I open an account?", max_tokens=12)[2]["choices"][0]["message"]
        for least in (0, 1e-300, 1e-45):
            asked = {"temperature": 2, "seed": 1, "max_tokens": 12, "top_p": least}
            status, _, said = s.chat("How do I open an account?", **asked)
            assert status == 200 and said["choices"][0]["message"] == best, (least, said)

        many = [f"item-{i:05}" for i in range(15000)]
        status, _, said = s.chat("Hello", guided_choice=many, temperature=2, seed=1)
        assert status == 200 and said["choices"][0]["message"]["content"] in many, said

        for stuck in (
            {"guided_choice": ["yes"], "bad_words": ["y"]},
            {"guided_regex": "", "min_tokens": 2},
        ):
            status, _, refused = s.chat("Hello", **stuck)
            sentence = refused["error"]["message"]
            assert status == 400 and "nothing may follow" in sentence, (status, refused)
        assert s.chat("Hello", max_tokens=2)[0] == 200
        assert s.stop() == 0
    assert h.json("audit", "verify")["ok"]
    replay = h.json("audit", "replay", index, "--model", MODEL, "--unsigned")
    assert replay["equal"], replay
    check_markers(h, "qwen", ["<tool_call>", "</tool_call>"], False)
    check_markers(h, "mistral", ["[TOOL_CALLS]"], True)
print("answers at the edge are recorded, and contradictions refused")
