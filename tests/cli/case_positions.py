#!/usr/bin/env python3
"""No text of a request reaches the model past the rules, in any shape: a card number is put in place of
each string and of each key of a request that has all there is. It is refused, or a rule of what comes in
blocks it, or the model does not see that place: the prompt has as many tokens whatever stands there."""

import copy, http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server
from parrot import parrot

CARD = "4111 1111 1111 1111"
SHORT, LONG = "x", "wherever this stands, many tokens stand " * 3
RULES = """
[policy]
name = "positions"
version = 1
mode = "enforce"

[[rule]]
id = "cards"
severity = "high"
phase = ["input", "tool_results", "metadata"]
match = { detector = "pan" }
action = "block"
tests.hit = ["4111 1111 1111 1111", "card 4012-8888-8888-1881", "5555 5532 2453 8328,"]
tests.miss = ["4111 1111 1111 1112", "a card", "order 1234567890123"]
"""
# All of a message, of a tool, and what a client may set.
TEMPLATE = (
    "{{ tools | tojson }}{{ messages | tojson }}{{ note }}{{ more | tojson }}{{ reasoning_effort }}"
    "{%- for m in messages %}{{ m.content }}{{ m.reasoning_content }}{%- endfor %}{#- <tool_call> <think> #}"
)
SCHEMA = {
    "type": "object",
    "description": "what it is",
    "properties": {"of": {"type": "string", "description": "of what", "enum": ["card"], "default": "card"}},
}
KWARGS = {"note": "a note", "more": {"a": ["b", {"c": "d"}]}, "unread": "e"}
CALL = {"of": "card", "list": ["a", {"b": "c"}]}
FUNCTION = {"name": "fee", "description": "what it costs", "parameters": SCHEMA}
CHAT = {
    "messages": [
        {"role": "system", "content": "be brief", "name": "sys"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {
            "role": "user",
            "name": "ann",
            "content": [{"type": "text", "text": "hi", "cache_control": {"type": "x"}}],
        },
        {
            "role": "assistant",
            "content": "so",
            "refusal": "no",
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}],
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "fee", "arguments": json.dumps(CALL)},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "name": "fee", "content": "four"},
        {"role": "user", "content": "and now?"},
    ],
    "tools": [{"type": "function", "function": FUNCTION, "extra": "y"}],
    "tool_choice": "auto",
    "chat_template_kwargs": KWARGS,
    "stop": ["zzz"],
    "user": "u",
    "metadata": {"a": "b"},
    "unknown": {"a": "b"},
}
MESSAGES = {
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi", "citations": [{"cited_text": "c"}]}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "redacted_thinking", "data": "dd"},
                {"type": "text", "text": "so"},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "fee",
                    "input": CALL,
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "toolu_2", "name": "fee", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "four", "toolset_name": "t"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "5"}],
                },
                {"type": "text", "text": "and now?"},
            ],
        },
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "go on"},
    ],
    "tools": [
        {
            "name": "fee",
            "description": "what it costs",
            "input_schema": SCHEMA,
            "input_examples": [{"of": "card"}],
            "cache_control": {"type": "ephemeral"},
        }
    ],
    "tool_choice": {"type": "auto"},
    "stop_sequences": ["zzz"],
    "metadata": {"user_id": "u"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low"},
    "chat_template_kwargs": KWARGS,
    "unknown": {"a": "b"},
}
RESPONSES = {
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "developer", "content": "be kind"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "short"}],
            "content": [{"type": "reasoning_text", "text": "hm"}],
            "encrypted_content": "ee",
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "so", "annotations": [{"title": "t"}]}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "c1",
            "name": "fee",
            "arguments": json.dumps(CALL),
        },
        {"type": "function_call", "call_id": "c2", "name": "fee", "arguments": "{"},
        {"type": "function_call_output", "call_id": "c1", "output": "four"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "5"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "long"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "user", "content": "and now?"},
    ],
    "tools": [{"type": "function", **FUNCTION, "extra": "y"}],
    "tool_choice": "auto",
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "user": "u",
    "prompt_cache_key": "k",
    "chat_template_kwargs": KWARGS,
    "unknown": {"a": "b"},
}
COMPLETION = {
    "prompt": "once upon",
    "stop": ["zzz"],
    "user": "u",
    "metadata": {"a": "b"},
    "unknown": {"a": "b"},
}
SHAPES = {
    "/v1/chat/completions": (CHAT, "max_tokens"),
    "/v1/messages": (MESSAGES, "max_tokens"),
    "/v1/responses": (RESPONSES, "max_output_tokens"),
    "/v1/completions": (COMPLETION, "max_tokens"),
}


def places(node, path=()):
    """(path, whether it is a key's) of each string; a text of JSON is one more document."""
    if isinstance(node, str):
        yield path, False
    for key, value in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        if isinstance(key, str):
            yield path + (key,), True
        yield from places(value, path + (key,))


def changed(body, path, is_key, text):
    body = copy.deepcopy(body)
    node = body
    for key in path[:-1]:
        node = node[key]
    if is_key:
        node[text] = node.pop(path[-1])
    else:
        node[path[-1]] = text
    return body


def ask(s, path, body, most):
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = json.dumps({"model": "m", most: 1, "temperature": 0, **body})
    c.request("POST", path, body, {"Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())


def is_blocked(answer):
    words = [c.get("finish_reason") for c in answer.get("choices", [])]
    words += [answer.get("stop_reason"), (answer.get("incomplete_details") or {}).get("reason")]
    return "content_filter" in words or "refusal" in words


def prompt_tokens(answer):
    u = answer["usage"]
    return u.get("prompt_tokens", u.get("input_tokens", 0) + u.get("cache_read_input_tokens", 0))


def try_shape(s, path, body, most):
    status, answer = ask(s, path, body, most)
    assert status == 200 and not is_blocked(answer), (path, status, answer)
    outcomes = {"refused": 0, "blocked": 0, "unseen": 0}
    for place, is_key in list(places(body)):
        status, answer = ask(s, path, changed(body, place, is_key, CARD), most)
        if status == 400:
            outcomes["refused"] += 1
        elif is_blocked(answer):
            assert status == 200 and answer["hallmark"]["rules"] == ["cards"], (path, place, answer)
            outcomes["blocked"] += 1
        else:
            assert status == 200, (path, place, status, answer)
            seen = [ask(s, path, changed(body, place, is_key, text), most) for text in (SHORT, LONG)]
            assert [x[0] for x in seen] == [200, 200], (path, place, seen)
            a, b = (prompt_tokens(x[1]) for x in seen)
            assert a == b, (path, place, is_key, "the model sees what no rule has read", a, b)
            outcomes["unseen"] += 1
    return outcomes


with Home() as h:
    model = h.dir / "parrot"
    parrot(model, {"": "Well."}, template=TEMPLATE)
    (h.dir / "rules.toml").write_text(RULES)
    with Server(h, model, "--unsigned", "--policy", h.dir / "rules.toml") as s:
        found = {path: try_shape(s, path, body, most) for path, (body, most) in SHAPES.items()}
        assert s.stop() == 0
assert all(o["blocked"] > 10 for path, o in found.items() if path != "/v1/completions"), found
assert found["/v1/completions"]["blocked"] == 1, found
print("a card number in", sum(sum(o.values()) for o in found.values()), "places:", found)
