#!/usr/bin/env python3
"""What a policy masks before the model sees it is, where the policy says so, kept nowhere: neither as text
nor as a digest by which it can be found; and what is kept is enough to replay."""

import base64, hashlib, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

CARD = "4111 1111 1111 1111"
DIGITS = CARD.replace(" ", "")
MASKED = "4111 11** **** 1111"
ASKED = f"Is {CARD} the card number of Alice Moreno?"
TOOL = {
    "type": "function",
    "function": {"name": "find", "description": f"as for {CARD}", "parameters": {"type": "object"}},
}


def messages(text):
    return [{"role": "user", "content": text}]


def policy(home, content):
    path = home.dir / f"{content}.toml"
    path.write_text(POLICY.read_text() + f'\n[retention]\ncontent = "{content}"\n')
    return path


def has_card(text):
    return DIGITS in "".join(c for c in text if c.isdigit() or c == "*")


def digests(texts):
    return [hashlib.sha256(t.encode() if isinstance(t, str) else t).hexdigest() for t in texts]


def ask(home, content):
    """The records of: a request that is masked, one that is not, and an answer that is; and, refused, a
    prompt that is too long."""
    with Server(home, MODEL, "--policy", policy(home, content), "--unsigned") as s:
        for text in (ASKED, "What is an overdraft?"):
            status, _, answer = s.chat(text, max_tokens=12, user="someone", seed=5)
            assert status == 200, answer
            yield answer["hallmark"]["index"]
        status, _, answer = s.chat("word " * 9000 + CARD, max_tokens=5)
        assert status == 400, answer
        # The model's answer is masked too: what it drew is not kept either.
        status, _, answer = s.chat("What card number do you have on file for Alice Moreno?")
        assert MASKED in json.dumps(answer), answer
        yield answer["hallmark"]["index"]


def kept(home, index):
    return home.json("audit", "show", index, "--disclose")["disclosed"]


def fields(shown):
    return {f["name"]: f["value"] for f in shown["fields"]}


for content in ("full", "cleaned", "none"):
    with Home() as h:
        masked, clean, said = ask(h, content)
        size = h.json("audit", "verify")["size"]
        everything = [
            h.run("audit", "show", i, "--disclose", "--json", status=None).stdout.decode()
            for i in range(size)
        ]
        raw = [x for x in everything if has_card(x)]
        shown = kept(h, masked)
        body = json.dumps(
            {"model": "m", "messages": messages(ASKED), "temperature": 0, "max_tokens": 12,
             "user": "someone", "seed": 5}
        )
        guesses = digests([ASKED, body])
        found = [g for g in guesses if any(g in x for x in everything)]
        if content == "full":
            assert len(raw) == 1 and CARD in shown["retained"]["request"], raw
            assert len(found) == 2, "these digests are not those of the record"
        else:
            assert not raw and not found, (content, raw, found)
        for path in h.state.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                for secret in [CARD, DIGITS, *(guesses if content != "full" else [])]:
                    assert secret.encode() not in data, path
                    assert base64.b64encode(secret.encode())[:-4] not in data, path
        if content == "none":
            for index in (masked, clean, said):
                assert kept(h, index)["retained"] is None
                r = h.run("audit", "replay", index, "--model", MODEL, "--unsigned", status=7)
                assert b"cannot be replayed: its content was not kept" in r.stderr, r
            assert fields(kept(h, clean))["request_bytes_digest"]
            continue
        retained = shown["retained"]
        request = json.loads(retained["request"])
        assert "user" not in request and "someone" not in json.dumps(retained), request
        assert fields(shown)["parameters_without_effect"] == ["user"]
        want = ASKED if content == "full" else ASKED.replace(CARD, MASKED)
        assert request["messages"] == messages(want), request
        assert (fields(shown)["request_bytes_digest"] is None) == (content == "cleaned")
        assert json.loads(kept(h, clean)["retained"]["request"])["messages"] == messages(
            "What is an overdraft?"
        )
        assert fields(kept(h, clean))["request_bytes_digest"], "nothing was changed in that one"
        assert (kept(h, said)["retained"]["output_ids"] is None) == (content == "cleaned")
        for index in (masked, clean, said):
            equal = h.json("audit", "replay", index, "--model", MODEL, "--unsigned")
            assert equal["equal"] and equal["tokens"] > 0, equal
        # A prompt that was refused is not kept, however long.
        refused = [
            json.loads(x)
            for x in everything
            if json.loads(x or "{}").get("entry", {}).get("outcome") == "error"
        ]
        assert len(refused) == 1 and refused[0]["disclosed"]["retained"]["request"] is None
        r = h.run(
            "audit", "replay", refused[0]["index"], "--model", MODEL, "--unsigned", status=7
        )
        assert b"it was refused before an answer began" in r.stderr, r

# A request that a rule blocks has passed nothing: of it nothing is kept but what the rules found.
BLOCK = """
[[rule]]
id = "never"
phase = ["input", "metadata"]
match = { literals = ["Larkspur vault"], fold = "case" }
action = "block"
tests.hit = ["the Larkspur vault", "Larkspur vault", "LARKSPUR VAULT"]
tests.miss = ["lark", "spur", "vault"]
"""
with Home() as h:
    path = policy(h, "cleaned")
    path.write_text(path.read_text() + BLOCK)
    with Server(h, MODEL, "--policy", path, "--unsigned") as s:
        status, _, answer = s.chat("Open the Larkspur vault!")
        assert answer["choices"][0]["finish_reason"] == "content_filter", answer
    shown = kept(h, answer["hallmark"]["index"])
    assert "Open" not in json.dumps(shown) and shown["retained"]["request"] is None, shown
    assert digests(["Open the Larkspur vault!"])[0] not in json.dumps(shown), shown
    assert fields(shown)["interventions"][0]["rule"] == "never", shown
    r = h.run("audit", "replay", answer["hallmark"]["index"], "--model", MODEL, "--unsigned", status=7)
    assert b"nothing of it has passed the rules" in r.stderr, r
