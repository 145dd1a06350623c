#!/usr/bin/env python3
"""The policy verbs as a person uses them: what there is, what is wrong and where, what was changed of a
pack, in text and in JSON."""

import json, os, re, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, POLICY

HEAD = '[policy]\nname = "p"\nversion = 1\nmode = "enforce"\n'
MAIL = HEAD + 'extends = ["packs/pii-eu"]\n'


def policy(h, text):
    path = h.dir / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def scan(h, path, text):
    line = json.dumps({"id": "1", "text": text}) + "\n"
    return json.loads(h.run("policy", "scan", "--policy", path, "--json", input=line.encode()).stdout)


def lists(h):
    packs = h.json("policy", "packs")["packs"]
    assert {"packs/pii-eu", "packs/pii-all", "packs/secrets"} <= {p["name"] for p in packs}, packs
    for p in packs:
        rules = h.json("policy", "packs", p["name"].split("/")[1])["rules"]
        assert len(rules) == p["rules"] and p["version"] >= 1, p
        assert all(r["id"] and r["action"] and r["phase"] and r["description"] for r in rules), p["name"]
    table = h.run("policy", "packs", "pii-eu").stdout.decode().splitlines()
    assert re.match(r"id +match +action +phase +enabled +description$", table[0]), table[0]
    assert any(re.match(r"pii-eu/pan +pan/\d+ +mask +input, output, tool_results +yes +\w", t) for t in table)
    assert "no built-in pack" in h.run("policy", "packs", "nope", status=5).stderr.decode()

    detectors = h.json("policy", "detectors")["detectors"]
    assert len(detectors) > 500
    one = h.json("policy", "detectors", "pan")["detectors"]
    assert one == [d for d in detectors if d["name"] == "pan"] and one[0]["version"] >= 2, one
    assert one[0]["recall"] is None or 0 <= one[0]["recall"] <= 1
    table = h.run("policy", "detectors").stdout.decode().splitlines()
    assert len(table) == len(detectors) + 1 and table[0].split()[:2] == ["name", "version"]
    told = h.run("policy", "detectors", "pan").stdout.decode()
    assert "ISO/IEC 7812" in told and told.startswith("name "), told
    assert h.json("policy", "detectors", f"pan/{one[0]['version']}")["detectors"] == one
    meant, see = 'did you mean "pan"?', "see `hallmark policy detectors`"
    for name, said in (("Pan", meant), ("pan/99", meant), ("zzzzzzzz", see)):
        assert said in h.run("policy", "detectors", name, status=5).stderr.decode(), name
    verbs = h.run("policy", "--help").stdout.decode()
    assert "check" in verbs and "scan" in verbs and "serve " not in verbs.split("VERB", 1)[1], verbs
    assert "see `hallmark policy --help`" in h.run("policy", "chekc", status=2).stderr.decode()
    err = h.run("policy", "detectors", "creditcard", status=5).stderr.decode()
    assert 'there is no detector "creditcard"; did you mean "pan"?' in err, err


def mistakes(h):
    text = HEAD + 'fold = "case"\n[[rule]\nid = "r"\nphase = output\n'
    text += 'match = { literal = "x" }\naction = "hide"\n'
    report = h.json("policy", "check", policy(h, text), status=1)
    assert [p["line"] for p in report["problems"]] == [5, 6, 6, 8, 9, 10], report
    assert "uncovered" not in report
    said = ("belongs in match", "expected ']]'", 'in quotes: "output"', "mean literals?", '"redact"?')
    for words in said:
        assert any(words in p["text"] for p in report["problems"]), (words, report)


def covered(h):
    report = h.json("policy", "check", POLICY)
    assert report["ok"] and report["uncovered"] == [] and report["overrides"] == [], report
    rule = '[[rule]]\nid = "r"\nphase = ["content"]\nmatch = { literals = ["x"] }\naction = "flag"\n'
    rule += 'tests.hit = ["x", "a x", "x."]\ntests.miss = ["a", "b", "c"]\n'
    report = h.json("policy", "check", policy(h, HEAD + rule))
    assert report["ok"] and "tool_arguments" in report["uncovered"], report
    said = h.run("policy", "check", h.dir / "policy.toml").stdout.decode()
    assert "no rule looks at tool_arguments" in said, said


def overrides(h):
    card, mail = "4111 1111 1111 1111", "henryb@example.com"
    text = f"card {card}, mail {mail}"
    assert scan(h, policy(h, MAIL), text)["output"] == "card 4111 11** **** 1111, mail [redacted]"
    change = '[[override]]\nrule = "pii-eu/email"\nreason = "public"\n'
    change += 'except.literals = ["HenryB@example.com"]\n'
    change += '[[override]]\nrule = "pii-eu/pan"\naction = "redact"\nreplace = "[card]"\n'
    path = policy(h, MAIL + change)
    assert scan(h, path, text)["output"] == f"card [card], mail {mail}"
    report = h.json("policy", "check", path)
    assert [o["rule"] for o in report["overrides"]] == ["pii-eu/email", "pii-eu/pan"], report
    assert report["overrides"][0]["reason"] == "public" and report["overrides"][0]["line"] == 6, report
    assert h.json("policy", "test", path)["ok"]
    bundle = h.dir / "p.bundle"
    h.run("policy", "compile", path, "--out", bundle)
    assert scan(h, bundle, text)["output"] == f"card [card], mail {mail}"
    (wrong,) = h.json("policy", "check", bundle, status=1)["problems"]
    assert "found a bundle; name the file that it was compiled from" in wrong["text"], wrong
    old = bundle.read_text().replace('"email/', '"email/99')
    bundle.write_text(old)
    err = h.run("policy", "scan", "--policy", bundle, "--json", status=1, input=b"").stderr.decode()
    assert "email/99" in err and "compile the policy again" in err, err


with Home() as h:
    lists(h)
    mistakes(h)
    covered(h)
    overrides(h)
print("policy verbs: lists, mistakes, coverage, overrides")
