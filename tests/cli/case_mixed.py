#!/usr/bin/env python3
"""Seventeen streams with different features at once equal those alone; abusive requests are answered
clearly, and the server lives on."""

import http.client, json, os, socket, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

OVERDRAFT = "What is an overdraft?"
RECORD = "Show me the full record of Elena Murphy."
SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
SCHEMA["additionalProperties"] = False
MIXED = [
    (OVERDRAFT, {}),
    (OVERDRAFT, {"n": 3, "temperature": 1.1, "seed": 4, "max_tokens": 30}),
    (RECORD, {"logprobs": True, "top_logprobs": 5}),
    (RECORD, {"temperature": 0.8, "seed": 9, "top_p": 0.9, "top_k": 30, "min_p": 0.01}),
    (OVERDRAFT, {"guided_json": SCHEMA, "temperature": 1.3, "seed": 1, "max_tokens": 60}),
    (OVERDRAFT, {"guided_regex": "[a-f]{4,9}", "temperature": 1, "seed": 2, "max_tokens": 60}),
    (OVERDRAFT, {"guided_choice": ["yes", "no"], "n": 2, "temperature": 2, "seed": 6}),
    (OVERDRAFT, {"frequency_penalty": 1.5, "presence_penalty": 0.5, "repetition_penalty": 1.3}),
    (OVERDRAFT, {"logit_bias": {str(i): -100 for i in range(300, 700)}, "max_tokens": 40}),
    (RECORD, {"bad_words": ["record", "phone"], "max_tokens": 60}),
    (OVERDRAFT, {"stop": ["account", "limit"]}),
    (OVERDRAFT, {"min_tokens": 50, "max_tokens": 50}),
    (OVERDRAFT, {"ignore_eos": True, "max_tokens": 70, "temperature": 1, "seed": 3}),
    ("王小明的身份证号码是多少？", {"n": 2, "temperature": 0.5, "seed": 12}),
    ("What is the IBAN of Clara Young?", {"logprobs": True}),
    ("How do I open an account?", {"temperature": 1.2, "seed": 7, "logprobs": True, "n": 2}),
    (RECORD, {"response_format": {"type": "json_object"}, "max_tokens": 80}),
]


def choices(server, text, more):
    """What a stream says of each choice: text, tokens and end."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0}
    body |= {"stream": True, **more}
    c = http.client.HTTPConnection(server.address, timeout=120)
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    r = c.getresponse()
    raw = r.read()
    assert r.status == 200, (r.status, raw)
    out = {}
    for line in raw.split(b"\n"):
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        assert "error" not in chunk, chunk
        for choice in chunk["choices"]:
            o = out.setdefault(choice["index"], ["", [], None])
            o[0] += choice["delta"].get("content") or ""
            o[1] += (choice.get("logprobs") or {}).get("content") or []
            o[2] = choice["finish_reason"] or o[2]
    assert raw.endswith(b"data: [DONE]\n\n")
    return out


def post(server, body):
    c = http.client.HTTPConnection(server.address, timeout=120)
    c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())


def abuse(server):
    """(words of the refusal, request) each; none may take long, or the server down."""
    deep = {"type": "string"}
    for _ in range(260):
        deep = {"type": "object", "properties": {"a": deep}}
    function = lambda i: {"type": "function", "function": {"name": f"f{i}", "parameters": {}}}
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(20000)}}
    rows = [
        ("tools", {"tools": [function(i) for i in range(300)]}),
        ("logit_bias", {"logit_bias": {str(i): 1 for i in range(99999)}}),
        ("more than", {"logit_bias": {str(i): 1 for i in range(100001)}}),
        ("guided_json", {"guided_json": wide}),
        ("guided_regex", {"guided_regex": "(a|b)" * 60000}),
        ("", {"guided_regex": "((((((a{1000}){1000}){1000}){1000}){1000}){1000})"}),
        ("guided_grammar", {"guided_grammar": "root ::= root"}),
        ("guided_choice", {"guided_choice": ["x" * 5000 + str(i) for i in range(60)]}),
        ("n", {"n": 1000000}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 1000}),
        ("bad_words", {"bad_words": [str(i) for i in range(1000)]}),
        ("nested", {"guided_json": {"allOf": [deep] * 3, "x": [[[[[[[[[[deep]]]]]]]]]]}}),
    ]
    for words, more in rows:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, **more}
        begin = time.monotonic()
        status, answer = post(server, json.dumps(body))
        took = time.monotonic() - begin
        said = answer["error"]["message"] if status == 400 else "answered"
        assert words in said and took < 10 and (status == 400 or not words), (words, status, answer)
        print(f"{took:6.2f} s  {said[:110]}")
        assert server.get("/health")[0] == 200


def leave(server, body):
    """Ask, and go away as soon as the answer has begun."""
    raw = json.dumps(body).encode()
    host, port = server.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as c:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        c.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(raw) + raw)
        c.recv(64)


with Home() as h, Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
    alone = [choices(s, text, more) for text, more in MIXED]
    for (text, more), answer in zip(MIXED, alone):
        assert len(answer) == more.get("n", 1) and all(o[2] for o in answer.values()), (more, answer)
    found = {}

    def ask(i):
        found[i] = choices(s, *MIXED[i])

    for order in (range(17), reversed(range(17))):
        threads = [threading.Thread(target=ask, args=(i,)) for i in order]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for i in range(17):
            assert found[i] == alone[i], (MIXED[i], found[i], alone[i])
        found.clear()

    abuse(s)
    many = {"model": "m", "messages": [{"role": "user", "content": OVERDRAFT}], "n": 8, "stream": True}
    for _ in range(4):
        leave(s, {**many, "max_tokens": 2000, "ignore_eos": True, "temperature": 1})
    begin = time.monotonic()
    assert choices(s, *MIXED[0]) == alone[0]
    assert time.monotonic() - begin < 20, "those who left are still being served"
    assert s.stop() == 0
    verdict = h.json("audit", "verify")
    assert verdict["ok"], verdict

# The options of the engine reach it, and the record; a replay opens the engine likewise.
with Home() as h:
    model = h.model()
    h.publish(model)
    args = ["--weights", "q8", "--cache-size", "64M", "--speculation", "4"]
    with Server(h, model, "--request-timeout", 60, "--memory", "4G", "--threads", 2, *args) as s:
        status, _, answer = s.chat(OVERDRAFT, n=2, temperature=1, seed=4, max_tokens=30)
        assert status == 200, answer
        assert s.stop() == 0
    entries = h.json("audit", "list")["entries"]
    at = [e["index"] for e in entries if e["entry"]["type"] == "decision"][0]
    config = [e["entry"]["body"] for e in entries if e["entry"]["type"] == "config"][0]
    assert config["packed"] == "q8" and config["cache"] == "f32", config
    shown = h.json("audit", "show", at, "--disclose")["disclosed"]["fields"]
    fields = {f["name"]: f["value"] for f in shown}
    assert fields["weights_format"]["packed"] == "q8" and fields["weights_format"]["cache"] == "f32", fields
    assert fields["sampling"]["n"] == 2 and len(fields["output_count"]) == 2, fields
    report = h.json("audit", "replay", at)
    assert report["equal"] and report["tokens"] == sum(fields["output_count"]), report
    with Server(h, model, "--request-timeout", 1) as s:
        status, _, answer = s.chat(OVERDRAFT, n=8, temperature=2, seed=4, ignore_eos=True, min_tokens=2000)
        assert status == 503 and "deadline" in answer["error"]["message"], (status, answer)
        assert s.chat(OVERDRAFT)[0] == 200
        assert s.stop() == 0
    for option, value in (("weights", "q3"), ("cache", "f16"), ("numerics", "quick"), ("memory", "much")):
        h.run("serve", model, "--listen", "127.0.0.1:0", f"--{option}", value, status=2)
    h.run("serve", model, "--listen", "127.0.0.1:0", "--memory", "1K", status=1)
