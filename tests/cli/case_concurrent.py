#!/usr/bin/env python3
"""Answers do not depend on what else is being served; every admitted request has its record,
also when its client leaves, and the log stays whole."""

import http.client, json, os, sys, threading

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

QUESTIONS = [
    ("What is an overdraft?", {}),
    ("Show me the full record of Elena Murphy.", {}),
    ("What is the IBAN of Clara Young?", {}),
    ("How do I open an account?", {"temperature": 1.2, "seed": 7}),
    ("王小明的身份证号码是多少？", {}),
    ("What is an overdraft?", {"temperature": 0.9, "seed": 11, "max_tokens": 40}),
]

with Home() as h, Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
    alone = [s.stream(q, **more)[0] for q, more in QUESTIONS]
    answers, marks = {}, []

    def ask(i):
        q, more = QUESTIONS[i % len(QUESTIONS)]
        text, last = s.stream(q, **more)
        answers[i] = text
        marks.append(last["hallmark"])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(18)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == 18, answers
    for i, text in answers.items():
        assert text == alone[i % len(QUESTIONS)], (i, text, alone[i % len(QUESTIONS)])
    assert len({m["index"] for m in marks}) == 18 and len({m["record"] for m in marks}) == 18

    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "temperature": 2,
    }
    for _ in range(3):
        c = http.client.HTTPConnection(s.address, timeout=60)
        c.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )
        r = c.getresponse()
        assert r.getheader("Hallmark-Record")
        r.read(1)
        c.close()
    assert s.chat("What is an overdraft?")[0] == 200
    assert s.stop() == 0
    verdict = h.json("audit", "verify")
    assert verdict["ok"], verdict
    entries = h.json("audit", "list", "--count", "1000")["entries"]
    outcomes = [e["entry"]["outcome"] for e in entries if e["entry"]["type"] == "decision"]
    assert len(outcomes) == len(QUESTIONS) + 18 + 3 + 1, outcomes
    assert outcomes.count("redacted") >= 9, outcomes
