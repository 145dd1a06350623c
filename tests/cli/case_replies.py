#!/usr/bin/env python3
"""What models of every family write, said by parrots through the server: the texts of
tests/vectors/replies come as content, reasoning and calls, plain and streamed, where the model ended them
and where they were cut off. Families of which calls are not known say so, and give them as content."""

import http.client, json, os, pathlib, re, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, Server, TOP
from parrot import TEMPLATE, parrot

VECTORS = TOP / "tests/vectors/replies"
TYPED = json.loads((VECTORS / "request.tools").read_text())
B, G = "｜", "▁"
THINK = ("<think>", "</think>")
TOOL_CALL = ("<tool_call>", "</tool_call>")


def between(form, *names):
    return tuple(form % n for n in names)


# syntax: (marks that are tokens, whether as control tokens, what tells its template beside them)
FAMILIES = {
    "hermes": (TOOL_CALL + THINK, False, ""),
    "xml": (TOOL_CALL + THINK, False, "<function= <parameter="),
    "seed": (("<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"), True, ""),
    "minimax": (("<minimax:tool_call>", "</minimax:tool_call>") + THINK, True, ""),
    "step3": (
        between(f"<{B}tool_%s{B}>", "calls_begin", "calls_end", "call_begin", "call_end", "sep") + THINK,
        True,
        "steptml:invoke",
    ),
    "dsml": (THINK, False, f"{B}DSML{B}"),
    "glm": (TOOL_CALL + THINK + ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"), False, ""),
    "kimi": (
        between("<|tool_%s|>", "calls_section_begin", "calls_section_end", "call_begin", "call_end")
        + ("<|tool_call_argument_begin|>",),
        True,
        "<think>",
    ),
    "mistral": (("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"), True, ""),
    "llama3": (("<|python_tag|>",), True, "</think>"),
    "deepseek": (
        between(f"<{B}tool{G}%s{B}>", f"calls{G}begin", f"calls{G}end", f"call{G}begin", f"call{G}end", "sep")
        + THINK,
        False,
        "```json",
    ),
    "deepseek31": (
        between(f"<{B}tool{G}%s{B}>", f"calls{G}begin", f"calls{G}end", f"call{G}begin", f"call{G}end", "sep")
        + THINK,
        False,
        "",
    ),
    "harmony": (
        between("<|%s|>", "start", "channel", "message", "end", "constrain", "call", "return"),
        True,
        "",
    ),
    "tool-calls": (THINK, False, "<tool_calls>"),
    "nemotron": (THINK, False, "<TOOLCALL>"),
    "ernie": (TOOL_CALL + THINK, False, "<response>"),
    "longcat": (("<longcat_tool_call>", "</longcat_tool_call>"), True, ""),
    "bar": (("<|tool_call|>", "<|/tool_call|>"), True, "<think>"),
    "intern": (("<|action_start|>", "<|plugin|>", "<|action_end|>"), True, "<think>"),
    "command": (
        between(
            "<|%s|>", "START_ACTION", "END_ACTION", "START_THINKING", "END_THINKING", "START_RESPONSE",
            "END_RESPONSE", "START_TEXT", "END_TEXT",
        ),
        True,
        "",
    ),  # fmt: skip
    "apertus": (between("<|%s|>", "tools_prefix", "tools_suffix", "inner_prefix", "inner_suffix"), True, ""),
    "lfm2": (("<|tool_call_start|>", "<|tool_call_end|>"), True, "<think>"),
    "olmo": (THINK, False, "<function_calls>"),
    "gemma": (("<start_function_call>", "<end_function_call>", "<escape>"), True, ""),
    "gemma4": (("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"), True, ""),
}
OPENS = {"seed": "<seed:think>", "command": "<|START_THINKING|>"}
MOST, TOKENS = 10, 6  # texts of one family: spelled out; with marks that are tokens


def fits(syntax, row):
    """The server waits for an end of reasoning and takes names of 64 letters; white space begins the texts,
    which harmony's reasoning has none before."""
    text, begun = row["text"], row.get("prompt_reasons")
    bare = "</think>" in text and not begun and "<think>" not in text[: text.index("</think>")]
    names = all(re.fullmatch(r"[\w-]{1,64}", c["name"]) for c in row["calls"])
    waits = row.get("unbegun", 0) > 100 or (not bare and not row.get("unbegun"))
    opens = begun and syntax == "harmony"
    return 0 < len(text) < 400 and names and waits and len(row["calls"]) < 20 and not opens


def tools(row):
    if row.get("typed"):
        return TYPED
    names = dict.fromkeys([c["name"] for c in row["calls"]] + ["unasked"])
    return [{"type": "function", "function": {"name": n}} for n in names]


def folded(chunks):
    out = {"content": "", "reasoning": "", "calls": [], "finish": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            out["content"] += delta.get("content") or ""
            out["reasoning"] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or []:
                if call["index"] == len(out["calls"]):
                    out["calls"].append([call["function"]["name"], "", call["id"]])
                out["calls"][call["index"]][1] += call["function"].get("arguments") or ""
            out["finish"] = choice["finish_reason"] or out["finish"]
    return out


def whole(document):
    choice = document["choices"][0]
    message = choice["message"]
    made = message.get("tool_calls") or []
    calls = [[c["function"]["name"], c["function"]["arguments"], c["id"]] for c in made]
    return {
        "content": message["content"] or "",
        "reasoning": message.get("reasoning_content") or "",
        "calls": calls,
        "finish": choice["finish_reason"],
    }


def ask(server, name, stream, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": name}], "temperature": 0, **more}
    c = http.client.HTTPConnection(server.address, timeout=60)
    kind = {"Content-Type": "application/json"}
    c.request("POST", "/v1/chat/completions", json.dumps({**body, "stream": stream}), kind)
    r = c.getresponse()
    raw = r.read().decode()
    assert r.status == 200, (name, raw)
    if not stream:
        return json.loads(raw)
    lines = [l[6:] for l in raw.split("\n") if l.startswith("data: ") and l != "data: [DONE]"]
    return [json.loads(l) for l in lines]


def check(row, said, where):
    assert said["content"] == row["content"], (where, said)
    assert said["reasoning"] == row["reasoning"], (where, said)
    assert [c[0] for c in said["calls"]] == [c["name"] for c in row["calls"]], (where, said)
    for (name, arguments, _), wanted in zip(said["calls"], row["calls"]):
        if "part" in wanted:
            assert arguments == wanted["part"], (where, said)
        else:
            assert json.loads(arguments) == wanted["arguments"], (where, said)
    ended = "length" if row.get("cut") else "tool_calls" if row["calls"] else "stop"
    assert said["finish"] == ended, (where, said)


def play(server, syntax, name, row):
    where = f"{syntax}: {row['name']}"
    more = {"tools": tools(row)}
    if row.get("cut"):
        used = ask(server, name, False, **more)["usage"]["completion_tokens"]
        more["max_tokens"] = used - 1  # the last of them ends the answer
    plain = whole(ask(server, name, False, **more))
    streamed = folded(ask(server, name, True, **more))
    check(row, plain, where)
    check(row, streamed, where + ", streamed")


def family(home, syntax, tokens):
    marks, special, hints = FAMILIES[syntax]
    rows = [r for r in json.loads((VECTORS / f"{syntax}.json").read_text()) if fits(syntax, r)]
    # more marks in a row, with little between them, than a parrot tells apart
    many = re.compile("(?:(?:" + "|".join(map(re.escape, marks)) + ").{0,5}){6}", re.S)
    rows = [r for r in rows if not many.search(r["text"])][-TOKENS:] if tokens else rows[-MOST:]
    names = {("R" if r.get("prompt_reasons") else "T") + str(i): r for i, r in enumerate(rows)}
    opens = OPENS.get(syntax, "<think>")
    template = TEMPLATE.replace("<tool_call> <think>", " ".join(marks) + " " + hints)
    begins = "add_generation_prompt and messages[-1].content[0] == 'R'"
    template += "{%%- if %s %%}{{ %s }}{%%- endif %%}" % (begins, json.dumps(opens))
    texts = {name: row["text"] for name, row in names.items()}
    marked = {m: special for m in marks} if tokens else ()
    folder = parrot(home.dir / f"{syntax}-{tokens}", texts, template=template, marks=marked, quiet=True)
    with Server(home, folder, "--unsigned") as s:
        for name, row in names.items():
            play(s, syntax, name, row)
    return len(rows)


def unknown(home):
    """A template that takes tools in a way of its own: its calls are content."""
    text = "@@call f {}"
    template = TEMPLATE.replace("<tool_call> <think>", "@@call")
    folder = parrot(home.dir / "unknown", {"T": text}, template=template)
    with Server(home, folder, "--unsigned") as s:
        tool = {"type": "function", "function": {"name": "f"}}
        said = whole(ask(s, "T", False, tools=[tool]))
        assert (said["content"], said["calls"], said["finish"]) == (text, [], "stop"), said
        status, _, refused = s.chat("T", tools=[tool], tool_choice="required")
        assert status == 400 and "plain" in refused["error"]["message"], refused


def stopped(home):
    """A stop string within a call cuts it off, as its length would: it does not look whole."""
    calls = {
        "X": "<tool_call>\n<function=f>\n<parameter=a>\nof HALT all\n</parameter>\n</function>\n</tool_call>",
        "Y": "I call.\n<tool_call>\n<function=HALT>\n</function>\n</tool_call>",
    }
    template = TEMPLATE.replace("<tool_call>", "<tool_call> <function= <parameter=")
    folder = parrot(home.dir / "stopped", calls, template=template)
    tool = {"type": "function", "function": {"name": "f"}}
    with Server(home, folder, "--unsigned") as s:
        said = whole(ask(s, "X", False, tools=[tool], stop=["HALT"]))
        assert [c[:2] for c in said["calls"]] == [["f", '{"a": "of ']] and not said["content"], said
        said = whole(ask(s, "Y", False, tools=[tool], stop=["HALT"]))
        assert (said["content"], said["calls"]) == ("I call.", []), said


def by_hand(home):
    """The parrot as a program: every chat gets the text."""
    text, template = home.dir / "text", home.dir / "template"
    text.write_text("<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>")
    template.write_text(TEMPLATE.replace("<tool_call>", "<tool_call> <function= <parameter="))
    tool = pathlib.Path(__file__).with_name("parrot.py")
    folder = home.dir / "by-hand"
    args = ["--template", template, "--mark", "<tool_call>", "--mark", "</tool_call>"]
    subprocess.run([sys.executable, tool, folder, text, *args], check=True)
    with Server(home, folder, "--unsigned") as s:
        said = whole(ask(s, "anything", False, tools=[{"type": "function", "function": {"name": "f"}}]))
        assert [c[:2] for c in said["calls"]] == [["f", '{"a": 1}']], said


with Home() as h:
    played = sum(family(h, s, True) + family(h, s, False) for s in FAMILIES)
    unknown(h)
    stopped(h)
    by_hand(h)
    assert played >= 200, played
    print(f"{played} texts of {len(FAMILIES)} families")
