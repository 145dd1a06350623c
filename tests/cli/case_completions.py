#!/usr/bin/env python3
# peer: openai
# peer: tokenizers
"""Texts continued without a chat template, as OpenAI's older API has it: filtered, recorded, replayed."""

import http.client, json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server
from parrot import parrot, spelled


def ask(s, path, body, method="POST", **headers):
    """(status, headers, document or text)"""
    c = http.client.HTTPConnection(s.address, timeout=60)
    text = body if isinstance(body, str) else json.dumps(body)
    c.request(method, path, text, {"Content-Type": "application/json", **headers})
    r = c.getresponse()
    raw = r.read().decode()
    head = {k.lower(): v for k, v in r.getheaders()}
    return r.status, head, json.loads(raw) if raw.startswith(("{", "[")) else raw


def complete(s, prompt, status=200, **more):
    got = ask(s, "/v1/completions", {"model": "m", "prompt": prompt, "temperature": 0, **more})
    assert got[0] == status, got
    return got[2]


def streamed(s, prompt, **more):
    """(text of each choice, chunks) of a streamed answer."""
    body = {"model": "m", "prompt": prompt, "temperature": 0, "stream": True, **more}
    got = ask(s, "/v1/completions", body)[2]
    events = [e[6:] for e in got.split("\n\n") if e.startswith("data: ")]
    assert events.pop() == "[DONE]", got
    chunks = [json.loads(e) for e in events]
    out = {}
    for chunk in chunks:
        assert chunk["object"] == "text_completion", chunk
        for choice in chunk["choices"]:
            out[choice["index"]] = out.get(choice["index"], "") + choice["text"]
    return out, chunks


def check_logprobs(choice, top):
    """The four lists stand side by side, and an offset is where the token stands in the text."""
    lp, text = choice["logprobs"], choice["text"]
    assert len(lp["tokens"]) == len(lp["token_logprobs"]) == len(lp["text_offset"]) > 0, lp
    for i, (token, value, at) in enumerate(zip(lp["tokens"], lp["token_logprobs"], lp["text_offset"])):
        assert token.startswith("bytes:") or text[at : at + len(token)] == token, (token, at, text)
        if top:
            assert lp["top_logprobs"][i][token] == value and len(lp["top_logprobs"][i]) <= top + 1, lp
    assert top or lp["top_logprobs"] is None, lp


def check_answers(s):
    plain = complete(s, "An overdraft is", max_tokens=8, logprobs=2)
    choice = plain["choices"][0]
    assert plain["object"] == "text_completion" and choice["finish_reason"] == "length", plain
    assert plain["usage"]["completion_tokens"] == 8 and plain["hallmark"]["record"], plain
    check_logprobs(choice, 2)
    texts, chunks = streamed(
        s, "An overdraft is", max_tokens=8, logprobs=2, stream_options={"include_usage": True}
    )
    assert texts == {0: choice["text"]}, (texts, choice)
    for name in ("tokens", "text_offset", "token_logprobs", "top_logprobs"):
        lists = [c["choices"][0]["logprobs"][name] for c in chunks[:-2] if c["choices"][0]["logprobs"]]
        assert sum(lists, []) == choice["logprobs"][name], (name, lists)
    assert chunks[-2]["choices"][0]["finish_reason"] == "length" and chunks[-2]["hallmark"], chunks[-2]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 8, chunks[-1]
    # a list of one text is that text; 16 tokens are the default; what is sent back stands before it
    default = complete(s, ["An overdraft is"])
    assert default["usage"]["completion_tokens"] == 16, default
    echo = complete(s, "An overdraft is", echo=True, stop=["An over"])["choices"][0]
    assert echo["text"] == "An overdraft is" + default["choices"][0]["text"], echo
    texts = streamed(s, "An overdraft is", echo=True, n=2)[0]
    assert texts == {0: echo["text"], 1: echo["text"]}, texts
    limited = complete(s, "An overdraft is", n_predict=-1, stop=" Bank")["choices"][0]
    assert limited["finish_reason"] == "stop" and " Bank" not in limited["text"], limited
    choices = complete(s, "An overdraft is", n=2, best_of=2, temperature=1, seed=3)["choices"]
    assert [c["index"] for c in choices] == [0, 1], choices
    chosen = complete(s, "An overdraft is", guided_choice=["yes", "no"])["choices"][0]
    assert chosen["text"] in ("yes", "no"), chosen
    record = plain["hallmark"]["index"], echo_index(s), ids_index(s)
    return record


def echo_index(s):
    return complete(s, "An overdraft is", echo=True, logprobs=None)["hallmark"]["index"]


def ids_index(s):
    """Ids are not for the tokenizer, and mean the same."""
    got = complete(s, [[5, 6, 7, 8]], max_tokens=4, echo=True, add_special_tokens=False)
    assert got["usage"]["prompt_tokens"] == 4, got
    return got["hallmark"]["index"]


REFUSED = [
    ({"prompt": []}, "prompt", "empty_array"),
    ({"prompt": None}, "prompt", "missing_required_parameter"),
    ({"prompt": ["a", "b"]}, "prompt", "unsupported_value"),
    ({"prompt": [[1], [2]]}, "prompt", "unsupported_value"),
    ({"prompt": [1, "a"]}, "prompt", "invalid_type"),
    ({"prompt": {"a": 1}}, "prompt", "invalid_type"),
    ({"prompt": [-1]}, "prompt", "integer_below_min_value"),
    ({"prompt": [99999999]}, "prompt", "invalid_value"),
    ({"prompt": [1.5]}, "prompt", "invalid_type"),
    ({"prompt": "a b " * 9000}, "prompt", "context_length_exceeded"),
    ({"suffix": "x"}, "suffix", "unsupported_value"),
    ({"messages": [{"role": "user", "content": "x"}]}, "messages", "unsupported_value"),
    ({"tools": [{}]}, "tools", "unsupported_value"),
    ({"echo": True, "logprobs": 1}, "echo", "unsupported_value"),
    ({"logprobs": True}, "logprobs", "invalid_type"),
    ({"logprobs": 21}, "logprobs", "integer_above_max_value"),
    ({"best_of": 3}, "best_of", "unsupported_value"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
]


def check_refusals(s):
    for body, param, code in REFUSED:
        error = complete(s, status=400, **{"prompt": "x", **body})["error"]
        assert (error["param"], error["code"]) == (param, code), (body, error)
    error = ask(s, "/v1/completions", {"model": "other", "prompt": "x"})
    assert error[0] == 404 and error[2]["error"]["code"] == "model_not_found", error
    noted = complete(s, "x", max_completion_tokens=3, reasoning_effort="low")
    assert {"max_completion_tokens", "reasoning_effort"} <= set(noted["hallmark"]["without_effect"]), noted


RULES = """[policy]
name = "completions"
version = 1
mode = "enforce"
jurisdiction = ["EU"]
retention_days = 1
extends = ["packs/pii-eu"]
[[override]]
rule = "pii-eu/*"
enabled = false
reason = "tested elsewhere"
"""
RULE = """[[rule]]
id = "%s"
severity = "high"
phase = ["%s"]
match = { literals = ["%s"], fold = "case" }
action = "%s"
tests.hit = ["%s", "a %s", "%s."]
tests.miss = ["zebra", "quux", "plugh"]
"""


def rule(name, phase, word, action):
    more = 'replace = "[gone]"\n' if action == "redact" else ""
    return (RULE % (name, phase, word, action, word, word, word)).replace("tests.hit", more + "tests.hit", 1)


def check_rules(h, s, ids):
    """The prompt passes the rules for what comes in, as ids too; where it is sent back, those for content."""
    hidden = complete(s, "a teapot is", echo=True, max_tokens=1)["choices"][0]["text"]
    assert hidden.startswith("a [gone]pot is"), hidden
    again = complete(s, ids["a teapot is"], echo=True, max_tokens=1)
    bos = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"  # one of the ids
    assert again["choices"][0]["text"] == bos + hidden, (again, hidden)
    untouched = complete(s, ids["a cup is"], echo=True, max_tokens=1)["choices"][0]["text"]
    assert untouched.startswith(bos + "a cup is"), untouched
    indexes = [again["hallmark"]["index"]]
    for prompt in ("a bomb is", ids["a bomb is"]):
        ended = complete(s, prompt)
        assert ended["choices"][0]["finish_reason"] == "content_filter", ended
        assert ended["choices"][0]["text"] == "" and ended["id"].startswith("cmpl-"), ended
        assert ended["hallmark"]["rules"] == ["bomb"] and ended["hallmark"]["message"], ended
        indexes.append(ended["hallmark"]["index"])
    sent = complete(s, "some mines are", echo=True)
    assert sent["choices"][0]["finish_reason"] == "content_filter", sent
    assert sent["choices"][0]["text"] == "some ", sent
    quiet = complete(s, "some mines are", max_tokens=2)
    assert quiet["choices"][0]["finish_reason"] == "length", quiet
    chunk = streamed(s, "some mines are", echo=True)[1][-1]
    assert chunk["choices"][0]["finish_reason"] == "content_filter", chunk
    assert chunk["hallmark"]["rules"] == ["mine"] and chunk["hallmark"]["message"], chunk
    return indexes + [sent["hallmark"]["index"]]


SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
SAID = {"key": f"The key is {SECRET} here.", "account": "Pay to DE89370400440532013000."}


def check_begun(h):
    """Whoever knows how a value begins does not get the rest, however much of it stands in the prompt."""
    folder, policy = h.dir / "parrot", h.dir / "begun.toml"
    parrot(folder, SAID, 1)
    policy.write_text('[policy]\nname = "b"\nversion = 1\nmode = "enforce"\n'
                      'extends = ["packs/pii-eu", "packs/secrets"]\n')
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    ids = {}
    with Server(h, folder, "--unsigned") as s:
        for name in SAID:
            said = s.chat(name, logprobs=True, max_tokens=200)[2]["choices"][0]["logprobs"]["content"]
            ids[name] = [vocab.get(spelled(t["token"].encode())) for t in said[:-1]]
            begun = complete(s, ids[name][:9], max_tokens=200, echo=True)["choices"][0]["text"]
            assert begun == SAID[name], begun
    with Server(h, folder, "--unsigned", "--policy", policy) as s:
        for name, text in SAID.items():
            value, tokens = text.split()[-2 if name == "key" else -1].strip("."), ids[name]
            for n in range(1, len(tokens)):
                begin = tokenize(s, {"tokens": tokens[:n]}, "/detokenize")["prompt"]
                out = complete(s, tokens[:n], max_tokens=200)["choices"][0]["text"]
                assert value[-4:] not in out, (begin, out)
                assert value in begin or "[redacted]" in out or not out, (begin, out)


def check_replay(h, indexes):
    for index in indexes:
        report = h.json("audit", "replay", index)
        assert report["equal"], report


def tokenize(s, body, path="/tokenize"):
    status, _, got = ask(s, path, body)
    assert status == 200, got
    return got


TEXTS = ["a teapot is", "a cup is", "a bomb is", "", " ", "\n\n x", "Z\u00fcrich \u6f22\u5b57 \U0001f600"]
TEXTS += ["1234.5e6", "<\uff5cUser\uff5c>hi<\uff5cend\u2581of\u2581sentence\uff5c>", "don't  STOP", "x" * 300]


def check_tokens(s, known):
    """The ids are those of the library that others use; back they are the text."""
    for text in TEXTS:
        for special in (True, False):
            want = known.encode(text, add_special_tokens=special).ids
            got = tokenize(s, {"model": "m", "prompt": text, "add_special_tokens": special})
            assert got["tokens"] == want and got["count"] == len(want), (text, got, want)
        back = tokenize(s, {"tokens": want}, "/detokenize")
        assert back["content"] == back["prompt"] == text, back
        assert text == known.decode(want, skip_special_tokens=False), text
        pieces = tokenize(s, {"content": text, "with_pieces": True})["tokens"]
        assert [p["id"] for p in pieces] == want, (pieces, want)
        raw = [p["piece"].encode() if isinstance(p["piece"], str) else bytes(p["piece"]) for p in pieces]
        assert b"".join(raw) == text.encode(), (raw, text)
    # messages: as many tokens as a chat with them has, and the text of the template
    chat = {"messages": [{"role": "user", "content": "What is an overdraft?"}]}
    got = tokenize(s, {"model": "m", **chat})
    asked = ask(s, "/v1/chat/completions", {"model": "m", "max_tokens": 1, **chat})[2]
    assert got["count"] == asked["usage"]["prompt_tokens"], (got, asked)
    assert got["max_model_len"] == json.loads(s.get("/v1/models/m")[1])["max_model_len"], got
    text = tokenize(s, chat, "/apply-template")["prompt"]
    assert "What is an overdraft?" in text, text
    assert tokenize(s, {"prompt": text, "add_special_tokens": False})["tokens"] == got["tokens"], text
    # longer than the context is tokenised all the same, unless its bytes cannot be so few tokens
    assert tokenize(s, {"prompt": "a " * 50000})["count"] > 50000
    long = {"messages": [{"role": "user", "content": "a " * 100000}]}
    text = {"prompt": "a " * 100000}
    for path, body in (("/tokenize", text), ("/tokenize", long), ("/apply-template", long)):
        refused = ask(s, path, body)
        assert refused[0] == 400 and refused[2]["error"]["code"] == "context_length_exceeded", refused
    refused = ask(s, "/detokenize", {"tokens": [1 << 31]})
    assert refused[0] == 400 and refused[2]["error"]["param"] == "tokens", refused


def check_cors(s):
    mine = {"Origin": "https://app.example"}
    asks = {**mine, "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization"
    status, head, _ = ask(s, "/v1/completions", "", "OPTIONS", **asks)
    assert status == 204 and head["access-control-allow-origin"] == mine["Origin"], head
    assert head["access-control-allow-headers"] == "authorization", head
    for body in ({"model": "m", "prompt": "x", "max_tokens": 1, "stream": True}, {}):
        status, head, _ = ask(s, "/v1/completions", body, **mine)
        assert status == (200 if body else 400), status
        assert head["access-control-allow-origin"] == mine["Origin"] and head["vary"] == "Origin", head
    asks["Origin"] = "https://other.example"
    status, head, _ = ask(s, "/v1/completions", "", "OPTIONS", **asks)
    assert status == 403 and "access-control-allow-origin" not in head, head


def check_stock_client(s):
    """OpenAI's own library, for the shapes that it knows."""
    from openai import BadRequestError, NotFoundError

    client = OpenAI(base_url=f"http://{s.address}/v1", api_key="none", max_retries=0)
    model = client.models.retrieve("m")
    assert model.owned_by == "hallmark" and model.root.startswith("sha256:"), model
    assert [m.id for m in client.models.list()] == ["m"]
    made = dict(model="m", prompt="An overdraft is", temperature=0, max_tokens=8, logprobs=2)
    whole = client.completions.create(**made)
    choice = whole.choices[0]
    assert whole.usage.completion_tokens == 8 and choice.finish_reason == "length", whole
    assert len(choice.logprobs.tokens) == len(choice.logprobs.text_offset) == 8, choice
    text = "".join(c.choices[0].text for c in client.completions.create(stream=True, **made))
    assert text == choice.text, (text, choice)
    for wrong, call in (
        (NotFoundError, lambda: client.embeddings.create(model="m", input="x")),
        (NotFoundError, lambda: client.images.generate(model="m", prompt="x")),
        (BadRequestError, lambda: client.completions.create(model="m", prompt=["a", "b"])),
    ):
        try:
            raise SystemExit(f"taken: {call()}")
        except wrong as e:
            assert e.body["code"].startswith("unsupported"), e.body


try:
    from openai import OpenAI
    from tokenizers import Tokenizer
except ImportError:
    print("skipped: openai or tokenizers is not installed")
    sys.exit(77)
KNOWN = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
IDS = {t: KNOWN.encode(t).ids for t in TEXTS[:3]}
with Home() as h:
    h.publish(h.model())
    with Server(h, "hallmark/fernbank-demo", "--cors", "https://app.example") as s:
        check_cors(s)
        recorded = check_answers(s)
        check_refusals(s)
        check_tokens(s, KNOWN)
        check_stock_client(s)
        entries = h.json("audit", "verify")["size"]
        tokenize(s, {"prompt": "x"})
        assert h.json("audit", "verify")["size"] == entries, "nothing is recorded"
    check_replay(h, recorded)
    policy = h.dir / "rules.toml"
    policy.write_text(
        RULES
        + rule("tea", "input", "tea", "redact")
        + rule("bomb", "input", "bomb", "block")
        + rule("mine", "output", "mine", "block")
    )
    with Server(h, "hallmark/fernbank-demo", "--policy", policy) as s:
        recorded = check_rules(h, s, IDS)
    check_replay(h, recorded)
    policy.write_text(policy.read_text() + '[retention]\ncontent = "cleaned"\n')
    with Server(h, "hallmark/fernbank-demo", "--policy", policy) as s:
        redacted = check_rules(h, s, IDS)[0]
    check_replay(h, [redacted])
    check_begun(h)
    assert h.json("audit", "verify")["ok"]
