#!/usr/bin/env python3
# peer: openai
"""What the stock OpenAI client can ask for beyond a plain chat: choices, penalties, log-probabilities,
constraints, tools there and back, reasoning; filtered in every part, and replayed."""

import json, os, re, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

try:
    import openai
except ImportError:
    print("skipped: the openai package is not installed")
    sys.exit(77)

# The demo model's template with the calls of the Qwen family: what the model never learned is forced.
TEMPLATE = (
    "{{ bos_token }}{%- if tools %}{{ 'Tools:' }}{%- for tool in tools %}{{ tool | tojson }}{%- endfor %}"
    "{{ 'Call with <tool_call>{json}</tool_call>' }}{%- endif %}{%- for m in messages %}"
    "{%- if m.role == 'system' %}{{ m.content }}{%- endif %}"
    "{%- if m.role == 'user' %}{{ '<｜User｜>' + m.content }}{%- endif %}"
    "{%- if m.role == 'tool' %}{{ '<｜User｜><tool_response>' + m.content + '</tool_response>' }}{%- endif %}"
    "{%- if m.role == 'assistant' %}{{ '<｜Assistant｜>' }}{%- if m.reasoning_content %}"
    "{{ '<think>' + m.reasoning_content + '</think>' }}{%- endif %}{{ m.content }}"
    "{%- for c in m.tool_calls %}{{ '<tool_call>' + (c.function | tojson) + '</tool_call>' }}{%- endfor %}"
    "{{ '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<｜Assistant｜>' }}"
    "{%- if enable_thinking is defined and enable_thinking %}{{ '<think>\\n' }}{%- else %}"
    "{{ '<think></think>' }}{%- endif %}{%- endif %}"
)
RULES = """
[policy]
name = "parts"
version = 1
mode = "enforce"
jurisdiction = ["EU"]
retention_days = 1
"""
RULE = """
[[rule]]
id = "%s"
severity = "high"
phase = ["%s"]
match = { literals = ["%s"], fold = "case" }
action = "%s"
%s
tests.hit = ["%s", "a %s", "%s."]
tests.miss = ["zebra", "quux", "plugh"]
"""


def rule(name, phase, literal, action):
    replace = f'replace = "[{name}]"' if action == "redact" else ""
    return RULE % (name, phase, literal, action, replace, literal, literal, literal)


def tool(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    schema["additionalProperties"] = False
    return {
        "type": "function",
        "function": {"name": name, "description": f"does {name}", "parameters": schema},
    }


TOOLS = [
    tool("balance", account={"type": "string", "enum": ["giro", "savings"]}),
    tool("block_card", card={"type": "integer"}, now={"type": "boolean"}),
]
ASK = [{"role": "user", "content": "What is an overdraft?"}]
RECORD = [{"role": "user", "content": "Show me the full record of Elena Murphy."}]


def refused(call, words, kind=openai.BadRequestError):
    try:
        call()
    except kind as error:
        assert words in str(error), error
        return
    raise SystemExit(f"expected a refusal: {words}")


def merged(stream):
    """The choices of a stream, put together as clients do."""
    out = {}
    for chunk in stream:
        for c in chunk.choices:
            o = out.setdefault(
                c.index, {"content": "", "reasoning": "", "calls": {}, "finish": None, "tokens": []}
            )
            o["content"] += c.delta.content or ""
            o["reasoning"] += getattr(c.delta, "reasoning_content", None) or ""
            for t in c.delta.tool_calls or []:
                call = o["calls"].setdefault(t.index, {"id": t.id, "name": t.function.name, "args": ""})
                call["args"] += t.function.arguments or ""
            o["tokens"] += (c.logprobs.content or []) if c.logprobs else []
            o["finish"] = c.finish_reason or o["finish"]
    return out


class Client:
    def __init__(self, server):
        self.api = openai.OpenAI(
            base_url=f"http://{server.address}/v1", api_key="x", max_retries=0, timeout=120
        )

    def __call__(self, messages=ASK, **more):
        extra = {k: more.pop(k) for k in list(more) if k in EXTRA}
        return self.api.chat.completions.create(
            model="m", messages=messages, **{"temperature": 0, **more}, extra_body=extra
        )


EXTRA = {
    "repetition_penalty", "min_tokens", "ignore_eos", "guided_json", "guided_regex", "guided_choice",
    "guided_grammar", "bad_words", "chat_template_kwargs", "top_k", "min_p", "structured_outputs",
}  # fmt: skip


def check_choices(ask):
    alone = ask(temperature=2, seed=5, max_tokens=24)
    three = ask(temperature=2, seed=5, max_tokens=24, n=3)
    texts = [c.message.content for c in three.choices]
    assert [c.index for c in three.choices] == [0, 1, 2] and len(set(texts)) > 1, texts
    assert texts[0] == alone.choices[0].message.content, "the first choice is the answer alone"
    assert three.usage.completion_tokens > alone.usage.completion_tokens
    streamed = merged(ask(temperature=2, seed=5, max_tokens=24, n=3, stream=True))
    assert [streamed[i]["content"] for i in range(3)] == texts, streamed
    assert [streamed[i]["finish"] for i in range(3)] == [c.finish_reason for c in three.choices]
    refused(lambda: ask(n=9), "from 1 to 8")


def check_sampling(ask):
    text = ask(max_tokens=20).choices[0].message.content
    first = ask(max_tokens=1, logprobs=True).choices[0].logprobs.content[0].token
    other = ask(max_tokens=20, bad_words=[text[:6]]).choices[0].message.content
    assert text[:6] not in other and other, other
    ids = ask(max_tokens=20, logit_bias={}).choices[0].message.content
    assert ids == text
    assert len(ask(min_tokens=60, max_tokens=60).choices[0].message.content) > len(text)
    longer = ask(ignore_eos=True, max_tokens=80)
    assert longer.usage.completion_tokens == 80 and longer.choices[0].finish_reason == "length"
    for more in ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repetition_penalty": 1.8}):
        assert ask(max_tokens=60, **more).choices[0].message.content.startswith(first), more
    repeated = ask(max_tokens=60, frequency_penalty=2, repetition_penalty=3).choices[0].message.content
    assert repeated != ask(max_tokens=60).choices[0].message.content
    refused(lambda: ask(logit_bias={"999999": 1}), "logit_bias")


def check_logprobs(ask):
    plain = ask(logprobs=True, top_logprobs=3)
    text, tokens = plain.choices[0].message.content, plain.choices[0].logprobs.content
    assert b"".join(bytes(t.bytes) for t in tokens).decode() == text, tokens
    for i, t in enumerate(tokens):  # alternatives in the reach of one match: of the first alone
        assert t.logprob <= 0 and len(t.top_logprobs) == (1 if i else 3), t
        assert t.top_logprobs[0].logprob == t.logprob and t.top_logprobs[0].bytes == t.bytes, t
    streamed = merged(ask(logprobs=True, top_logprobs=3, stream=True))[0]
    assert streamed["content"] == text and streamed["tokens"] == tokens
    hidden = ask(RECORD, logprobs=True, top_logprobs=20)
    text, tokens = hidden.choices[0].message.content, hidden.choices[0].logprobs.content
    assert "[e-mail]" in text and tokens, text
    kept = b"".join(bytes(t.bytes) for t in tokens).decode()
    for secret in ("murphy@", "e.murphy", "555-0116", "FERN 0027"):
        assert secret not in kept, kept
    at = 0
    for t in tokens:  # what is named went out, in this order
        at = text.encode().index(bytes(t.bytes), at) + len(t.bytes)
    refused(lambda: ask(top_logprobs=3), "only with")


SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["loan", "card"]}, "amount": {"type": "integer"}},
    "required": ["kind", "amount"],
    "additionalProperties": False,
}


def check_constraints(ask):
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}
    hot = {"temperature": 1.5, "seed": 3, "max_tokens": 200}
    for more in ({"response_format": form}, {"guided_json": SCHEMA}):
        for stream in (False, True):
            answer = ask(stream=stream, **more, **hot)
            text = merged(answer)[0]["content"] if stream else answer.choices[0].message.content
            value = json.loads(text)
            assert set(value) == {"kind", "amount"} and value["kind"] in ("loan", "card"), value
            assert isinstance(value["amount"], int), value
    whole = ask(response_format={"type": "json_object"}, temperature=0, max_tokens=400).choices[0]
    assert whole.finish_reason == "length" or isinstance(json.loads(whole.message.content), dict)
    text = lambda **more: ask(**more, **hot).choices[0].message.content
    assert text(guided_choice=["yes", "no", "perhaps"]) in ("yes", "no", "perhaps")
    assert re.fullmatch(r"[A-Z]{3}-\d{4}", text(guided_regex=r"[A-Z]{3}-\d{4}"))
    assert text(guided_grammar='root ::= "a" ("b" | "c")+ "!"')[0] == "a"
    assert text(structured_outputs={"choice": ["left"]}) == "left"
    for c in ask(guided_choice=["red", "green"], n=4, **hot).choices:
        assert c.message.content in ("red", "green") and c.finish_reason == "stop", c
    refused(lambda: ask(guided_regex="(a"), "guided_regex")
    refused(lambda: ask(guided_json={"$ref": "https://example.com/other"}), "guided_json")
    refused(lambda: ask(guided_regex="a", guided_choice=["a"]), "one of them")


def check_alternatives(ask):
    """Without rules every token has them."""
    tokens = ask(logprobs=True, top_logprobs=3).choices[0].logprobs.content
    for t in tokens:
        assert len(t.top_logprobs) == 3 and t.top_logprobs[0].bytes == t.bytes, t


def check_tools(ask):
    asked = {"tools": TOOLS, "tool_choice": "required", "temperature": 1, "seed": 2, "max_tokens": 200}
    asked["parallel_tool_calls"] = False
    answer = ask(**asked).choices[0]
    assert answer.finish_reason == "tool_calls" and answer.message.content is None, answer
    (call,) = answer.message.tool_calls
    arguments = json.loads(call.function.arguments)
    assert re.fullmatch("call_[0-9a-f]{24}", call.id), call
    if call.function.name == "balance":
        assert arguments["account"] in ("giro", "savings"), arguments
    else:
        assert call.function.name == "block_card" and isinstance(arguments["now"], bool), call
    streamed = merged(ask(stream=True, **asked))[0]
    assert streamed["finish"] == "tool_calls" and streamed["content"] == "", streamed
    assert streamed["calls"][0]["name"] == call.function.name, streamed
    assert json.loads(streamed["calls"][0]["args"]) == arguments, streamed
    named = {"type": "function", "function": {"name": "block_card"}}
    for c in ask(**{**asked, "tool_choice": named, "n": 2}).choices:
        (one,) = c.message.tool_calls
        assert one.function.name == "block_card", one
        assert isinstance(json.loads(one.function.arguments)["card"], int), one
    back = ASK + [
        answer.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "the balance is 7"},
    ]
    after = ask(back, tools=TOOLS, max_tokens=30)
    assert after.choices[0].finish_reason in ("stop", "length", "tool_calls"), after
    assert after.usage.prompt_tokens > ask(tools=TOOLS, max_tokens=1).usage.prompt_tokens
    none = ask(tools=TOOLS, tool_choice="none", max_tokens=30)
    assert none.choices[0].message.content == ask(max_tokens=30).choices[0].message.content
    refused(lambda: ask(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "x"}}), "no tool")
    developer = [{"role": "developer", "content": "Be brief."}] + ASK
    system = [{"role": "system", "content": "Be brief."}] + ASK
    both = [ask(m, max_tokens=20).choices[0].message.content for m in (developer, system)]
    assert both[0] == both[1]


def check_reasoning(ask):
    on = {"chat_template_kwargs": {"enable_thinking": True}, "max_tokens": 12}
    answer = ask(**on).choices[0]
    assert answer.message.content == "" and answer.message.reasoning_content, answer
    streamed = merged(ask(stream=True, **on))[0]
    assert streamed["reasoning"] == answer.message.reasoning_content and not streamed["content"]
    thought = ask(guided_choice=["a"], **on).choices[0].message
    assert thought.content == "" and thought.reasoning == thought.reasoning_content, thought
    refused(lambda: ask(chat_template_kwargs={"bos_token": "root"}), "bos_token")


def check_replays(h, expected):
    entries = h.json("audit", "list", "--count", "1000")["entries"]
    decisions = [e for e in entries if e["entry"]["type"] == "decision"]
    assert len(decisions) >= expected, len(decisions)
    done = [e for e in decisions if e["entry"]["outcome"] in ("completed", "redacted", "blocked")]
    for e in done:
        report = h.json("audit", "replay", e["index"], "--unsigned", status=None)
        assert report["equal"], (e["index"], report)
    return len(done)


def tools_model(h):
    model = h.model("tools")
    config = json.loads((model / "tokenizer_config.json").read_text())
    config["chat_template"] = TEMPLATE
    (model / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False))
    return model


with Home() as h:
    plain = h.model()
    h.publish(plain)
    with Server(h, plain, "--policy", POLICY) as s:
        ask = Client(s)
        check_choices(ask)
        check_sampling(ask)
        check_logprobs(ask)
        check_constraints(ask)
        refused(lambda: ask(tools=TOOLS), "chat template has no place for them")
        assert s.stop() == 0
    count = check_replays(h, 30)

with Home() as h:
    model = tools_model(h)
    h.publish(model, "hallmark/tools")
    with Server(h, model) as s:
        ask = Client(s)
        check_alternatives(ask)
        check_tools(ask)
        check_reasoning(ask)
        assert s.stop() == 0
    count += check_replays(h, 10)

    # Every part has the rules of its phase.
    policy = h.dir / "parts.toml"
    policy.write_text(
        RULES
        + rule("args", "tool_arguments", "savings", "redact")
        + rule("names", "tool_arguments", "block_card", "block")
        + rule("result", "tool_results", "sesame", "redact")
        + rule("meta", "metadata", "forbidden", "block")
        + rule("thought", "reasoning", "e", "redact")
        + rule("in", "input", "vermilion", "block")
    )
    with Server(h, model, "--policy", policy) as s:
        ask = Client(s)
        only = lambda name: {
            "tools": TOOLS + [tool("pay", account={"enum": ["savings"]})],
            "tool_choice": {"type": "function", "function": {"name": name}},
            "max_tokens": 100,
        }
        redacted = ask(**only("pay")).choices[0]
        assert json.loads(redacted.message.tool_calls[0].function.arguments) == {"account": "[args]"}
        blocked = ask(**only("block_card")).choices[0]
        assert blocked.finish_reason == "content_filter" and not blocked.message.tool_calls, blocked
        bad = [tool("x", y={"type": "string", "description": "a forbidden thing"})]
        assert ask(tools=bad).choices[0].finish_reason == "content_filter"
        assert ask(n=2, tools=bad).choices[1].finish_reason == "content_filter"
        called = {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "balance", "arguments": '{"a":"vermi\\u006cion"}'},
                }
            ],
        }
        result = {"role": "tool", "tool_call_id": "c", "content": "open sesame"}
        assert ask(ASK + [called, result]).choices[0].finish_reason == "content_filter"
        called["tool_calls"][0]["function"]["arguments"] = "{}"
        answered = ask(ASK + [called, result], max_tokens=5)
        assert answered.choices[0].finish_reason != "content_filter"
        scans = h.json("audit", "show", answered.hallmark["index"], "--disclose")
        fields = {f["name"]: f["value"] for f in scans["disclosed"]["fields"]}
        hits = [(i["rule"], i["phase"], i["index"]) for i in fields["interventions"]]
        assert hits == [("result", "tool_results", 2)], hits
        thought = ask(chat_template_kwargs={"enable_thinking": True}, max_tokens=12).choices[0]
        assert "e" not in thought.message.reasoning_content.replace("[thought]", "")
        assert s.stop() == 0
    count += check_replays(h, 6)

print("openai", openai.__version__, "asked for everything;", count, "answers replayed")
