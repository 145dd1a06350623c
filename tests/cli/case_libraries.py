#!/usr/bin/env python3
"""A policy compiled beside one version of PCRE2 is the same beside another, and loads there; a replay
names what is different about the machine, and stays equal."""

import hashlib, os, pathlib, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server

# What the libraries say of themselves, and nothing else, is another machine's.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
int pcre2_config_8(uint32_t what, void *where)
{
	int (*own)(uint32_t, void *) = (int (*)(uint32_t, void *))dlsym(RTLD_NEXT, "pcre2_config_8");
	if (what != 11) /* PCRE2_CONFIG_VERSION */
		return own(what, where);
	if (where)
		strcpy(where, "99.7 2031-01-01");
	return sizeof "99.7 2031-01-01";
}
const char *utf8proc_unicode_version(void) { return "31.0.0"; }
"""

with Home() as h:
    (h.dir / "shim.c").write_text(SHIM)
    shim = h.dir / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, h.dir / "shim.c", "-ldl"], check=True)
    asan = os.environ.get("ASAN_OPTIONS", "")
    other = h.env(LD_PRELOAD=str(shim), ASAN_OPTIONS=f"{asan}:verify_asan_link_order=0")

    here = h.run("policy", "compile", POLICY).stdout
    there = h.run("policy", "compile", POLICY, env=other).stdout
    assert here == there and b"99.7" not in there and b'"pan/2"' in there, there
    (h.dir / "there.bundle").write_bytes(there)
    text = b'{"id":"1","text":"card 4111 1111 1111 1111"}\n'
    scan = ("policy", "scan", "--policy", h.dir / "there.bundle", "--json")
    assert b"411111" not in h.run(*scan, input=text).stdout.replace(b"4111 11*", b"")

    answers = {}
    for name, env in ("here", None), ("there", other):
        with Server(h, MODEL, "--unsigned", "--policy", h.dir / "there.bundle", env=env) as s:
            answers[name] = s.stream("What is an overdraft?", temperature=0.9, seed=7)
            assert s.stop() == 0
    assert answers["here"][0] == answers["there"][0]
    loaded = [
        e["entry"]["body"]
        for e in h.json("audit", "list", "--count", 100)["entries"]
        if e["entry"]["type"] == "bundle"
    ]
    assert [b["digest"] for b in loaded] == [loaded[0]["digest"]] * 2, loaded
    source = hashlib.sha256(pathlib.Path(POLICY).read_bytes()).hexdigest()
    assert loaded[0]["source"] == f"sha256:{source}" and loaded[0]["rules_digest"] in there.decode()
    assert "pcre2-99.7" not in loaded[0]["tables"] and "pcre2-99.7" in loaded[1]["tables"], loaded

    def replay(name, env=None):
        index = answers[name][1]["hallmark"]["index"]
        return h.json("audit", "replay", index, "--model", MODEL, "--unsigned", env=env)

    same = replay("here")
    assert same["equal"] and same["libraries"] == [], same
    assert replay("there", other)["libraries"] == []
    moved = replay("there")
    assert moved["equal"] and moved["verdict"] == "equal", moved
    named = {row["name"]: (row["recorded"], row["found"]) for row in moved["libraries"]}
    assert set(named) == {"pcre2", "unicode"} and named["pcre2"][0] == "99.7", named
    assert named["unicode"][0] == "31.0.0" and named["pcre2"][1][:3] == "10.", named
    back = {r["name"]: r["found"] for r in replay("here", other)["libraries"]}
    assert back == {"pcre2": "99.7", "unicode": "31.0.0"}, back

    # Where something does differ, the sentence tells what else did.
    index = answers["there"][1]["hallmark"]["index"]
    seed = ("audit", "replay", index, "--model", MODEL, "--unsigned", "--seed", 8)
    r = h.run(*seed, status=3)
    assert b"differs from the record; other libraries" in r.stderr and b"build" not in r.stderr, r
    assert b"libraries" not in h.run(*seed, status=3, env=other).stderr

    # A bundle is what its name says, or no answer is run with it.
    kept = next((h.state / "policy").glob("*.bundle"))
    bytes_of_it = kept.read_bytes()
    kept.chmod(0o644)
    index = answers["here"][1]["hallmark"]["index"]
    again = ("audit", "replay", index, "--model", MODEL, "--unsigned")
    kept.write_bytes(bytes_of_it.replace(b'"mask"', b'"flag"'))
    assert b"not the bundle that its name says" in h.run(*again, status=3).stderr
    kept.unlink()
    assert b"was not kept" in h.run(*again, status=5).stderr
    kept.write_bytes(bytes_of_it)
    h.run(*again)
