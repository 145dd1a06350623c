#!/usr/bin/env python3
"""A client who sends a masked answer back with a guess in place of what was masked does not learn from
cached_tokens whether the guess is right: pages of filtered answers are not shared."""

import http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

PAGE = 64
ASKED = "What card number do you have on file for Alice Moreno?"


def ask(server, messages, most):
    c = http.client.HTTPConnection(server.address, timeout=60)
    body = {"model": "m", "messages": messages, "temperature": 0, "max_tokens": most}
    head = {"Content-Type": "application/json"}
    c.request("POST", "/v1/chat/completions", json.dumps(body), head)
    answer = json.loads(c.getresponse().read())
    return answer["choices"][0]["message"]["content"], answer["usage"]


def cached(server, digit):
    """Of a prompt that repeats the answer up to the first masked digit, where a page ends."""
    system = " ".join(["bank"] * 104)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": ASKED}]
    said, usage = ask(server, messages, 40)
    assert usage["prompt_tokens"] == 2 * PAGE - 9, usage
    begin = said[: said.index("4111 11")] + "4111 11"
    more = [{"role": "assistant", "content": begin + digit}, {"role": "user", "content": "Right?"}]
    _, usage = ask(server, messages + more, 1)
    return said, usage["prompt_tokens_details"]["cached_tokens"]


def tell(*policy):
    """(answer, cached tokens) of a wrong guess, and of the right one, each at a fresh server."""
    for digit in "21":
        with Home() as h, Server(h, MODEL, *policy, "--unsigned") as s:
            yield cached(s, digit)


(_, wrong), (said, right) = tell()
assert "4111 1111 1111 1111" in said and (wrong, right) == (PAGE, 2 * PAGE), (said, wrong, right)
(_, wrong), (said, right) = tell("--policy", POLICY)
assert "4111 11** **** 1111" in said and wrong == right == PAGE, (said, wrong, right)
