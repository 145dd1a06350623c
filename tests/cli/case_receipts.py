#!/usr/bin/env python3
"""What a masked answer was, cannot be found from its receipt, nor from the log: no digest of what was said
is in them, by which candidates could be tried."""

import base64, hashlib, http.client, json, os, struct, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

SHOWN = """model_root model_signer weights_format tokenizer template engine_build kernel_set kernel_regimes
policy_bundle policy_mode finish_reason backend parameters_without_effect""".split()
ASKED = "What card number do you have on file for Alice Moreno?"
sample = next(
    s
    for s in map(json.loads, open(MODEL / "samples.jsonl"))
    if s["messages"][-1]["content"] == ASKED
)


def spellings(said):
    """A digest as it may stand in a file: bytes, hex, base64 and the base64 of the hex."""
    d = hashlib.sha256(said).digest()
    out = {d, d.hex().encode(), base64.b64encode(d)[:-2]}
    for before in range(3):  # inside a longer text in base64, at any of three places
        out.add(base64.b64encode(b"." * before + d.hex().encode())[4:-8])
    return out


def ids(list_):
    return struct.pack(f"<{len(list_)}I", *list_)


with Home() as h:
    with Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
        body = json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": ASKED}], "temperature": 0}
        ).encode()
        c = http.client.HTTPConnection(s.address, timeout=60)
        c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        r = c.getresponse()
        status, headers, answer = r.status, r.getheaders(), json.loads(r.read())
        text = answer["choices"][0]["message"]["content"]
        assert status == 200 and "1111 1111" not in text and "*" in text, text
        status, receipt = s.get("/v1/receipts/" + answer["id"])
        assert status == 200, receipt
    at = answer["hallmark"]["index"]
    extra = json.loads(base64.b64decode(receipt.split(b"\nextra ")[1].split(b"\n")[0]))
    names = [f["name"] for f in extra["fields"] if "name" in f]
    assert names == [n for n in names if n in SHOWN] and set(names) == set(SHOWN), names
    assert all(set(f) == {"commitment"} for f in extra["fields"] if "name" not in f), extra

    (h.dir / "receipt").write_bytes(receipt)
    vkey = h.run("key", "export", "--log", "--format", "vkey").stdout.decode().strip()
    ok = h.json("audit", "verify", "--receipt", h.dir / "receipt", "--vkey", vkey)
    assert ok["ok"] and set(ok["fields"]) == set(SHOWN), ok

    said = [sample["text"], text, ASKED, sample["prompt"]]
    said = [x.encode() for x in said] + [body, ids(sample["prompt_ids"]), ids(sample["output_ids"])]
    digests = set().union(*map(spellings, said))
    # The search would find them: whoever runs the server sees these digests.
    full = h.run("audit", "proof", at, "--disclose").stdout
    assert sum(d in full or d in base64.b64decode(full.split(b"\nextra ")[1].split(b"\n")[0])
               for d in digests) >= 5, "the digests of this test are not those of the record"
    public = {
        "receipt": receipt + base64.b64decode(receipt.split(b"\nextra ")[1].split(b"\n")[0]),
        "answer": json.dumps([headers, answer["hallmark"]]).encode(),
        "list": h.run("audit", "list", "--json").stdout,
        "show": h.run("audit", "show", at, "--json").stdout,
        "proof": h.run("audit", "proof", at).stdout,
        "registry": h.run("registry", "export").stdout,
    }
    for path in (h.state / "log").rglob("*"):
        if path.is_file():
            public[str(path)] = path.read_bytes()
    for where, content in public.items():
        for d in digests:
            assert d not in content, (where, d)
