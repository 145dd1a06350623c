#!/usr/bin/env python3
"""A disk that is full, that cannot make durable, or that can only be read: the server answers nothing that it
cannot record, says why, and goes on by itself when the disk does."""

import http.client, json, os, subprocess, sys, time

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server, TOP

WHY = {
    "fsync": ("making it durable", "fdatasync"),
    "full": ("the disk is full", "No space left on device"),
    "readonly": ("writing", "Read-only file system"),
}


def shim(folder):
    """The library that makes a disk fail while a file is there."""
    out = folder / "faults.so"
    flags = ["-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", out]
    subprocess.run(["gcc", *flags, TOP / "tests/soak/faults.c", "-ldl"], check=True)
    return out


def stream(s):
    """What a stream brings before and at its end."""
    c = http.client.HTTPConnection(s.address, timeout=60)
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    c.request(
        "POST",
        "/v1/chat/completions",
        json.dumps(dict(body, stream=True)),
        {"Content-Type": "application/json"},
    )
    r = c.getresponse()
    return r.status, r.read().decode()


with Home() as h:
    h.run("registry", "init", "--quiet")
    fault = h.dir / "fault"
    env = h.env(LD_PRELOAD=str(shim(h.dir)), FAULTS=str(fault), FAULTS_UNDER=str(h.state))
    told = []
    with Server(h, MODEL, "--unsigned", env=env) as s:
        for mode, why in WHY.items():
            for streamed in (False, True):
                assert s.chat("Hi", max_tokens=3)[0] == 200
                fault.write_text(mode)
                # Admitted before the disk fails the first time; the others are not.
                for attempt in range(3):
                    if streamed and attempt == 0:
                        status, text = stream(s)
                        assert status in (200, 503), (status, text)
                        assert "[DONE]" not in text and '"hallmark"' not in text, text
                        message = json.loads(text.split("data: ")[-1])["error"]["message"]
                    else:
                        status, _, answer = s.chat("Hi", max_tokens=3)
                        assert status == 503 and "choices" not in answer, (mode, status, answer)
                        message = answer["error"]["message"]
                    assert any(w in message for w in why), (mode, message)
                fault.unlink()
                end = time.monotonic() + 60
                while (answer := s.chat("Hi", max_tokens=3))[0] != 200:
                    assert time.monotonic() < end, f"{mode}: never again: {answer}"
                    time.sleep(0.1)
                told.append(answer[2]["hallmark"])
    for proof in told:
        assert h.json("audit", "show", proof["index"])["leaf"] == proof["leaf"]
    verdict = h.json("audit", "verify")
    assert verdict["ok"], verdict
