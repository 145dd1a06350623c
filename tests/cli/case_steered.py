#!/usr/bin/env python3
"""What a client can steer carries no value past the rules, whole or but for symbols that a check
supplies: stop strings, limits of tokens, several choices, forms, lists, alternatives, demanded calls."""

import json, os, re, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server
from parrot import parrot

POLICY = (
    '[policy]\nname = "steered"\nversion = 1\nmode = "enforce"\n'
    'extends = ["packs/pii-eu", "packs/pii-all", "packs/secrets"]\n'
)
CARD, ACCOUNT = "4539148803436467", "DE89370400440532013000"
MAIL, KEY = "elena.murphy@fernbank.example", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
SEPARATORS = ("_", "~", ".", " ", "  ", "\n", ",", ", ", ";", "|", "*", "/", "·", "—", "(", "=", "\\")
ANY = {"guided_regex": r"(.|\n)*"}
TOOL = {
    "type": "function",
    "function": {
        "name": "pay",
        "parameters": {"type": "object", "properties": {"card": {"type": "string", "maxLength": 15}}},
    },
}


def groups(n, between):
    return between.join(CARD[i : i + n] for i in range(0, len(CARD), n))


def schema(**inner):
    return {"guided_json": {"type": "object", "properties": {"n": inner}, "required": ["n"]}}


DIGITS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}}
SHAPED = {
    "between": (f"9{CARD}9", {"guided_regex": r"9\d{16}9"}),
    "padded": (f"say 00{CARD}00 now", ANY),
    "long": (f"12345{CARD}12345", {"guided_regex": r"\d+"}),
    "wrong": (f"say {CARD[:-1]}1 now", {"guided_regex": r"say \d{15}1 now"}),
    "short": (f"say {CARD[:-1]} now", {"guided_regex": r"say \d{15} now"}),
    "glued": (f"say {CARD[:-1]}x now", {"guided_regex": r"say \d{15}x now"}),
    "end": (f"say {CARD[:-1]}", {"guided_regex": r"say \d{15}"}),
    "account": (f"to {ACCOUNT[:-1]}", {"guided_regex": r"to [A-Z]{2}\d{19}"}),
    "grammar": (f"<{groups(1, '|')}>", {"guided_grammar": 'root ::= "<" [0-9] ("|" [0-9])* ">"'}),
    "limit": (json.dumps({"n": CARD[:15]}), schema(type="string", maxLength=15)),
    "list": (json.dumps({"n": [int(c) for c in CARD]}), schema(**DIGITS)),
    "letters": (json.dumps({"n": list(CARD)}), schema(type="array", items={"type": "string"})),
    "number": (json.dumps({"n": int(CARD)}), schema(type="integer", minimum=10**15, maximum=10**16)),
    "escaped": ('{"n": "' + "".join(f"\\u{ord(c):04x}" for c in CARD) + '"}', schema(type="string")),
    "object": ('{"n":"' + "\\n" + CARD + '"}', {"response_format": {"type": "json_object"}}),
    "biased": (f"say {CARD[:-1]}1 now", {"logit_bias": {"0": -100}}),
    "banned": (f"say {groups(1, ';')} now", {"bad_words": ["zzz"]}),
}
SHAPED |= {
    f"group{n}-{i}": (f"say {groups(n, s)} now", ANY)
    for i, s in enumerate(SEPARATORS)
    for n in (1, 2, 4)
}
OBJECT = {"response_format": {"type": "json_object"}}
TEXT = schema(type="string", pattern=".*")
SHAPED |= {
    f"string{n}-{i}": (json.dumps({"n": groups(n, s)}, ensure_ascii=False), TEXT if i % 2 else OBJECT)
    for i, s in enumerate(("@", "^", " | ", "--", "\n", "\u20ac"))
    for n in (2, 4, 8)
}
FOUR = {"type": "array", "items": {"type": "string", "pattern": "[0-9]{4}"}}
SHAPED |= {
    "groups": (json.dumps({"n": [CARD[i : i + 4] for i in range(0, 16, 4)]}), schema(**FOUR)),
    "inside": (json.dumps({"n": f"9{CARD}9"}), schema(type="string", pattern="9[0-9]{16}9")),
}
PLAIN = {
    "card": f"The card is {CARD}.",
    "four": f"The card is {groups(4, ' ')}.",
    "account-plain": f"Pay to {ACCOUNT}.",
    "mail": f"Write to {MAIL} today.",
    "key": f"The token is {KEY} here.",
}
VALUE = {"card": CARD, "four": CARD, "account-plain": ACCOUNT, "mail": MAIL, "key": KEY}
CALL = '<tool_call>\n{"name": "pay", "arguments": {"card": "%s"}}\n</tool_call>'


def compact(text):
    return re.sub(r"[\W_]", "", text)


def check_hidden(what, text, value=CARD):
    """Neither the value nor all of it but one symbol stands in the text, however it is grouped."""
    seen, value = compact(text), compact(value)
    assert value[:-1] not in seen and value[1:] not in seen, f"{what}: {text!r}"


def say(s, name, **more):
    status, _, said = s.chat(name, **{"max_tokens": 200, **more})
    assert status == 200, (name, said)
    streamed, _ = s.stream(name, **{"max_tokens": 200, **more})
    texts = [c["message"]["content"] or "" for c in said["choices"]]
    assert streamed == texts[0] or len(texts) > 1, (name, streamed, texts)
    return texts[0], said["choices"]


def check_forms(s):
    for name, (text, more) in SHAPED.items():
        out, choices = say(s, name, **more)
        assert choices[0]["finish_reason"] == "stop", (name, choices)
        check_hidden(name, out, ACCOUNT if name == "account" else CARD[:15])
        if text.startswith("{"):
            json.loads(out)


def check_stops(s):
    """A guess at what is withheld stops nothing; the end of it shows no more than the whole does."""
    for name, value in VALUE.items():
        whole, _ = say(s, name)
        check_hidden(name, whole, value)
        guesses = [value[:n] for n in range(7, len(value) + 1)] + [value[6:9], value[-5:] + "."]
        for stop in ([g] for g in (guesses if name != "four" else ["4539 1488", "0343"])):
            assert say(s, name, stop=stop)[0] == whole, (name, stop)
        for stop in (["."], [value[-1] + "."], [" "]):
            out = say(s, name, stop=stop)[0]
            assert whole.startswith(out), (name, stop, out)
            check_hidden(f"{name} {stop}", out, value)


def check_limits(s):
    """What answers of every length show together, with the whole: not the value."""
    for name, value in VALUE.items():
        value, whole, front = compact(value), compact(say(s, name)[0]), 0
        for n in range(1, 30):
            out = compact(say(s, name, max_tokens=n)[0])
            front = max(k for k in range(len(value) + 1) if k <= front or value[:k] in out)
        back = max(k for k in range(9) if value[len(value) - k :] in whole)
        assert len(value) - front - back >= 4, (name, front, back)


def check_choices(s):
    """Each choice, and each seed, shows the same places."""
    shown = set()
    for seed in range(4):
        _, choices = say(s, "card", n=3, seed=seed)
        shown |= {c["message"]["content"] for c in choices}
    assert len(shown) == 1, shown


def check_alternatives(s):
    """Alternatives to one token in the reach of a match: no two of them can be put together."""
    _, choices = say(s, "chain", logprobs=True, top_logprobs=3)
    tokens = choices[0]["logprobs"]["content"]
    assert "".join(t["token"] for t in tokens) == choices[0]["message"]["content"], tokens
    other = [[a["token"] for a in t["top_logprobs"] if a["token"] != t["token"]] for t in tokens]
    assert other[0], "the first token's alternatives are what classifiers read"
    assert not any(any(re.search(r"\d", a) for a in o) for o in other[1:]), other
    hidden, _ = say(s, "card", logprobs=True)
    tokens = say(s, "card", logprobs=True, top_logprobs=5)[1][0]["logprobs"]["content"]
    check_hidden("tokens", "".join(a["token"] for t in tokens for a in (t, *t["top_logprobs"])))


def check_calls(s):
    for more in ({"tool_choice": "required"}, {"tool_choice": "auto"}):
        _, choices = say(s, "call", tools=[TOOL], **more)
        (call,) = choices[0]["message"]["tool_calls"]
        value = json.loads(call["function"]["arguments"])
        if more["tool_choice"] == "required":  # it follows the tool's schema, which cuts at fifteen
            check_hidden("call", json.dumps(value), CARD[:15])


with Home() as h:
    policy = h.dir / "policy.toml"
    policy.write_text(POLICY)
    texts = {name: (text, 3) for name, (text, _) in SHAPED.items()}
    texts |= {name: (text, 3) for name, text in PLAIN.items()}
    texts |= {"chain": "So it goes on and on.", "call": (CALL % CARD[:15], 7)}
    digits = [CARD[i : i + 2] for i in range(0, 16, 2)]
    model = parrot(h.dir / "parrot", texts, beside={"chain": digits})
    with Server(h, model, "--unsigned", "--policy", policy) as s:
        for check in (check_forms, check_stops, check_limits, check_choices, check_alternatives, check_calls):
            check(s)
        assert s.stop() == 0
    assert h.json("audit", "verify")["ok"]
print(f"{len(SHAPED)} forms, stops, limits, choices, alternatives and calls: no value went out")
