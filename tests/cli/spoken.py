"""A parrot that thinks, speaks, calls tools and says what rules withhold, for the cases of single shapes."""

import json

from parrot import parrot

THINK, CALL = ("<think>", "</think>"), ("<tool_call>", "</tool_call>")
SAYS = {
    "think": "<think>Who asks wants a fee.</think>A fee of 4 pounds is due.",
    "call": "<think>Look it up.</think>I look.<tool_call>\n"
    '{"name": "fee", "arguments": {"of": "card", "n": 2}}\n</tool_call>\n<tool_call>\n'
    '{"name": "rate", "arguments": {}}\n</tool_call>',
    "card": "Your card is 4111 1111 1111 1111, is it not?",
    "stop": "one two three STOP four",
    "mask": "<think>The card is 4111 1111 1111 1111 so</think>It is 4111 1111 1111 1111 now",
    "bomb": "This is how a kaboom is made.",
}
RULES = """
[policy]
name = "messages"
version = 1
mode = "enforce"

[[rule]]
id = "cards"
severity = "high"
phase = ["input", "tool_results", "output"]
match = { detector = "pan" }
action = "mask"
tests.hit = ["4111 1111 1111 1111", "card 4012-8888-8888-1881", "5555 5532 2453 8328,"]
tests.miss = ["4111 1111 1111 1112", "a card", "order 1234567890123"]

[[rule]]
id = "no-bombs"
severity = "high"
phase = ["input", "output"]
match = { literals = ["kaboom"], fold = "case" }
action = "block"
tests.hit = ["kaboom", "a Kaboom", "kaboom!"]
tests.miss = ["kabo", "boom", "a bomb"]
"""


def publish(h):
    """The folder of that parrot, signed and registered: a replay finds it."""
    model = h.dir / "parrot"
    parrot(model, SAYS, marks=dict.fromkeys(THINK + CALL, False))
    h.publish(model)
    (h.dir / "rules.toml").write_text(RULES)
    return model


def arguments(text):
    """Of a call; what was cut off is no object."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"INVALID_JSON": text}


def replays(h):
    """Of all that was recorded but requests that a rule blocked: nothing of those is kept."""
    n = 0
    for e in h.json("audit", "list", "--count", 1000)["entries"]:
        if e["entry"]["type"] != "decision":
            continue
        r = h.run("audit", "replay", e["index"], "--unsigned", "--json", status=None)
        if b"nothing of it has passed the rules" in r.stderr:
            continue
        assert r.returncode == 0 and json.loads(r.stdout)["equal"], (e, r.stdout, r.stderr)
        n += 1
    return n
