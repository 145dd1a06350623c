#!/usr/bin/env python3
"""Answers at the edge: any character may be said, recorded and replayed; a request whose parts leave nothing to
say is refused with a sentence, and the server goes on."""

import json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server

with Home() as h:
    with Server(h, MODEL, "--unsigned") as s:
        status, _, said = s.chat("Hello", guided_regex=r"a\x00[\x00-\x01]b")
        assert status == 200 and said["choices"][0]["message"]["content"][:2] == "a\0", said
        text, last = s.stream("Hello", guided_regex=r"a\x00b", n=2)
        assert sorted(text) == sorted("a\0ba\0b") and last["choices"][0]["finish_reason"] == "stop", last
        index = last["hallmark"]["index"]

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
print("answers at the edge are recorded, and contradictions refused")
