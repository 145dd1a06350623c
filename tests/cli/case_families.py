#!/usr/bin/env python3
# peer: openai
"""The stock OpenAI client with models of six families, by their templates: reasoning there and back, calls
in parallel and the turn after them, structured outputs by parse(), plain and streamed. Each model is a
parrot: it says what its family would have said, or, where a constraint forbids that, the likeliest of what is
left."""

import json, os, re, sys, typing

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, TOP
from parrot import parrot

try:
    import openai, pydantic
except ImportError:
    print("skipped: the openai package is not installed")
    sys.exit(77)

CASES = json.loads((TOP / "tests/vectors/templates/cases.json").read_text())


def published(name):
    return next(c["template"] for c in CASES if c["name"].startswith(name + "/"))


MISTRAL = """
{%- if tools %}{{ '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{% endif %}
{%- for m in messages %}
    {%- if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}
    {%- elif m.role == 'tool' %}
        {%- if m.tool_call_id is not defined or m.tool_call_id | length != 9 %}
            {{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}
        {%- endif %}
        {{- '[TOOL_RESULTS]{"content": ' + m.content + ', "call_id": "' + m.tool_call_id + '"}' }}
        {{- '[/TOOL_RESULTS]' }}
    {%- elif m.tool_calls %}
        {{- '[TOOL_CALLS][' }}
        {%- for c in m.tool_calls %}
            {%- if c.id is not defined or c.id | length != 9 %}
                {{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}
            {%- endif %}
            {{- ', ' if not loop.first }}{{ (c.function | tojson)[:-1] + ', "id": "' + c.id + '"}' }}
        {%- endfor %}
        {{- ']' + eos_token }}
    {%- elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}
    {%- endif %}
{%- endfor %}
"""

KIMI = """
{%- if tools %}{{ '<|im_system|>tool_declare<|im_middle|>' + (tools | tojson) + '<|im_end|>' }}{% endif %}
{%- for m in messages %}
    {{- '<|im_' + (m.role if m.role in ['user', 'assistant'] else 'system') + '|>' }}
    {{- m.role + '<|im_middle|>' }}
    {%- if m.role == 'assistant' %}{{ '<think>' + (m.reasoning_content or '') + '</think>' }}{% endif %}
    {%- if m.role == 'tool' %}{{ '## Return of ' + m.tool_call_id + '\\n' }}{% endif %}
    {{- m.content }}
    {%- if m.tool_calls %}
        {{- '<|tool_calls_section_begin|>' }}
        {%- for c in m.tool_calls %}
            {{- '<|tool_call_begin|>' + c.id + '<|tool_call_argument_begin|>' }}
            {{- c.function.arguments if c.function.arguments is string else c.function.arguments | tojson }}
            {{- '<|tool_call_end|>' }}
        {%- endfor %}
        {{- '<|tool_calls_section_end|>' }}
    {%- endif %}
    {{- '<|im_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_assistant|>assistant<|im_middle|>' }}{% endif %}
"""

R1 = {
    n: "<｜tool▁%s｜>" % n.replace(" ", "▁")
    for n in ("calls begin", "calls end", "call begin", "call end", "sep")
}
SECTION = {n: f"<|tool_{n}|>" for n in ("calls_section_begin", "calls_section_end", "call_begin", "call_end")}
SECTION["argument"] = "<|tool_call_argument_begin|>"
THINK = ["<think>", "</think>"]


class Family:
    """How a family writes: think and answer are of one text, call is of (index, name, arguments)."""

    def __init__(
        self,
        template,
        end,
        call,
        marks=(),
        special=(),
        joint="",
        calls="%s",
        think=None,
        answer="%s",
        several=True,
        ids="call_[0-9a-f]{24}",
        shows=False,
        tools=True,
    ):
        self.template, self.end, self.call, self.joint, self.calls = template, end, call, joint, calls
        self.marks = {**{m: False for m in marks}, **{m: True for m in special}}
        self.think, self.answer, self.several, self.ids, self.shows = think, answer, several, ids, shows
        self.tools = tools  # the template has a place for their definitions

    def says(self, text, thought=None):
        return (self.think % thought if self.think and thought else "") + self.answer % text

    def asks(self, calls, thought=None):
        said = [self.call(i, name, json.dumps(args)) for i, (name, args) in enumerate(calls)]
        return (self.think % thought if self.think and thought else "") + self.calls % self.joint.join(said)


def json_call(arguments):
    return lambda i, name, args: '{"name": "%s", "%s": %s}' % (name, arguments, args)


FAMILIES = {
    "qwen3": Family(
        published("qwen"),
        "<|im_end|>",
        lambda *a: "<tool_call>\n%s\n</tool_call>" % json_call("arguments")(*a),
        [*THINK, "<tool_call>", "</tool_call>"],
        ["<|im_start|>"],
        "\n",
        think="<think>\n%s\n</think>\n\n",
        shows=True,
    ),
    "gpt-oss": Family(
        published("gpt_oss"),
        "<|return|>",
        lambda i, name, args: "<|channel|>commentary to=functions.%s <|constrain|>json<|message|>%s"
        % (name, args),
        special=["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>"],
        several=False,
        think="<|channel|>analysis<|message|>%s<|end|><|start|>assistant",
        answer="<|channel|>final<|message|>%s",
        shows=True,
    ),
    "deepseek-r1": Family(
        published("deepseek_r1"),
        "<｜end▁of▁sentence｜>",
        lambda i, name, args: "%sfunction%s%s\n```json\n%s\n```%s"
        % (R1["call begin"], R1["sep"], name, args, R1["call end"]),
        [*THINK, *R1.values()],
        ["<｜User｜>", "<｜Assistant｜>"],
        "\n",
        R1["calls begin"] + "%s" + R1["calls end"],
        think="%s\n</think>\n\n",
        tools=False,
    ),
    "llama-3.1": Family(
        published("llama3"),
        "<|eot_id|>",
        json_call("parameters"),
        special=["<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>"],
        several=False,
    ),
    "mistral": Family(
        MISTRAL,
        "</s>",
        json_call("arguments"),
        special=["[INST]", "[/INST]", "[TOOL_CALLS]"],
        joint=", ",
        calls="[TOOL_CALLS][%s]",
        ids="[0-9A-Za-z]{9}",
    ),
    "kimi-k2-thinking": Family(
        KIMI,
        "<|im_end|>",
        lambda i, name, args: "%sfunctions.%s:%d%s%s%s"
        % (SECTION["call_begin"], name, i, SECTION["argument"], args, SECTION["call_end"]),
        [*THINK, *SECTION.values()],
        ["<|im_middle|>"],
        calls=SECTION["calls_section_begin"] + "%s" + SECTION["calls_section_end"],
        think="<think>%s</think>",
        ids=r"functions\.[a-z_]+:\d+",
        shows=True,
    ),
}


class Booking(pydantic.BaseModel):
    seat: typing.Literal["aisle", "window"]
    nights: int
    paid: bool


class look_up(pydantic.BaseModel):
    city: typing.Literal["Bern", "Oslo"]


class count(pydantic.BaseModel):
    nights: int


TOOLS = [openai.pydantic_function_tool(t) for t in (look_up, count)]
LOOSE = [
    {"type": "function", "function": {k: v for k, v in t["function"].items() if k != "strict"}} for t in TOOLS
]
BOOKED = {"seat": "window", "nights": 3, "paid": True}
CALLS = [("look_up", {"city": "Oslo"}), ("count", {"nights": 2})]
THOUGHT = {n: f"About {n}: a < b, </i>, [x]." for n in ("plain", "calls", "booking", "chatty", "again")}


def texts(f):
    calls = CALLS if f.several else CALLS[:1]
    return {
        "plain": f.says("Hello to you.", THOUGHT["plain"]),
        "calls": f.asks(calls, THOUGHT["calls"]),
        "booking": f.says(json.dumps(BOOKED), THOUGHT["booking"]),
        "chatty": f.says("Sure, I will do that gladly.", THOUGHT["chatty"]),
        "again": f.says("It rains in Oslo.", THOUGHT["again"]),
        "brief": f.answer % '{"seat": "aisle", "nights": 1, "paid": false}',
    }


class Asker:
    def __init__(self, server, family):
        self.client = openai.OpenAI(base_url=f"http://{server.address}/v1", api_key="none", max_retries=0)
        self.family = family

    def asked(self, messages, more):
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        extra = {k: more.pop(k) for k in ("chat_template_kwargs",) if k in more}
        return {
            "model": "m",
            "messages": messages,
            "temperature": 0,
            "max_tokens": 200,
            "extra_body": extra,
            **more,
        }

    def plain(self, messages, **more):
        return self.client.chat.completions.create(**self.asked(messages, more)).choices[0]

    def parse(self, messages, stream=False, **more):
        asked = self.asked(messages, more)
        if not stream:
            return self.client.chat.completions.parse(**asked).choices[0]
        with self.client.chat.completions.stream(**asked) as events:
            return events.get_final_completion().choices[0]

    def streamed(self, messages, **more):
        """content, reasoning under either name, {index: [id, name, arguments]}, finish."""
        text, thought, other, calls, finish = "", "", "", {}, None
        for chunk in self.client.chat.completions.create(stream=True, **self.asked(messages, more)):
            for c in chunk.choices:
                text += c.delta.content or ""
                thought += getattr(c.delta, "reasoning_content", None) or ""
                other += getattr(c.delta, "reasoning", None) or ""
                for call in c.delta.tool_calls or []:
                    one = calls.setdefault(call.index, ["", "", ""])
                    one[0] += call.id or ""
                    one[1] += call.function.name or ""
                    one[2] += call.function.arguments or ""
                finish = c.finish_reason or finish
        assert thought == other, (thought, other)
        return text, thought, calls, finish

    def thinks(self, message, name):
        """It reasoned as its text does, and says so under both names."""
        want = THOUGHT[name] if self.family.think else None
        for key in ("reasoning", "reasoning_content"):
            assert getattr(message, key, None) == want, (key, want, message)


def check_reasoning(ask):
    answer = ask.plain("plain")
    assert answer.message.content == "Hello to you." and answer.finish_reason == "stop", answer
    ask.thinks(answer.message, "plain")
    thought = THOUGHT["plain"] if ask.family.think else ""
    assert ask.streamed("plain") == ("Hello to you.", thought, {}, "stop")
    counts = ask.client.chat.completions.create(**ask.asked("plain", {})).usage
    spent = counts.completion_tokens_details.reasoning_tokens
    if ask.family.think:  # the tokens of the text are of three bytes, the marks a few more
        assert len(thought) // 3 <= spent <= counts.completion_tokens - 4, counts
    else:
        assert spent == 0, counts


def called(message):
    return [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]


def check_calls(ask):
    """Calls in parallel, and the turn after them, with what the first one said sent back as it came."""
    f = ask.family
    want = CALLS if f.several else CALLS[:1]
    answer = ask.plain("calls", tools=LOOSE)
    assert answer.finish_reason == "tool_calls" and called(answer.message) == want, answer
    ask.thinks(answer.message, "calls")
    ids = [c.id for c in answer.message.tool_calls]
    assert all(re.fullmatch(f.ids, i) for i in ids) and len(set(ids)) == len(ids), ids
    text, _, calls, finish = ask.streamed("calls", tools=LOOSE)
    assert (text, finish) == ("", "tool_calls") and [(n, json.loads(a)) for _, n, a in calls.values()] == want
    one = ask.plain("calls", tools=LOOSE, parallel_tool_calls=False).message
    assert called(one) == want[:1], one
    said = answer.message.model_dump(exclude_none=True)
    results = [{"role": "tool", "tool_call_id": i, "content": "7"} for i in ids]
    results[-1]["content"] = "again"
    start = [{"role": "user", "content": "calls"}]
    after = ask.plain([*start, said, *results], tools=LOOSE)
    assert after.message.content == "It rains in Oslo." and after.finish_reason == "stop", after
    third = [
        *start,
        said,
        *results,
        after.message.model_dump(exclude_none=True),
        {"role": "user", "content": "calls"},
    ]
    other = ask.plain(third, tools=LOOSE).message
    assert called(other) == want and not {c.id for c in other.tool_calls} & set(ids), (other, ids)
    # two calls that another model wrote, to a template that may take one
    function = lambda n: {"name": n, "arguments": "{}"}
    two = [{"id": n, "type": "function", "function": function(n)} for n in ("look_up", "count")]
    both = [
        {"role": "tool", "tool_call_id": n, "content": c} for n, c in (("look_up", "7"), ("count", "again"))
    ]
    back = ask.plain([*start, {"role": "assistant", "tool_calls": two}, *both], tools=LOOSE)
    assert back.message.content == "It rains in Oslo.", back
    # an id of another server
    said = json.loads(json.dumps(said).replace(ids[0], "toolu_01A"))
    results = json.loads(json.dumps(results).replace(ids[0], "toolu_01A"))
    assert ask.plain([*start, said, *results], tools=LOOSE).message.content == "It rains in Oslo."


def check_cut(ask):
    """A call that was cut off goes back as it came, with what the tool says of it."""
    start = [{"role": "user", "content": "calls"}]
    asked = ask.asked("calls", {"tools": LOOSE})
    tokens = ask.client.chat.completions.create(**asked).usage.completion_tokens
    broken = 0
    for most in range(tokens - 5, tokens):
        message = ask.plain("calls", tools=LOOSE, max_tokens=most).message
        try:
            called(message)
        except json.JSONDecodeError:
            broken += 1
        said = message.model_dump(exclude_none=True)
        said["tool_calls"] = said.get("tool_calls", [])
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "again"} for c in said["tool_calls"]]
        if results:
            after = ask.plain([*start, said, *results], tools=LOOSE)
            assert after.message.content == "It rains in Oslo.", after
    assert broken, tokens


def check_history(ask):
    """Reasoning goes back under any name, and into the prompt where the template wants it."""
    calls = [{"id": "a", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}]
    names = ("reasoning_content", "reasoning", "thinking")

    def tokens(**more):
        said = {"role": "assistant", "content": None, "tool_calls": calls, **more}
        result = {"role": "tool", "tool_call_id": "a", "content": "again"}
        asked = ask.asked([{"role": "user", "content": "plain"}, said, result], {"tools": LOOSE})
        return ask.client.chat.completions.create(**asked).usage.prompt_tokens

    counts = {tokens(**{n: "because it is so"}) for n in names}
    assert len(counts) == 1, counts
    assert (counts.pop() > tokens()) == ask.family.shows


def check_structured(ask):
    for stream in (False, True):
        booking = ask.parse("booking", stream, response_format=Booking)
        assert booking.message.parsed == Booking(**BOOKED) and booking.finish_reason == "stop", booking
        ask.thinks(booking.message, "booking")
        made = ask.parse("chatty", stream, response_format=Booking)  # it would have said "Sure, ..."
        assert isinstance(made.message.parsed, Booking), made
        ask.thinks(made.message, "chatty")
    if not ask.family.think or "enable_thinking" in ask.family.template:
        off = {"chat_template_kwargs": {"enable_thinking": False}}
        brief = ask.parse("brief", response_format=Booking, **off)
        assert brief.message.parsed == Booking(seat="aisle", nights=1, paid=False), brief
        assert getattr(brief.message, "reasoning", None) is None, brief
    choice = {"structured_outputs": {"choice": ["yes", "no"]}}
    made = ask.client.chat.completions.create(**{**ask.asked("chatty", {}), "extra_body": choice}).choices[0]
    assert made.message.content in ("yes", "no"), made
    ask.thinks(made.message, "chatty")


def check_tools_with_form(ask):
    """With both, the model calls or answers in the form; strict tools are called by their schemas."""
    want = CALLS if ask.family.several else CALLS[:1]
    for more in ({"response_format": Booking}, {}):
        for stream in (False, True):
            answer = ask.parse("calls", stream, tools=TOOLS, **more)
            parsed = [c.function.parsed_arguments for c in answer.message.tool_calls]
            assert [p.model_dump() for p in parsed] == [a for _, a in want], answer
            ask.thinks(answer.message, "calls")
    answer = ask.parse("booking", tools=TOOLS, response_format=Booking)
    assert answer.message.parsed == Booking(**BOOKED) and not answer.message.tool_calls, answer
    free = ask.plain("chatty", tools=TOOLS)
    assert free.message.content == "Sure, I will do that gladly." and not free.message.tool_calls, free
    forced = ask.plain("chatty", tools=LOOSE, tool_choice="required", parallel_tool_calls=False)
    (call,) = forced.message.tool_calls
    ask.thinks(forced.message, "chatty")
    {"look_up": look_up, "count": count}[call.function.name].model_validate_json(call.function.arguments)
    named = {"type": "function", "function": {"name": "count"}}
    (call,) = ask.plain("chatty", tools=LOOSE, tool_choice=named).message.tool_calls
    count.model_validate_json(call.function.arguments)


def check_replays(h):
    entries = h.json("audit", "list", "--count", "1000")["entries"]
    decisions = [e for e in entries if e["entry"]["type"] == "decision"]
    for e in decisions:
        report = h.json("audit", "replay", e["index"], "--unsigned", status=None)
        assert report["equal"], (e["index"], report)
    return len(decisions)


replayed = 0
for name, family in FAMILIES.items():
    with Home() as h:
        model = parrot(
            h.dir / "model",
            texts(family),
            template=family.template,
            marks=family.marks,
            end=family.end,
            quiet=True,
        )
        h.publish(model, f"parrots/{name}")
        with Server(h, model) as s:
            ask = Asker(s, family)
            checks = [check_reasoning, check_structured]
            checks += [check_calls, check_cut, check_history, check_tools_with_form] if family.tools else []
            for check in checks:
                try:
                    check(ask)
                except Exception:
                    print("family", name, "in", check.__name__)
                    raise
            assert s.stop() == 0
        replayed += check_replays(h)

print("openai", openai.__version__, "asked", len(FAMILIES), "families;", replayed, "answers replayed")
