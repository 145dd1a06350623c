#!/usr/bin/env python3
# peer: openai
"""The stock OpenAI client chats with the server, plain and streamed, and reads our errors as its own."""

import base64, json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../cli"))
from client import Home, MODEL, POLICY, Server

try:
    import openai
except ImportError:
    print("skipped: the openai package is not installed")
    sys.exit(77)

MESSAGES = [{"role": "user", "content": "What is an overdraft?"}]


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"expected {kind.__name__}")


with Home() as h, Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
    client = openai.OpenAI(
        base_url=f"http://{s.address}/v1", api_key="unused", max_retries=0, timeout=60
    )
    assert [m.id for m in client.models.list()] == ["m"]

    asked = client.chat.completions.with_raw_response
    raw = asked.create(model="m", messages=MESSAGES, temperature=0, user="u")
    plain = raw.parse()
    text = plain.choices[0].message.content
    assert text and plain.choices[0].finish_reason in ("stop", "length"), plain
    assert plain.usage.total_tokens == plain.usage.prompt_tokens + plain.usage.completion_tokens
    assert raw.headers["hallmark-record"] == plain.hallmark["record"]
    entry, proof = map(base64.b64decode, raw.headers["hallmark-receipt"].split("."))
    assert json.loads(entry)["type"] == "decision", entry
    assert proof.startswith(b"c2sp.org/tlog-proof@v1\nindex "), proof[:80]

    stream = client.chat.completions.create(
        model="m",
        messages=MESSAGES,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert stream.response.headers["hallmark-record"] != plain.hallmark["record"]
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    finish = [c for c in chunks if c.choices and c.choices[0].finish_reason]
    assert len(finish) == 1 and finish[0].choices[0].finish_reason == plain.choices[0].finish_reason
    assert finish[0].hallmark["record"] == stream.response.headers["hallmark-record"]
    assert finish[0].hallmark["receipt"]
    assert (
        chunks[-1].choices == []
        and chunks[-1].usage.completion_tokens == plain.usage.completion_tokens
    )
    assert s.get(f"/v1/receipts/{chunks[0].id}")[0] == 200

    create = lambda **more: client.chat.completions.create(
        **{"model": "m", "messages": MESSAGES, **more}
    )
    assert "from 1 to 8" in str(refused(openai.BadRequestError, lambda: create(n=9)))
    refused(openai.BadRequestError, lambda: create(temperature=3))
    refused(openai.NotFoundError, lambda: create(model="another"))
    parts = [{"role": "user", "content": [{"type": "text", "text": MESSAGES[0]["content"]}]}]
    assert create(messages=parts, temperature=0).choices[0].message.content == text
    assert create(max_tokens=3, temperature=0).usage.completion_tokens <= 3
    assert s.stop() == 0
print("openai", openai.__version__, "chats, plain and streamed")
