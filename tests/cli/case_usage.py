#!/usr/bin/env python3
"""Every command explains itself; what is not built is refused by name with exit 1; mistakes on the
command line are exit 2."""

import json, os, re, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, POLICY, TOP

row = re.compile(r'^\t\{ "([a-z]+)",\s*(?:"([a-z]+)"|NULL)[, ]', re.M)
commands = row.findall((TOP / "cli/commands.c").read_text())
later = row.findall((TOP / "cli/commands_later.c").read_text())
assert len(commands) > 30 and len(later) > 30, (len(commands), len(later))
with Home() as h:
    overview = h.run("--help").stdout.decode()
    for noun, verb in commands + later:
        words = [noun] + ([verb] if verb else [])
        help_text = h.run(*words, "--help").stdout.decode()
        assert help_text.startswith("usage: hallmark " + " ".join(words)), help_text
        listed = re.search(rf"^  {noun} +{verb} ", overview, re.M)
        if (noun, verb) in later:
            assert "not available in this version" in help_text and not listed, help_text
            r = h.run(*words, status=1)
            assert f"not available in this version: {' '.join(words)}" in r.stderr.decode(), r
        else:
            assert help_text.count("\n  hallmark ") == 2 and (listed or not verb), help_text
        h.run(*words, "--no-such-option", status=2)
        if "--dry-run" not in help_text:  # never taken by a command that would write all the same
            h.run(*words, "--dry-run", status=2)
    h.run(status=2)
    h.run("nonsense", status=2)
    h.run("release", "nonsense", status=2)
    h.run("key", "list", status=5)  # looking creates no state
    assert not h.state.exists()

    bad = h.dir / "bad.toml"
    bad.write_text('[policy]\nname = "x"\nversion = "one"\nmode = "enforce"\n[[rule]]\nid = 7\n')
    problems = h.json("policy", "check", bad, status=1)
    assert not problems["ok"] and {p["line"] for p in problems["problems"]} >= {3, 6}, problems
    assert h.json("policy", "check", POLICY)["ok"]
    assert h.json("policy", "test", POLICY)["ok"]
    one = h.run("policy", "compile", POLICY).stdout
    assert one == h.run("policy", "compile", POLICY).stdout and one.startswith(b"HMPOLICY1\n")

    lines = "".join(
        json.dumps({"id": str(i), "text": t}) + "\n"
        for i, t in enumerate(
            [
                "card 4111 1111 1111 1111 ok",
                "write to a.b@example.com",
                "nothing here",
                "Project L\u200barkspur \U0001f600",
            ]
        )
    )
    whole = h.run("policy", "scan", "--policy", POLICY, "--json", input=lines.encode()).stdout
    for pieces in ("1", "1,3,17", "2,5"):
        cut = h.run(
            "policy", "scan", "--policy", POLICY, "--json", "--pieces", pieces, input=lines.encode()
        ).stdout
        for a, b in zip(whole.splitlines(), cut.splitlines(), strict=True):
            a, b = json.loads(a), json.loads(b)
            a.pop("held_max"), b.pop("held_max")
            assert a == b, (pieces, a, b)
    first = json.loads(whole.splitlines()[0])
    assert (
        first["action"] == "mask"
        and "411111" in first["output"].replace(" ", "")
        and "4111 1111 1111 1111" not in first["output"]
    )
    assert json.loads(whole.splitlines()[2])["action"] == "none"

    assert h.json("selftest")["failed"] == 0
    oracles = h.json(
        "selftest", "--oracles", TOP / "tests/vectors/oracles", "--dump", h.dir / "dump"
    )
    assert oracles["failed"] == 0 and oracles["passed"] >= 3, oracles
    assert (h.dir / "dump/deepseek_v2/computed.safetensors").exists()
    # what a stranger's folder says reaches no terminal as a command
    card = h.model("card") / "README.md"
    card.write_text('---\nbase_model: a/b\nmodel_name: "x/\\e]0;title\\a\\e[31my-70B"\n---\n')
    shown = h.run("fork", "compare", MODEL, card.parent, "--quiet").stdout
    assert rb"the name x/\x1b]0;title\x07\x1b[31my-70B says" in shown and b"\x1b" not in shown, shown
    forks = h.json("fork", "compare", MODEL, MODEL)
    assert forks["verdict"] == "identical", forks
    calibrated = h.json("fork", "calibrate", MODEL)
    assert calibrated["passed"] and calibrated["pairs"] >= 480, calibrated
    full = subprocess.run(f"{HALLMARK} key list --help >/dev/full", shell=True, env=h.env())
    assert full.returncode == 1, full
