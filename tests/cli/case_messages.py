#!/usr/bin/env python3
"""POST /v1/messages: a parrot thinks, speaks and calls tools, plain and streamed; answers are cut at
max_tokens, at a stop sequence, by a rule; what went in comes back in a replay; errors have Anthropic's
form."""

import http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server
from spoken import arguments, publish, replays

TOOLS = [
    {
        "name": "fee",
        "description": "What a thing costs",
        "input_schema": {"type": "object", "properties": {"of": {"type": "string"}}},
        "cache_control": {"type": "ephemeral"},
    },
    {"name": "rate", "input_schema": {"type": "object"}},
]


def ask(s, body, path="/v1/messages", status=200):
    c = http.client.HTTPConnection(s.address, timeout=60)
    c.request(
        "POST",
        path,
        json.dumps({"model": "m", "max_tokens": 200, "temperature": 0, **body}),
        {"Content-Type": "application/json", "anthropic-version": "2023-06-01", "anthropic-beta": "x"},
    )
    r = c.getresponse()
    text = r.read().decode()
    assert r.status == status, (r.status, text)
    return text


def say(s, what, **more):
    return json.loads(ask(s, {"messages": [{"role": "user", "content": what}], **more}))


def events(text):
    """[(name, data)]; the name is the data's type."""
    out = []
    for event in text.split("\n\n")[:-1]:
        lines = [l for l in event.split("\n") if not l.startswith(":")]
        if not lines:
            continue
        assert [l.split(":")[0] for l in lines] == ["event", "data"], event
        data = json.loads(lines[1][6:])
        assert lines[0] == "event: " + data["type"], event
        out.append(data)
    return out


def folded(text):
    """The message that a stream is, as clients put it together: blocks by their index."""
    es = events(text)
    assert [es[0]["type"], es[1]["type"], es[-1]["type"]] == ["message_start", "ping", "message_stop"], es
    message, parts, going = es[0]["message"], [], set()
    for e in es[2:-1]:
        if e["type"] == "content_block_start":
            assert e["index"] == len(parts), e
            parts.append(e["content_block"] | {"json": ""})
            going.add(e["index"])
        elif e["type"] == "content_block_delta":
            assert e["index"] in going, e
            d, part = e["delta"], parts[e["index"]]
            key = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
            if d["type"] == "input_json_delta":
                part["json"] += d["partial_json"]
            else:
                part[key[d["type"]]] += d[key[d["type"]]]
        elif e["type"] == "content_block_stop":
            going.remove(e["index"])
        else:
            assert e["type"] == "message_delta" and not going, e
            message |= e["delta"] | {"usage": e["usage"], "hallmark": e["hallmark"], "seed": e["seed"]}
    for part in parts:
        text = part.pop("json")
        if part["type"] == "tool_use":
            part["input"] = arguments(text or "{}")
    return message | {"content": parts}


VARIES = ("id", "hallmark", "seed")


def same(plain, streamed):
    """But for what names the answer."""
    for m in (plain, streamed):
        for part in m["content"]:
            if part["type"] == "thinking":
                assert part.pop("signature") == m["id"]
            if part["type"] == "tool_use":
                assert part.pop("id").startswith("toolu_")
    a, b = ({k: v for k, v in m.items() if k not in VARIES} for m in (plain, streamed))
    # what was computed before is read from the cache
    for m in (a, b):
        u = m["usage"]
        m["usage"] = [u["input_tokens"] + u["cache_read_input_tokens"], u["output_tokens"]]
    assert a == b, (a, b)


def both(s, what, **more):
    plain = say(s, what, **more)
    streamed = folded(ask(s, {"messages": [{"role": "user", "content": what}], "stream": True, **more}))
    counted = {k: v for k, v in more.items() if k in ("tools", "tool_choice", "system", "thinking")}
    asked = [{"role": "user", "content": what}]
    count = json.loads(
        ask(s, {"max_tokens": None, "messages": asked, **counted}, "/v1/messages/count_tokens")
    )
    u = plain["usage"]
    assert count == {"input_tokens": u["input_tokens"] + u["cache_read_input_tokens"]}, (count, u)
    same(plain, streamed)
    return plain


def kinds(message):
    return [part["type"] for part in message["content"]]


def speaks(s):
    m = both(s, "think")
    assert m["type"] == "message" and m["role"] == "assistant" and m["model"] == "m", m
    assert m["id"].startswith("msg_") and s.get(f"/v1/receipts/{m['id']}")[0] == 200
    assert kinds(m) == ["thinking", "text"], m
    assert m["content"][0]["thinking"] == "Who asks wants a fee.", m
    assert m["content"][1]["text"] == "A fee of 4 pounds is due.", m
    assert (m["stop_reason"], m["stop_sequence"], m["stop_details"]) == ("end_turn", None, None), m
    assert m["usage"]["output_tokens_details"]["thinking_tokens"] > 0, m
    assert m["hallmark"]["record"] and m["hallmark"]["receipt"], m
    hidden = both(s, "think", thinking={"type": "adaptive", "display": "omitted"})
    assert kinds(hidden) == ["text"], hidden
    parts = [{"type": "text", "text": "th", "cache_control": {"type": "ephemeral"}}]
    joined = {"messages": [{"role": "user", "content": parts}], "metadata": {"user_id": "u"}}
    joined = json.loads(ask(s, joined))
    assert joined["hallmark"]["without_effect"] == ["metadata", "messages.content.cache_control"], joined


def calls(s):
    m = both(s, "call", tools=TOOLS)
    assert kinds(m) == ["thinking", "text", "tool_use", "tool_use"] and m["stop_reason"] == "tool_use", m
    assert [(p["name"], p["input"]) for p in m["content"][2:]] == [
        ("fee", {"of": "card", "n": 2}),
        ("rate", {}),
    ], m
    one = both(s, "call", tools=TOOLS, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert kinds(one) == ["thinking", "text", "tool_use"] and one["stop_reason"] == "tool_use", one
    assert "tool_use" not in kinds(both(s, "call", tools=TOOLS, tool_choice={"type": "none"}))
    must = both(s, "think", tools=TOOLS[:1], tool_choice={"type": "tool", "name": "fee"}, max_tokens=400)
    assert "tool_use" in kinds(must) or must["stop_reason"] == "max_tokens", must
    # What it said, and what the calls gave, goes back in.
    m = say(s, "call", tools=TOOLS)
    uses = [p for p in m["content"] if p["type"] == "tool_use"]
    back = [
        {"role": "user", "content": "call"},
        {"role": "assistant", "content": m["content"]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": uses[0]["id"], "content": "4 pounds"},
                {
                    "type": "tool_result",
                    "tool_use_id": uses[1]["id"],
                    "is_error": True,
                    "content": [{"type": "text", "text": "no rate"}],
                },
                {"type": "text", "text": "think"},
            ],
        },
    ]
    again = json.loads(ask(s, {"messages": back, "tools": TOOLS}))
    assert again["content"][-1]["text"] == "A fee of 4 pounds is due.", again
    assert "messages.content.is_error" in again["hallmark"]["without_effect"], again
    cut = both(s, "call", tools=TOOLS, max_tokens=24)
    assert cut["stop_reason"] == "max_tokens" and cut["usage"]["output_tokens"] == 24, cut


def ends(s):
    m = both(s, "stop", stop_sequences=["five", "STOP"])
    assert (m["stop_reason"], m["stop_sequence"]) == ("stop_sequence", "STOP"), m
    assert m["content"][0]["text"] == "one two three ", m
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    m = both(s, "think", output_config={"format": {"type": "json_schema", "schema": schema}})
    text = m["content"][-1]["text"]
    assert m["stop_reason"] == "max_tokens" or isinstance(json.loads(text)["a"], bool), m


def refuses(s):
    def error(status, says, kind="invalid_request_error", **body):
        e = json.loads(ask(s, {"messages": [{"role": "user", "content": "think"}], **body}, status=status))
        assert e["type"] == "error" and e["error"]["type"] == kind and "request_id" in e, e
        assert says in e["error"]["message"], e

    error(400, "max_tokens", max_tokens=None)
    error(400, "from 0 to 1", temperature=1.5)
    error(400, "web_search_20250305", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    error(400, "bash_20250124", tools=[{"type": "bash_20250124", "name": "bash"}])
    error(400, "mcp_servers", mcp_servers=[{"type": "url", "url": "https://x", "name": "x"}])
    error(400, "container", container="c")
    error(400, '"image"', messages=[{"role": "user", "content": [{"type": "image", "source": {}}]}])
    error(400, '"document"', messages=[{"role": "user", "content": [{"type": "document"}]}])
    begun = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    error(400, '"assistant"', messages=begun)
    error(404, 'no model "other"', "not_found_error", model="other")
    e = json.loads(ask(s, {"messages": []}, "/v1/messages/count_tokens", status=400))
    assert e["error"]["type"] == "invalid_request_error", e


def filters(s):
    m = both(s, "mask")
    assert kinds(m) == ["thinking", "text"] and m["stop_reason"] == "end_turn", m
    assert "4111 1111" not in json.dumps(m) and "1111" in m["content"][1]["text"], m
    assert m["content"][0]["thinking"].endswith(" so") and m["content"][1]["text"].endswith(" now"), m
    m = both(s, "bomb")
    assert m["stop_reason"] == "refusal" and m["content"][0]["text"] == "This is how a ", m
    assert m["stop_details"]["explanation"] == m["hallmark"]["message"], m
    assert m["hallmark"]["rules"] == ["no-bombs"], m
    m = both(s, "kaboom")
    assert m["stop_reason"] == "refusal" and m["content"] == [] and m["usage"]["input_tokens"] == 0, m
    assert m["hallmark"]["rules"] == ["no-bombs"], m
    m = both(s, "stop", stop_sequences=["five", "STOP"])
    assert (m["stop_reason"], m["stop_sequence"]) == ("stop_sequence", "STOP"), m


with Home() as h:
    model = publish(h)
    with Server(h, model, "--unsigned") as s:
        speaks(s)
        calls(s)
        ends(s)
        refuses(s)
        assert s.stop() == 0
    with Server(h, model, "--unsigned", "--policy", h.dir / "rules.toml") as s:
        filters(s)
        calls(s)
        assert s.stop() == 0
    n = replays(h)
print("messages, plain and streamed; replays:", n)
