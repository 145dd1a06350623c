#!/usr/bin/env python3
"""Requests as clients send them, against a running server: what the table of tests/api refuses is refused
with its status, param and code; tokens that stop, usage with every chunk, calls in the older form, variables
of the template and hidden reasoning do as they say; the stock client reads the errors as its own; a model's
files decide what a request leaves out; each answer replays."""

# peer: openai

import http.client, json, pathlib, sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import Home, Server
from parrot import parrot

ROWS = pathlib.Path(__file__).parents[1] / "api/requests.jsonl"
TEMPLATE = (
    "{%- for t in tools or [] %}{{ t | tojson }}{%- endfor %}{{ mood }}{{ parts | default('') | tojson }}"
    "{%- for m in messages %}{{ m.content }}{%- endfor %}"
    "{%- if enable_thinking is defined %}{{ '<|say %s|>' % ('on' if enable_thinking else 'off') }}"
    "{%- endif %}{#- <tool_call> <think> #}"
)
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
TEXTS = {
    "hi": "one two three four five six",
    "call": CALL,
    "thought": "<think>\nhm hm, what may this be but\n</think>\n\nso be it",
    "on": "it thinks now",
    "off": "it only talks",
}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}


def deep(levels):
    schema = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


class Asker:
    def __init__(self, address):
        self.c = http.client.HTTPConnection(address, timeout=60)

    def send(self, body):
        self.c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        r = self.c.getresponse()
        return r.status, r.read()

    def error(self, body, status=400):
        got, text = self.send(body if isinstance(body, str) else json.dumps({"model": "m", **body}))
        assert got == status, (got, text)
        return json.loads(text)["error"]

    def chat(self, say, **more):
        body = {"model": "m", "messages": [{"role": "user", "content": say}], **more}
        status, text = self.send(json.dumps(body))
        assert status == 200, (status, text)
        return json.loads(text)

    def chunks(self, say, **more):
        body = {"model": "m", "messages": [{"role": "user", "content": say}], "stream": True, **more}
        status, text = self.send(json.dumps(body))
        assert status == 200, (status, text)
        lines = [line[6:] for line in text.decode().split("\n\n") if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]


def check_rows(ask):
    refused = 0
    for line in ROWS.read_text().splitlines():
        row = json.loads(line)
        if row["status"] != 400:
            continue
        error = ask.error(row["body"])
        assert row.get("says", "") in error["message"], (row["name"], error)
        for key in ("param", "code"):
            assert key not in row or row[key] == error[key], (row["name"], error)
        assert error["type"] == "invalid_request_error", (row["name"], error)
        refused += 1
    assert refused > 200, refused
    return refused


def check_taken(ask):
    """What clients send beside the usual, and what it must not change."""
    said = TEXTS["hi"]
    for more in (
        {"audio": None},
        {"seed": -1},
        {"seed": -(2**63)},
        {"top_p": 0, "temperature": 2},
        {"temperature": None, "tools": None, "stop": None, "response_format": None, "stream_options": None},
        {"stop": ""},
        {"stop": []},
        {"logit_bias": {}},
        {"best_of": 1},
        {"max_tokens": 50, "max_completion_tokens": 60},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": deep(15)}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": deep(100)}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"maximum": 2**64 - 1}}}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}]}]},
    ):
        answer = ask.chat("hi", **more)
        assert answer["choices"][0]["message"]["content"] == said, (more, answer)
    proof = ask.chat("hi", max_token=3, frobnicate={"a": 1}, seed=1)["hallmark"]
    assert proof["without_effect"] == ["max_token", "frobnicate"], proof
    assert "without_effect" not in ask.chat("hi", seed=1)["hallmark"]
    schema = {"type": "integer", "minimum": 1, "maximum": 1, "x-note": 1}
    proof = ask.chat("off", guided_json=schema, seed=1, frobnicate=1)["hallmark"]
    assert [w.split()[0] for w in proof["without_effect"]] == ["frobnicate", "x-note"], proof


def check_stops(ask, vocab, end):
    answer = ask.chat("hi", max_tokens=1, logprobs=True)
    first = answer["choices"][0]["message"]["content"]
    ids = {"".join(t): i for t, i in vocab.items()}
    pieces = [t["token"] for t in ask.chat("hi", logprobs=True)["choices"][0]["logprobs"]["content"]]
    third = ids[pieces[2].replace(" ", "\u0120")]
    stopped = ask.chat("hi", stop_token_ids=[third])["choices"][0]
    assert stopped["message"]["content"] == "".join(pieces[:2]) and stopped["finish_reason"] == "stop"
    assert first == pieces[0]
    # before min_tokens it is not drawn, so that the text goes another way; with ignore_eos it still counts
    later = ask.chat("hi", stop_token_ids=[third], min_tokens=5, max_tokens=6)["usage"]
    assert later["completion_tokens"] >= 5, later
    kept = ask.chat("hi", stop_token_ids=[third], ignore_eos=True, max_tokens=20)
    assert kept["choices"][0]["message"]["content"] == "".join(pieces[:2])
    error = ask.error({"messages": [{"role": "user", "content": "hi"}], "stop_token_ids": [10**6]})
    assert error["code"] == "invalid_value" and error["param"] == "stop_token_ids", error
    assert end not in (third,)
    nowhere = {"type": "json_schema", "schema": {"$ref": "#/x"}}
    for code, field, more in (
        ("invalid_value", "response_format", {"response_format": nowhere}),
        ("invalid_value", "guided_regex", {"guided_regex": "("}),
        ("invalid_value", "logit_bias", {"logit_bias": {"1000000": 1}}),
    ):
        error = ask.error({"messages": [{"role": "user", "content": "hi"}], **more})
        assert (error["code"], error["param"]) == (code, field), error


def check_usage(ask):
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = ask.chunks("thought", stream_options=options)
    counts = [c["usage"]["completion_tokens"] for c in chunks]
    assert counts == sorted(counts) and counts[0] == 0 and len(set(counts)) > 4, counts
    whole = ask.chat("thought")["usage"]
    assert chunks[-1]["usage"] == whole and not chunks[-1]["choices"], chunks[-1]
    assert all(c["usage"]["prompt_tokens"] == whole["prompt_tokens"] for c in chunks)
    assert all(c["usage"] is None for c in ask.chunks("hi", stream_options={"include_usage": True})[:-1])


def check_functions(ask):
    answer = ask.chat("call", functions=[FUNCTION])["choices"][0]
    message = answer["message"]
    assert answer["finish_reason"] == "function_call" and "tool_calls" not in message, answer
    assert message["content"] is None and message["function_call"]["name"] == "f", answer
    assert json.loads(message["function_call"]["arguments"]) == {"a": 1}, answer
    chunks = ask.chunks("call", functions=[FUNCTION], function_call="auto")
    deltas = [c["choices"][0]["delta"].get("function_call", {}) for c in chunks]
    assert "".join(d.get("name", "") for d in deltas) == "f", chunks
    assert json.loads("".join(d.get("arguments", "") for d in deltas)) == {"a": 1}, chunks
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"
    back = [{"role": "user", "content": ""}, message, {"role": "function", "name": "f", "content": "hi"}]
    again = ask.chat("", messages=back, functions=[FUNCTION])["choices"][0]["message"]
    assert again["content"] == TEXTS["hi"], again


def check_switches(ask):
    words = lambda **more: ask.chat("x", **more)["choices"][0]["message"]["content"]
    for on in (
        {"reasoning_effort": "low"},
        {"reasoning": {"enabled": True}},
        {"thinking": {"type": "enabled"}},
        {"enable_thinking": True},
        {"think": True},
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"reasoning_effort": "none", "enable_thinking": True},
    ):
        assert words(**on) == TEXTS["on"], on
    for off in (
        {"reasoning_effort": "none"},
        {"reasoning": {"effort": "none"}},
        {"thinking": {"type": "disabled"}},
        {"enable_thinking": False},
        {"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}},
    ):
        assert words(**off) == TEXTS["off"], off
    rich = {"chat_template_kwargs": {"mood": "<|say call|>", "parts": [{"a": [1]}]}}
    assert ask.chat("hi", **rich)["choices"][0]["message"]["content"] == TEXTS["hi"]
    count = lambda **more: ask.chat("hi", **more)["usage"]["prompt_tokens"]
    assert count(**rich) > count() + len("<|say call|>"), "text of a request is no control token"
    thought = ask.chat("thought")["choices"][0]["message"]
    assert "hm hm" in thought["reasoning_content"] and thought["content"] == "so be it", thought
    for hidden in ({"include_reasoning": False}, {"reasoning": {"exclude": True}}):
        message = ask.chat("thought", **hidden)["choices"][0]["message"]
        assert "reasoning_content" not in message and message["content"] == "so be it", message
        deltas = [c["choices"][0]["delta"] for c in ask.chunks("thought", **hidden)]
        assert not any("reasoning" in key for d in deltas for key in d), (hidden, deltas)


def check_client(address):
    try:
        import openai
    except ImportError:
        print("the openai package is not installed: its errors are not looked at")
        return
    client = openai.OpenAI(base_url=f"http://{address}/v1", api_key="unused", max_retries=0, timeout=60)
    assert client.models.retrieve("m").id == "m"

    def refused(kind, code, param, call):
        try:
            call()
        except kind as error:
            assert (error.code, error.param) == (code, param), (error.code, error.param, error.body)
            assert error.type == "invalid_request_error", error.body
            return
        raise SystemExit(f"expected {kind.__name__}")

    say = lambda text, **more: client.chat.completions.create(
        **{"model": "m", "messages": [{"role": "user", "content": text}], **more}
    )
    bad, missing = openai.BadRequestError, openai.NotFoundError
    refused(missing, "model_not_found", "model", lambda: client.models.retrieve("other"))
    refused(missing, "model_not_found", "model", lambda: say("hi", model="other"))
    refused(bad, "decimal_above_max_value", "temperature", lambda: say("hi", temperature=3))
    refused(bad, "integer_above_max_value", "n", lambda: say("hi", n=9))
    refused(bad, "context_length_exceeded", "messages", lambda: say("hi" * 40000))
    refused(bad, "unsupported_value", "echo", lambda: say("hi", extra_body={"echo": True}))
    refused(bad, "unsupported_parameter", "audio", lambda: say("hi", audio={"voice": "a", "format": "wav"}))
    answer = say("hi", extra_body={"top_k": 1, "frobnicate": 1}, user="u", store=False, metadata={"a": "b"})
    assert answer.choices[0].message.content == TEXTS["hi"], answer
    assert answer.hallmark["without_effect"] == ["user", "store", "metadata", "frobnicate"] or sorted(
        answer.hallmark["without_effect"]
    ) == ["frobnicate", "metadata", "store", "user"], answer.hallmark


def check_replays(h):
    entries = h.json("audit", "list", "--count", "1000")["entries"]
    done = [e for e in entries if e["entry"]["type"] == "decision" and e["entry"]["outcome"] == "completed"]
    for e in done:
        run = h.run("audit", "replay", e["index"], "--json", status=None)
        assert run.stdout and json.loads(run.stdout)["equal"], (e["index"], run.stdout, run.stderr)
    return len(done)


SAMPLING = {"temperature": 0.5, "top_p": 0.25, "top_k": 20, "min_p": 0.125, "repetition_penalty": 1.0625}


def check_defaults(h):
    """generation_config.json decides what a request leaves out, unless told not to; the record says so."""
    odd = {"temperature": float("nan"), "top_k": 10**30, "max_new_tokens": 10**400, "top_p": "x"}

    def records(name, generation, *args, asks=()):
        folder = parrot(h.dir / name, TEXTS, template=TEMPLATE)
        (folder / "generation_config.json").write_text(json.dumps(generation))
        h.publish(folder, "a/" + name)
        with Server(h, folder, *args) as s:
            ask, made = Asker(s.address), []
            for more in asks:
                answer = ask.chat("hi", seed=4, **more)
                index = answer["hallmark"]["index"]
                fields = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
                assert h.json("audit", "replay", index)["equal"], more
                made.append(({f["name"]: f["value"] for f in fields}["sampling"], answer))
            assert s.stop() == 0
            return made

    names = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens"]
    own, some, none = records(
        "own",
        {**SAMPLING, "max_new_tokens": 3, "do_sample": True},
        asks=({}, {"temperature": 1, "top_p": 1, "max_tokens": 4, "top_k": 0}, {"do_sample": False}),
    )
    assert own[0]["from_model"] == names and own[0]["max_tokens"] == 3, own[0]
    assert all(own[0][k] == v for k, v in SAMPLING.items()), own[0]
    assert own[1]["usage"]["completion_tokens"] == 3, own[1]
    assert some[0]["from_model"] == ["min_p", "repetition_penalty"] and some[0]["top_p"] == 1, some[0]
    assert some[1]["usage"]["completion_tokens"] == 4 and some[0]["temperature"] == 1, some
    assert none[0]["temperature"] == 0 and "temperature" not in none[0]["from_model"], none[0]
    greedy, drawn = records("greedy", {**SAMPLING, "do_sample": False}, asks=({}, {"do_sample": True}))
    assert greedy[0]["temperature"] == 0 and drawn[0]["temperature"] == 0.5, (greedy[0], drawn[0])
    (neutral,) = records("neutral", SAMPLING, "--sampling", "neutral", asks=({},))
    assert "from_model" not in neutral[0] and neutral[0]["temperature"] == 1, neutral[0]
    (strange,) = records("odd", odd, asks=({},))
    assert "from_model" not in strange[0], strange[0]
    r = h.run("run", h.dir / "odd", "hi", "--sampling", "mine", status=2)
    assert b"model or neutral" in r.stderr, r.stderr


with Home() as h:
    folder = parrot(h.dir / "parrot", TEXTS, template=TEMPLATE)
    tokens = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokens["model"]["vocab"]
    h.publish(folder, "a/parrot")
    with Server(h, folder) as s:
        ask = Asker(s.address)
        refused = check_rows(ask)
        check_taken(ask)
        check_stops(ask, vocab, len(vocab))
        check_usage(ask)
        check_functions(ask)
        check_switches(ask)
        check_client(s.address)
        assert s.stop() == 0
    check_defaults(h)
    print(f"{refused} requests refused by field, {check_replays(h)} answers replayed")
