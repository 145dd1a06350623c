#!/usr/bin/env python3
"""Ask a running server one question and print the streamed answer as it arrives.

ask.py ADDRESS MODEL QUESTION [OUT] [KEY=VALUE...]

OUT receives the finishing chunk's `hallmark` object. Standard library only."""

import http.client, json, sys

address, model, question = sys.argv[1:4]
out = sys.argv[4] if len(sys.argv) > 4 else None
body = {
    "model": model,
    "messages": [{"role": "user", "content": question}],
    "stream": True,
    "temperature": 0,
}
for extra in sys.argv[5:]:
    key, value = extra.split("=", 1)
    body[key] = json.loads(value)
c = http.client.HTTPConnection(address, timeout=60)
c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
answer = c.getresponse()
if answer.status != 200:
    sys.exit(f"status {answer.status}: {answer.read().decode()}")
for line in answer:
    if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
        continue
    chunk = json.loads(line[6:])
    for choice in chunk["choices"]:
        print(choice["delta"].get("content") or "", end="", flush=True)
    if out and "hallmark" in chunk:
        json.dump(chunk["hallmark"], open(out, "w"))
print()
