#!/usr/bin/env python3
"""POST /v1/responses: a parrot thinks, speaks and calls tools, plain and streamed; answers are cut at
max_output_tokens and by a rule; what went in comes back in a replay; what would have to be stored is refused
by name."""

import http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server
from spoken import publish, replays

TOOLS = [
    {
        "type": "function",
        "name": "fee",
        "description": "What a thing costs",
        "parameters": {"type": "object", "properties": {"of": {"type": "string"}}},
        "strict": False,
    },
    {"type": "function", "name": "rate", "parameters": {"type": "object"}, "strict": None},
]
ECHOED = """background completed_at created_at error frequency_penalty id incomplete_details instructions
max_output_tokens max_tool_calls metadata model object output parallel_tool_calls presence_penalty
previous_response_id prompt_cache_key reasoning safety_identifier service_tier status store temperature text
tool_choice tools top_logprobs top_p truncation usage user""".split()


def ask(s, body, status=200):
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = json.dumps({"model": "m", "temperature": 0, **body})
    c.request("POST", "/v1/responses", body, {"Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read().decode()
    assert r.status == status, (r.status, text)
    return text


def events(text):
    """All but [DONE]; each has its type as its name, and its number."""
    out = []
    *rest, done, end = text.split("\n\n")
    assert (done, end) == ("data: [DONE]", ""), text[-200:]
    for event in rest:
        name, data = [l for l in event.split("\n") if not l.startswith(":")]
        data = json.loads(data[6:])
        assert name == "event: " + data["type"] and data["sequence_number"] == len(out), event
        out.append(data)
    return out


def folded(text):
    """The response that ends a stream; what came before says the same."""
    first, second, *es, last = events(text)
    assert [first["type"], second["type"]] == ["response.created", "response.in_progress"], es
    assert first["response"]["status"] == "in_progress" and first["response"]["output"] == [], first
    assert sorted(first["response"]) == ECHOED, set(first["response"]) ^ set(ECHOED)
    items, texts, open_items = [], [], {}
    for e in es:
        kind = e["type"].removeprefix("response.")
        i = e["output_index"]
        if kind == "output_item.added":
            assert i == len(items) and e["item"]["status"] == "in_progress", e
            items.append(e["item"])
            texts.append("")
            open_items[i] = e["item"]["id"]
            continue
        assert i in open_items and e.get("item_id", open_items[i]) == open_items[i], e
        if kind.endswith(".delta"):
            texts[i] += e["delta"]
        elif kind == "function_call_arguments.done":
            assert e["arguments"] == texts[i], e
        elif kind in ("output_text.done", "reasoning_text.done"):
            assert e["text"] == texts[i] and e["content_index"] == 0, e
        elif kind == "content_part.done":
            assert e["part"]["text"] == texts[i], e
        elif kind == "output_item.done":
            assert e["item"]["id"] == open_items.pop(i), e
            items[i] = e["item"]
        else:
            assert kind == "content_part.added" and e["part"]["text"] == "", e
    assert not open_items, open_items
    whole = last["response"]
    assert last["type"] == "response." + whole["status"] and whole["output"] == items, last
    return whole


def unnamed(r):
    """But for what names the answer, or says when it came."""
    out = json.loads(json.dumps(r))
    for key in ("id", "created_at", "completed_at", "hallmark", "seed"):
        out.pop(key)
    out["usage"].pop("input_tokens_details")
    for item in out["output"]:
        assert r["id"].removeprefix("resp_") in item.pop("id"), r
        if item["type"] == "function_call":
            assert item.pop("call_id").startswith("call_"), item
    return out


def both(s, what, **more):
    body = {"input": what, **more}
    plain = json.loads(ask(s, body))
    streamed = folded(ask(s, {"stream": True, **body}))
    assert unnamed(plain) == unnamed(streamed), (plain, streamed)
    assert sorted(plain) == sorted(ECHOED + ["hallmark", "seed"]), set(plain) ^ set(ECHOED)
    return plain


def kinds(r):
    return [item["type"] for item in r["output"]]


def texts(r):
    return [part["text"] for item in r["output"] for part in item.get("content", [])]


def speaks(s):
    r = both(s, "think", metadata={"a": "b"}, user="u", instructions="Be brief.")
    assert r["id"].startswith("resp_") and s.get(f"/v1/receipts/{r['id']}")[0] == 200
    assert kinds(r) == ["reasoning", "message"] and r["status"] == "completed", r
    assert texts(r) == ["Who asks wants a fee.", "A fee of 4 pounds is due."], r
    assert r["output"][1]["content"][0]["annotations"] == [] and r["output"][0]["summary"] == [], r
    assert r["store"] is False and r["metadata"] == {"a": "b"} and r["user"] == "u", r
    assert r["instructions"] == "Be brief." and r["text"]["format"] == {"type": "text"}, r
    assert r["usage"]["output_tokens_details"]["reasoning_tokens"] > 0, r["usage"]
    assert r["usage"]["total_tokens"] == r["usage"]["input_tokens"] + r["usage"]["output_tokens"], r
    assert r["completed_at"] >= r["created_at"] and r["hallmark"]["without_effect"] == ["user"], r
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "think"}]}]
    assert texts(both(s, parts, store=False, reasoning={"effort": "low", "summary": "auto"})) == texts(r)
    logprobs = both(s, "think", include=["message.output_text.logprobs"], top_logprobs=2)
    part = logprobs["output"][1]["content"][0]
    assert "".join(t["token"] for t in part["logprobs"]) == part["text"], part
    assert all(len(t["top_logprobs"]) == 2 for t in part["logprobs"]), part


def calls(s):
    r = both(s, "call", tools=TOOLS)
    assert kinds(r) == ["reasoning", "message", "function_call", "function_call"], r
    got = [(i["name"], json.loads(i["arguments"]), i["status"]) for i in r["output"][2:]]
    assert got == [("fee", {"of": "card", "n": 2}, "completed"), ("rate", {}, "completed")], r
    assert [t["strict"] for t in r["tools"]] == [False, False] and r["tool_choice"] == "auto", r
    one = both(s, "call", tools=TOOLS, parallel_tool_calls=False)
    assert kinds(one)[2:] == ["function_call"] and one["parallel_tool_calls"] is False, one
    must = both(
        s, "think", tools=TOOLS, tool_choice={"type": "function", "name": "rate"}, max_output_tokens=400
    )
    assert must["tool_choice"] == {"type": "function", "name": "rate"}, must
    # What it said, and what the calls gave, goes back in.
    results = [
        {"type": "function_call_output", "call_id": i["call_id"], "output": "4"}
        for i in r["output"]
        if i["type"] == "function_call"
    ]
    back = [
        {"role": "user", "content": "call"},
        *r["output"],
        *results,
        {"role": "user", "content": "think"},
    ]
    assert texts(both(s, back, tools=TOOLS))[-1] == "A fee of 4 pounds is due."


def ends(s):
    r = both(s, "call", tools=TOOLS, max_output_tokens=24)
    assert r["status"] == "incomplete" and r["incomplete_details"] == {"reason": "max_output_tokens"}, r
    assert r["output"][-1]["status"] == "incomplete" and r["output"][0]["status"] == "completed", r
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    form = {"type": "json_schema", "name": "a", "schema": schema, "strict": True}
    r = both(s, "think", text={"format": form}, max_output_tokens=400)
    assert r["text"]["format"] == form, r
    assert r["status"] == "incomplete" or isinstance(json.loads(texts(r)[-1])["a"], bool), r


def refuses(s):
    def error(says, param, status=400, **body):
        e = json.loads(ask(s, {"input": "think", **body}, status=status))["error"]
        assert says in e["message"] and e["param"] == param, e

    error("store", "store", store=True)
    error("previous_response_id", "previous_response_id", previous_response_id="resp_1")
    error("conversation", "conversation", conversation="c")
    error("background", "background", background=True)
    error("truncation auto", "truncation", truncation="auto")
    error('"web_search"', "tools[0].type", tools=[{"type": "web_search"}])
    error('"item_reference"', "input[0]", input=[{"type": "item_reference", "id": "x"}])
    error('"input_image"', "input[0]", input=[{"role": "user", "content": [{"type": "input_image"}]}])
    error("missing", "input", input=None)
    error('no model "other"', "model", 404, model="other")


def filters(s):
    r = both(s, "mask")
    assert kinds(r) == ["reasoning", "message"] and r["status"] == "completed", r
    assert "4111 1111" not in json.dumps(r) and texts(r)[1].endswith(" now"), r
    r = both(s, "bomb")
    assert r["incomplete_details"] == {"reason": "content_filter"}, r
    assert texts(r) == ["This is how a "] and r["output"][0]["status"] == "incomplete", r
    assert r["hallmark"]["rules"] == ["no-bombs"] and r["hallmark"]["message"], r["hallmark"]
    r = both(s, "kaboom")
    assert r["status"] == "incomplete" and r["output"] == [] and r["hallmark"]["rules"] == ["no-bombs"], r


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
print("responses, plain and streamed; replays:", n)
