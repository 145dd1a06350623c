#!/usr/bin/env python3
"""What one client asks costs another little: prompts that cannot fit are refused before they are rendered, in
bounded memory; hostile constraints, choices and prompts leave another's stream going, with the same text;
what somebody asked for who is gone ends; kept prompts are found by whoever sent them and by nobody else."""

import json, pathlib, re, socket, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import Home, MODEL, Server

LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WAIT = 240  # a hang, on any machine


def dial(server, last):
    port = int(server.address.rsplit(":", 1)[1])
    return socket.create_connection(("127.0.0.1", port), WAIT, (f"127.0.0.{last}", 0))


def send(c, body):
    text = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    c.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
    )


def receive(c):
    got = b""
    while piece := c.recv(1 << 16):
        got += piece
    c.close()
    return int(got.split(b" ", 2)[1]), got.partition(b"\r\n\r\n")[2]


def ask(server, last, **more):
    c = dial(server, last)
    send(c, {"messages": [{"role": "user", "content": "How do I open an account?"}], **more})
    return receive(c)


def hostile(**more):
    return {
        "messages": [{"role": "user", "content": "How do I open an account?"}],
        **{"stream": True, "max_tokens": 1500, "n": 8, "temperature": 1.5, "ignore_eos": True, **more},
    }


def peak_mib(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) >> 10


def refuse_long(server):
    """Sixteen prompts of 8 MiB at once, of each kind."""
    before, got = peak_mib(server), []
    texts = ["a" * (8 << 20), "好" * (2 << 20), " \n" * (4 << 20), "ab " * (2 << 20)]

    def one(text):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
        c = dial(server, 2 + len(text) % 3)
        try:
            send(c, body.encode()[: (8 << 20) - 1024] if len(body) >= 8 << 20 else body.encode())
            got.append(receive(c))
        except OSError:
            got.append((503, b""))  # turned away while it still sent

    threads = [threading.Thread(target=one, args=(texts[i % 4][: (8 << 20) - 4096],)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {status for status, _ in got} <= {400, 413, 503}, got
    assert peak_mib(server) - before < 300, (before, peak_mib(server))
    text = "a" * (4 << 20)
    status, said = ask(server, 2, messages=[{"role": "user", "content": text}])
    error = json.loads(said)["error"]
    assert status == 400 and error["code"] == "context_length_exceeded", said
    assert "texts have 4194304 bytes" in error["message"], error
    status, said = ask(server, 2, messages=[{"role": "user", "content": "ab " * 5000}])
    assert status == 400 and b"more than 8192" in said or b"prompt has" in said, said


def stream_beside(server, alone, body, connections, name):
    """Another's stream beside so many of these: the same text."""
    open_now = [dial(server, 3) for _ in range(connections)]
    for c in open_now:
        send(c, body)
    time.sleep(0.3)
    begun = time.monotonic()
    status, said = ask(server, 2, temperature=0, max_tokens=40, seed=1)
    assert status == 200, (name, status, said)
    assert json.loads(said)["choices"] == alone, (name, said)
    assert time.monotonic() - begun < WAIT, name
    for c in open_now:
        c.close()


def others_go_on(server):
    status, said = ask(server, 2, temperature=0, max_tokens=40, seed=1)
    assert status == 200, said
    alone = json.loads(said)["choices"]
    regex = "(" + "|".join("[\\s\\S]*%s[\\s\\S]{300}" % c for c in LETTERS) + ")"
    late = {"type": "string", "pattern": "^(a|b)*a(a|b){12}$", "not": {"pattern": "^(b|c)*b(b|c){12}$"}}
    rules = 'root ::= s\ns ::= s s | "a" s | s "b" | [a-z ] | [a-z ] s | s [a-z ] s'
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": late}}
    stops = ["a" * 60 + c for c in "bcdefghijklmnopq"]
    tool = {"type": "object", "properties": {f"p{k}": {"type": "string"} for k in range(60)}}
    tools = [{"type": "function", "function": {"name": f"f{k}", "parameters": tool}} for k in range(64)]
    turns = [{"role": "user" if k % 2 == 0 else "assistant", "content": "a"} for k in range(4095)]
    for name, body, connections in [
        ("choices", hostile(), 8),
        ("regex", hostile(guided_regex=regex, ignore_eos=False), 4),
        ("schema", hostile(response_format=schema, ignore_eos=False), 4),
        ("grammar", hostile(guided_grammar=rules, ignore_eos=False), 4),
        ("logprobs", hostile(logprobs=True, top_logprobs=20), 4),
        ("stops", hostile(stop=stops), 4),
        ("bias", hostile(logit_bias={str(k): k % 7 - 3 for k in range(1000)}), 4),
        ("tools", hostile(tools=tools), 4),
        ("messages", {"messages": turns}, 4),
        ("prompt", {"messages": [{"role": "user", "content": "x " * 900}], "max_tokens": 1}, 8),
    ]:
        stream_beside(server, alone, body, connections, name)
    for i in range(30):  # and is gone
        c = dial(server, 3)
        send(c, hostile(guided_regex=regex, ignore_eos=False))
        c.close()
    status, said = ask(server, 2, temperature=0, max_tokens=40, seed=1)
    assert status == 200 and json.loads(said)["choices"] == alone, said


def cached(server, last):
    text = "What may be said of the following numbers? " + " ".join(map(str, range(100, 160)))
    status, said = ask(server, last, messages=[{"role": "user", "content": text}], max_tokens=1)
    assert status == 200, said
    return json.loads(said)["usage"]["prompt_tokens_details"]["cached_tokens"]


def main():
    with Home() as h:
        with Server(h, MODEL, "--unsigned") as server:
            assert cached(server, 2) == 0
            assert cached(server, 2) >= 64
            assert cached(server, 3) == 0, "another's prompt was found"
            assert cached(server, 3) >= 64
            refuse_long(server)
            others_go_on(server)
        with Server(h, MODEL, "--unsigned", "--cache-share", "all") as server:
            assert cached(server, 2) == 0
            assert cached(server, 3) >= 64
        r = h.run("serve", MODEL, "--unsigned", "--cache-share", "some", status=2)
        assert b"expected token, group or all" in r.stderr, r.stderr
        assert h.json("audit", "verify")["ok"]


main()
