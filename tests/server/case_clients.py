#!/usr/bin/env python3
# peer: openai
# peer: anthropic
"""The stock OpenAI and Anthropic clients over TLS with keys: chat, streams, tools, schemas,
log-probabilities, responses, messages, counts of tokens, and each error as the type that the client has for
it."""

import asyncio, json, os, ssl, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
sys.path.insert(0, os.path.dirname(__file__))
import secure
from client import Home, Server
from spoken import publish

try:
    import anthropic, openai
    from openai.types.responses import Response
    from pydantic import BaseModel
except ImportError:
    print("skipped: the openai or anthropic package is not installed")
    sys.exit(77)
secure.need_openssl()


class Out(BaseModel):
    a: bool


THINK = [{"role": "user", "content": "think"}]
CALL = [{"role": "user", "content": "call"}]
SAID = "A fee of 4 pounds is due."
NAMES = ("fee", "rate")
OBJECT = {"type": "object", "properties": {}}
CHAT_TOOLS = [{"type": "function", "function": {"name": n, "parameters": OBJECT}} for n in NAMES]
ITEM_TOOLS = [{"type": "function", "name": n, "parameters": OBJECT, "strict": None} for n in NAMES]
BLOCK_TOOLS = [{"name": n, "input_schema": OBJECT} for n in NAMES]
COLD = {"extra_body": {"temperature": 0}, "model": "m"}


def refused(kind, call):
    try:
        call()
    except kind as error:
        assert type(error) is kind, (kind, error)
        return error
    raise SystemExit(f"expected {kind.__name__}")


def chats(o):
    create = o.chat.completions.create
    plain = create(messages=THINK, **COLD)
    assert plain.choices[0].message.content == SAID, plain
    chunks = create(messages=THINK, stream=True, **COLD)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == SAID
    called = create(messages=CALL, tools=CHAT_TOOLS, **COLD).choices[0]
    assert [c.function.name for c in called.message.tool_calls] == ["fee", "rate"], called
    probed = create(messages=THINK, logprobs=True, top_logprobs=2, **COLD).choices[0]
    assert "".join(t.token for t in probed.logprobs.content) == SAID, probed
    parsed = o.chat.completions.parse(messages=THINK, response_format=Out, max_tokens=400, **COLD)
    assert isinstance(parsed.choices[0].message.parsed, Out), parsed
    assert [m.id for m in o.models.list()] == ["m"]


def responds(o):
    raw = o.responses.with_raw_response.create(input="think", **COLD)
    r = raw.parse()
    Response.model_validate(json.loads(raw.text))
    assert r.output_text == SAID and r.status == "completed" and r.store is False, r
    assert [i.type for i in r.output] == ["reasoning", "message"] and raw.headers["x-request-id"], r
    kinds = [e.type for e in o.responses.create(input="think", stream=True, **COLD)]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    with o.responses.stream(input="call", tools=ITEM_TOOLS, **COLD) as stream:
        streamed = [e for e in stream]
        last = stream.get_final_response()
    assert any(e.type == "response.function_call_arguments.done" for e in streamed)
    assert [i.name for i in last.output if i.type == "function_call"] == ["fee", "rate"], last
    results = [
        {"type": "function_call_output", "call_id": i.call_id, "output": "4"}
        for i in last.output
        if i.type == "function_call"
    ]
    given = [i.model_dump(exclude_none=True) for i in last.output]
    back = o.responses.create(input=[*CALL, *given, *results, *THINK], tools=ITEM_TOOLS, **COLD)
    assert back.output_text == SAID, back
    parsed = o.responses.parse(input="think", text_format=Out, max_output_tokens=400, **COLD)
    assert isinstance(parsed.output_parsed, Out), parsed
    probed = o.responses.create(
        input="think", include=["message.output_text.logprobs"], top_logprobs=2, **COLD
    )
    part = probed.output[1].content[0]
    assert "".join(t.token for t in part.logprobs) == part.text == SAID, part
    cut = o.responses.create(input="think", max_output_tokens=3, **COLD)
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens", cut
    assert "store" in str(
        refused(openai.BadRequestError, lambda: o.responses.create(input="x", model="m", store=True))
    )


def writes(a):
    most = {"max_tokens": 200, **COLD}
    m = a.messages.create(messages=THINK, **most)
    assert [b.type for b in m.content] == ["thinking", "text"] and m.content[1].text == SAID, m
    assert m.stop_reason == "end_turn" and m._request_id and m.hallmark["record"], m
    anthropic.types.Message.model_validate(m.model_dump())
    with a.messages.stream(messages=CALL, tools=BLOCK_TOOLS, **most) as stream:
        events = [e.type for e in stream]
        last = stream.get_final_message()
    assert {"message_start", "content_block_delta", "message_delta", "message_stop"} <= set(events), events
    assert [b.name for b in last.content if b.type == "tool_use"] == ["fee", "rate"], last
    assert last.content[2].input == {"of": "card", "n": 2} and last.stop_reason == "tool_use", last
    with a.messages.stream(messages=THINK, **most) as stream:
        assert "".join(stream.text_stream) == SAID
    results = [
        {"type": "tool_result", "tool_use_id": b.id, "content": "4"}
        for b in last.content
        if b.type == "tool_use"
    ]
    given = [b.model_dump(exclude={"parsed_output"}, exclude_none=True) for b in last.content]
    back = [*CALL, {"role": "assistant", "content": given}]
    back.append({"role": "user", "content": [*results, {"type": "text", "text": "think"}]})
    assert a.messages.create(messages=back, tools=BLOCK_TOOLS, **most).content[-1].text == SAID
    count = a.messages.count_tokens(messages=CALL, tools=BLOCK_TOOLS, model="m").input_tokens
    assert count == last.usage.input_tokens + last.usage.cache_read_input_tokens, (count, last.usage)
    parsed = a.messages.parse(messages=THINK, output_format=Out, max_tokens=400, **COLD)
    assert isinstance(parsed.parsed_output, Out), parsed
    stopped = a.messages.create(
        messages=[{"role": "user", "content": "stop"}], stop_sequences=["STOP"], **most
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "STOP"), stopped
    assert a.messages.create(messages=THINK, max_tokens=3, **COLD).stop_reason == "max_tokens"


def errors(package, make, ask):
    """make(key) -> a client; ask(client, model) -> an answer."""
    refused(package.NotFoundError, lambda: ask(make(GOOD), "other"))
    refused(package.BadRequestError, lambda: ask(make(GOOD), ""))
    e = refused(package.AuthenticationError, lambda: ask(make("hallmark_no_such_token"), "m"))
    assert e.status_code == 401 and e.request_id, e
    refused(package.PermissionDeniedError, lambda: ask(make(EMBEDS), "m"))
    ask(make(FEW), "m")
    e = refused(package.RateLimitError, lambda: ask(make(FEW), "m"))
    assert e.response.headers["retry-after"], e.response.headers


async def at_once(a, o):
    """The clients of asyncio."""
    async with a.messages.stream(messages=THINK, max_tokens=200, **COLD) as stream:
        assert (await stream.get_final_message()).content[1].text == SAID
    assert (await o.responses.create(input="think", **COLD)).output_text == SAID


with Home() as h:
    model = publish(h)
    root = secure.make_root(h.dir)
    cert, key = secure.make(h.dir, "server", root)
    make = lambda name, *more: h.json("token", "new", "--name", name, "--role", "user", *more, "--quiet")[
        "secret"
    ]
    GOOD, EMBEDS = make("good"), make("embeds", "--scopes", "tokenize")
    with Server(h, model, "--unsigned", "--tls-cert", cert, "--tls-key", key) as s:
        url, trust = f"https://{s.address}", ssl.create_default_context(cafile=str(root[0]))
        how = {"max_retries": 0, "timeout": 60}
        old = lambda key: openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, http_client=openai.DefaultHttpxClient(verify=trust), **how
        )
        new = lambda key: anthropic.Anthropic(
            base_url=url, api_key=key, http_client=anthropic.DefaultHttpxClient(verify=trust), **how
        )
        chats(old(GOOD))
        responds(old(GOOD))
        writes(new(GOOD))
        FEW = make("few", "--requests-per-minute", "1")
        errors(openai, old, lambda o, m: o.responses.create(input="think", model=m, max_output_tokens=1))
        FEW = make("few2", "--requests-per-minute", "1")
        errors(anthropic, new, lambda a, m: a.messages.create(messages=THINK, model=m, max_tokens=1))
        asyncio.run(
            at_once(
                anthropic.AsyncAnthropic(
                    base_url=url,
                    api_key=GOOD,
                    http_client=anthropic.DefaultAsyncHttpxClient(verify=trust),
                    **how,
                ),
                openai.AsyncOpenAI(
                    base_url=f"{url}/v1",
                    api_key=GOOD,
                    http_client=openai.DefaultAsyncHttpxClient(verify=trust),
                    **how,
                ),
            )
        )
        assert s.stop() == 0
print("openai", openai.__version__, "anthropic", anthropic.__version__, "over TLS with keys")
