#!/usr/bin/env python3
"""A model says every value of the packs in CSV, JSON, calls, tables, code, markup and thought, to a
server that enforces them: none reaches the client, whole or streamed, in any field."""

import csv, html, io, json, os, re, sys, tomllib, urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, TOP
from parrot import parrot

PACKS = ("pii-eu", "pii-all", "secrets")
POLICY = '[policy]\nname = "said"\nversion = 1\nmode = "enforce"\nextends = [%s]\n' % ", ".join(
    f'"packs/{p}"' for p in PACKS
)
TOOL = {"type": "function", "function": {"name": "save", "parameters": {"type": "object"}}}
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


def hits():
    """The packs' own texts that hold a value, each once."""
    found = {}
    for pack in PACKS:
        rules = tomllib.loads((TOP / f"policy/packs/{pack}.toml").read_text())["rule"]
        for rule in rules:
            found |= dict.fromkeys(rule["tests"]["hit"])
    return list(found)


def findings(h, policy, texts):
    lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
    said = h.run("policy", "scan", "--policy", policy, "--json", input=lines.encode()).stdout
    return [json.loads(line)["findings"] for line in said.splitlines()]


def values(h, policy, texts):
    """What the rules find in each text by itself, but for what counts only where it is all of a
    text (context "alone")."""
    out, alone = set(), 0
    among = findings(h, policy, [f"So {text} it is" for text in texts])
    for text, found, again in zip(texts, findings(h, policy, texts), among):
        assert found, f"nothing is found in {text!r}"
        raw = text.encode()
        if again:
            held = [f for f in found if f["action"] != "flag"]  # else it goes out as it is
            out |= {raw[f["start"] : f["end"]].decode(errors="replace").strip() for f in held}
        alone += not again
    assert alone < len(texts) // 10, alone
    return {v for v in out if len(re.sub(r"\W", "", v)) >= 6}


def table(rows, left="| ", between=" | ", right=" |"):
    return "\n".join(f"{left}{i}{between}{row}{right}" for i, row in enumerate(rows))


def containers(rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[i, row, 17] for i, row in enumerate(rows)])
    listed = [{"id": i, "note": row} for i, row in enumerate(rows)]
    flat = [" ".join(row.split()) for row in rows]
    call = json.dumps({"name": "save", "arguments": {"rows": listed}}, ensure_ascii=False)
    return {
        "csv": out.getvalue(),
        "table": table(flat),
        "code": "rows = [\n" + "".join(f"    {json.dumps(row)},\n" for row in rows) + "]\n",
        "markup": "<ul>" + "".join(f'<li title="{html.escape(r)}">x</li>' for r in rows) + "</ul>",
        "json": json.dumps({"rows": listed}, ensure_ascii=False),
        "ascii": json.dumps({"rows": dict(enumerate("\n" + row for row in rows))}),
        "call": "I save it.\n<tool_call>\n" + call + "\n</tool_call>",
        "thought": "<think>" + table(flat, "", ". ", "") + "</think>Done.",
    }


MORE = {
    "json": {"response_format": FORM},
    "ascii": {"response_format": {"type": "json_object"}},
    "call": {"tools": [TOOL]},
}


def whole(server, name, more):
    status, _, said = server.chat(name, **more)
    assert status == 200, said
    choice = said["choices"][0]
    message, tokens = choice["message"], (choice.get("logprobs") or {}).get("content") or []
    calls = [c["function"] for c in message.get("tool_calls") or []]
    parts = {
        "content": message["content"] or "",
        "reasoning": message.get("reasoning_content") or "",
        "calls": "".join(c["name"] + c["arguments"] for c in calls),
    }
    return parts, tokens, choice["finish_reason"], said["hallmark"]["index"]


def streamed(server, name, more):
    body = {"model": "m", "messages": [{"role": "user", "content": name}], "stream": True, **more}
    request = urllib.request.Request(
        f"http://{server.address}/v1/chat/completions",
        json.dumps(body | {"temperature": 0}).encode(),
        {"Content-Type": "application/json"},
    )
    parts, finish = {"content": "", "reasoning": "", "calls": ""}, None
    with urllib.request.urlopen(request) as r:
        for line in r:
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                delta = choice["delta"]
                parts["content"] += delta.get("content") or ""
                parts["reasoning"] += delta.get("reasoning_content") or ""
                for c in delta.get("tool_calls") or []:
                    f = c["function"]
                    parts["calls"] += (f.get("name") or "") + (f.get("arguments") or "")
                finish = choice["finish_reason"] or finish
    return parts, finish


def texts_of(value):
    """All strings and keys of a JSON value."""
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in (k, *texts_of(v))]
    return [t for v in value for t in texts_of(v)] if isinstance(value, list) else [str(value)]


def leaks(name, parts, tokens, secret):
    """Values in what a client can read, as it stands or decoded, and where."""
    seen = [*parts.values(), "".join(t["token"] for t in tokens)]
    if name in ("json", "ascii"):
        seen += texts_of(json.loads(parts["content"]))
    if name == "call":
        seen += texts_of(json.loads(parts["calls"].removeprefix("save")))
    seen += [html.unescape(s) for s in seen]
    found = [(value, s, s.find(value)) for value in secret for s in seen if value in s]
    return [f"{name}: {value!r} in {s[max(0, at - 40) : at + 60]!r}" for value, s, at in found]


with Home() as h:
    policy = h.dir / "policy.toml"
    policy.write_text(POLICY)
    rows = hits()
    secret = values(h, policy, rows)
    said = containers(rows)
    few = containers(rows[::97])  # cut in small tokens
    texts = {name: (text, 400) for name, text in said.items()}
    texts |= {name + "-small": (text, 5) for name, text in few.items()}
    out = []
    model = parrot(h.dir / "parrot", texts)
    with Server(h, model, "--unsigned", "--policy", policy) as s:
        for name in texts:
            kind = name.removesuffix("-small")
            more = MORE.get(kind, {}) | {"max_tokens": 3000, "logprobs": True}
            parts, tokens, finish, index = whole(s, name, more)
            again, ended = streamed(s, name, more)
            assert again == parts and ended == finish, (name, finish, ended)
            assert finish in ("stop", "tool_calls"), (name, finish)
            out += leaks(kind, parts, tokens, secret)
            fields = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
            fields = {f["name"]: f["value"] for f in fields}
            count = len(fields["interventions"])
            assert count >= (len(rows) * 3 // 4 if kind == name else 1), (name, count, len(rows))
        assert s.stop() == 0
    assert not out, "\n".join(out)
print(f"{len(secret)} values in {len(said)} containers: none went out")
