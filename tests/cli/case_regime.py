#!/usr/bin/env python3
"""A record says in which class of bits it was computed. Every kernel set of that class replays it; in
another the answer is that it cannot be replayed here, exit 7, and not that it differs."""

import json, os, pathlib, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import HALLMARK, Home, MODEL, Server, TOP

OLD = TOP / "tests/vectors/state/state-0.tar.gz"
FLAGS = pathlib.Path("/proc/cpuinfo").read_text().split()
CANONICAL = ["plain"] + ["avx2"] * ("avx2" in FLAGS) + ["avx512"] * ("avx512dq" in FLAGS)
CANONICAL += ["vnni"] * ("avx512_vnni" in FLAGS) + ["avxvnni"] * ("avx_vnni" in FLAGS)
INT8 = "cpu-fast-int8/1"
FAST = {f"int8-{kernels}": INT8 for kernels in CANONICAL}
if "avx512_bf16" in FLAGS and "avx512_vnni" in FLAGS:
    FAST["bf16"] = "cpu-fast-bf16/2"


with Home() as h:

    def ask(*options, env=None):
        with Server(h, MODEL, "--unsigned", *options, env=env) as s:
            mark = s.stream("What is an overdraft?", temperature=0.9, seed=7, max_tokens=12)[1]
        return mark["hallmark"]["index"]

    def fields(index):
        disclosed = h.json("audit", "show", index, "--disclose")["disclosed"]["fields"]
        return {f["name"]: f["value"] for f in disclosed}

    def replay(index, kernels=None, status=0):
        env = h.env(HALLMARK_KERNELS=kernels) if kernels else None
        return h.json(
            "audit", "replay", index, "--model", MODEL, "--unsigned", env=env, status=status
        )

    build = subprocess.run([HALLMARK, "--version"], capture_output=True, text=True).stdout.split()[-1]
    index = ask(env=h.env(HALLMARK_KERNELS="plain"))
    said = fields(index)
    assert said["kernel_regimes"] == ["cpu/1"] and said["kernel_set"] == "plain", said
    assert said["engine_build"] == build, said
    for kernels in CANONICAL:
        same = replay(index, kernels)
        assert same["equal"] and same["regime"] == "cpu/1" and same["kernels_here"] == kernels, same
        assert same["kernels_recorded"] == "plain" and same["build_recorded"] == build, same
    for kernels, regime in FAST.items():
        other = replay(index, kernels, status=7)
        assert other["verdict"] == "other regime" and not other["equal"], other
        assert other["regimes_recorded"] == ["cpu/1"] and other["regime"] == regime, other
        row = {"field": "kernel_regimes", "recorded": '["cpu/1"]', "found": f'["{regime}"]'}
        assert other["differences"] == [row] and other["tokens"] == 12, other
        r = h.run("audit", "replay", index, env=h.env(HALLMARK_KERNELS=kernels), status=7)
        assert b"cannot be replayed here" in r.stderr and b"differs" not in r.stderr, r.stderr

    fast = ask("--numerics", "fast")
    best = FAST[list(FAST)[-1]]
    assert fields(fast)["kernel_regimes"] == [best], fields(fast)
    assert replay(fast)["equal"]
    assert replay(fast, "plain", status=7)["regimes_recorded"] == [best]

    eights = [kernels for kernels in FAST if FAST[kernels] == INT8]
    small = ask("--numerics", "fast", env=h.env(HALLMARK_KERNELS=eights[0]))
    assert fields(small)["kernel_regimes"] == [INT8], fields(small)
    for kernels in eights:
        same = replay(small, kernels)
        assert same["equal"] and same["regime"] == INT8 and same["kernels_here"] == kernels, same

    # In the log, what is served says it too.
    served = [e["entry"].get("body", {}) for e in h.json("audit", "list")["entries"]]
    assert [b["regime"] for b in served if b.get("event") == "serve"][0] == "cpu/1", served

with Home() as h:
    # A record of an earlier version: six fields fewer, and "canonical" for a regime. The state folder's
    # model was signed; here the same bytes are not, and nothing else differs.
    h.state.mkdir()
    subprocess.run(["tar", "xzf", OLD, "-C", h.state], check=True)
    for index in 16, 20:
        command = ("audit", "replay", index, "--model", MODEL, "--unsigned", "--json")
        r = h.run(*command, status=3)
        assert b"the replay differs from the record; another build computed it" in r.stderr, r.stderr
        old = json.loads(r.stdout)
        assert [d["field"] for d in old["differences"]] == ["model_signer"], old
        assert old["first_token"] == -1 and old["tokens"] == 4 and old["verdict"] == "different", old
        assert old["regimes_recorded"] == ["cpu/1"] and old["build_recorded"] == "hallmark-0.1.0", old
