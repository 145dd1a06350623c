#!/usr/bin/env python3
"""An audit among relatives and strangers: the parent and no sibling is named, in report and log; two at once,
beside a server, killed and begun again give one report; --fail-on ends with 4 after report and log."""

import json, os, signal, subprocess, sys

sys.path.insert(0, os.path.dirname(__file__))
import relatives as R
from client import HALLMARK, Home, MODEL, POLICY, Server

LOGGED = ("index", "receipt", "bundle")  # what differs from one audit to the next


def entries(h, kind="fork"):
    listed = h.json("audit", "list", "--count", "10000")["entries"]
    return [e["entry"]["body"] for e in listed if e["entry"]["type"] == kind]


def without(report):
    return {k: v for k, v in report.items() if k not in LOGGED}


def names(report, key):
    return [c["name"] for c in report[key]]


with Home() as h:
    base = R.base(1)
    left, right = R.tuned(base, 0.2, 2), R.tuned(base, 0.3, 3)
    registered = {
        "base": (base, None),
        "left": (left, "base_model: acme/base"),
        "right": (right, None),
        "stranger": (R.base(8), None),
        "other": (R.base(9), None),
    }
    for name, (model, card) in registered.items():
        h.publish(R.write(h.dir / name, model, card), f"acme/{name}")
    child = R.write(h.dir / "child", R.tuned(base, 0.25, 4))
    small = R.write(h.dir / "small", R.rounded(left), "base_model: acme/left\nbase_model_relation: quantized")
    alone = R.write(h.dir / "alone", R.base(20))

    # a child of the base: its siblings are no parents, strangers are unrelated
    found = h.json("fork", "audit", child)
    assert found["verdict"] == "dependent-initialisation" and found["parent"] == "acme/base@1.0.0", found
    assert sorted(names(found, "siblings")) == ["acme/left@1.0.0", "acme/right@1.0.0"], found["siblings"]
    assert names(found, "candidates")[0] == "acme/base@1.0.0", found["candidates"]
    related = {c["name"]: c["direction"] for c in found["candidates"]}
    assert related["acme/stranger@1.0.0"] is None and related["acme/other@1.0.0"] is None, related
    assert [f["kind"] for f in found["findings"]] == ["F-PARENT-MISSING"], found["findings"]
    body = entries(h)[-1]
    assert [p["name"] for p in body["parents"]] == ["acme/base@1.0.0"], body
    assert len(body["siblings"]) == 2 and body["verdict"] == found["verdict"], body

    # a quantised copy of a tuned one that says so: nothing to find
    told = h.json("fork", "audit", small)
    assert told["parent"] == "acme/left@1.0.0" and told["findings"] == [], told
    assert {c["name"]: c["direction"] for c in told["candidates"]}["acme/base@1.0.0"] == "ancestor"

    # five of its experts are the base's, value for value: no model of the base's children is nearer
    taken = tuple(f"model.layers.0.mlp.experts.{e}." for e in range(5))
    patched = {k: base[k] if k.startswith(taken) else v for k, v in R.base(30).items()}
    part = h.json("fork", "audit", R.write(h.dir / "part", patched))
    assert part["parent"] == "acme/base@1.0.0", part["candidates"]
    assert part["candidates"][0]["identical_tensors"] == 15, part["candidates"]

    # nothing is decided: nobody is named
    none = h.json("fork", "audit", alone)
    assert none["verdict"] == "no-evidence" and none["parent"] is None and none["parents"] == [], none
    assert entries(h)[-1]["parents"] == [] and entries(h)[-1]["siblings"] == []

    # --fail-on: after report and log; what is not known is wrong usage, and nothing is done
    size = len(entries(h))
    denied = h.run("fork", "audit", child, "--json", "--fail-on", "F-PARENT-MISSING,F-CONFIG", status=4)
    assert json.loads(denied.stdout)["parent"] == found["parent"], denied.stdout
    assert b"F-PARENT-MISSING" in denied.stderr and b"F-CONFIG" not in denied.stderr, denied.stderr
    h.run("fork", "audit", child, "--fail-on", "dependent-initialisation", status=4)
    severity = {f["kind"]: f["severity"] for f in json.loads(denied.stdout)["findings"]}
    assert severity["F-PARENT-MISSING"] == "warning", severity  # the order of registration alone
    h.run("fork", "audit", child, "--fail-on", "warning", status=4)
    h.run("fork", "audit", child, "--fail-on", "contradiction")
    h.run("fork", "audit", small, "--fail-on", "F-PARENT-MISSING,F-PARENT-WRONG")
    assert len(entries(h)) == size + 5
    for wrong in ("F-NONE", "F-CONFIG,x", ",", ""):
        r = h.run("fork", "audit", child, "--fail-on", wrong, status=2)
        assert b"F-PARENT-WRONG" in r.stderr and b"no-evidence" in r.stderr, r.stderr
    assert len(entries(h)) == size + 5

    # two at once beside a server: the same report, each with its entry
    subprocess.run(["rm", "-r", h.state / "cache/sketches"], check=True)  # both make all of them
    with Server(h, MODEL, "--policy", POLICY, "--unsigned") as s:
        two = [
            subprocess.Popen(
                [HALLMARK, "fork", "audit", child, "--json"], env=h.env(), stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        reports = [json.loads(p.communicate(timeout=300)[0]) for p in two]
        assert [p.returncode for p in two] == [0, 0]
        assert s.chat("What is an overdraft?", max_tokens=4)[0] == 200
        assert s.stop() == 0
    assert without(reports[0]) == without(reports[1]) == without(found), reports
    assert reports[0]["index"] != reports[1]["index"]

    # killed before its entry: nothing is logged, and the next says the same
    size = len(entries(h))
    subprocess.run(["rm", "-r", h.state / "cache/sketches"], check=True)
    for step in ("fork.sketched", "fork.candidate:1", "fork.candidate:3", "fork.examined"):
        r = h.run("fork", "audit", child, status=None, env=h.env(HALLMARK_CRASH_AT=step))
        assert r.returncode == -signal.SIGKILL, (step, r)
    assert len(entries(h)) == size
    assert without(h.json("fork", "audit", child)) == without(found)
    assert h.json("audit", "verify")["ok"]

with Home() as h:
    base = R.base(1)
    left, right = R.tuned(base, 0.2, 2), R.tuned(base, 0.3, 3)
    router = "model.layers.0.mlp.gate.weight"
    first, second, third = R.beside(R.base(11), 5), R.beside(R.base(12), 5), R.base(13)
    second[router] = third[router] = first[router]
    nan = R.base(14)
    nan[router] = (*nan[router][:2], [float("nan")] + nan[router][2][1:])

    # a mix before its parents are here; nothing is related
    mix = R.write(h.dir / "mix", R.tuned(R.mixed(left, right, 0.3), 0.01, 9))
    h.publish(R.write(h.dir / "first", first), "acme/first")
    assert h.json("fork", "audit", mix)["verdict"] == "no-evidence"
    assert h.json("fork", "audit", "--again")["current"] == 1

    # its parents come: each with its weight, and the base is none
    for name, model in {"base": base, "left": left, "right": right, "second": second, "nan": nan}.items():
        h.publish(R.write(h.dir / name, model), f"acme/{name}")
    denied = h.run("fork", "audit", "--again", "--json", "--fail-on", "dependent-initialisation", status=4)
    again = json.loads(denied.stdout)
    (changed,) = again["changed"]
    assert changed["was"]["verdict"] == "no-evidence" and changed["parent"] == "acme/right@1.0.0", again
    parents = {p["name"]: p["weight"] for p in changed["report"]["parents"]}
    for name, weight in (("right", 0.7), ("left", 0.3)):
        assert abs(parents[f"acme/{name}@1.0.0"] - weight) < 0.05, parents
    told = changed["report"]["mix"]
    assert sorted(told["of"]) == sorted(parents) and told["residual"] < told["nearest_alone"] / 2, told
    assert [x["nearest"] for x in told["layers"]] == ["acme/right@1.0.0"], told
    assert entries(h)[-1]["parents"][0]["weight"] == parents["acme/right@1.0.0"]
    assert changed["index"] > 0 and h.json("fork", "audit", "--again")["current"] == 1
    h.run("fork", "audit", "--again", mix, status=2)
    h.run("fork", "audit", "--again", "--parent", "acme/base", status=2)
    found = h.json("fork", "audit", mix)
    assert found["parents"] == changed["report"]["parents"], found["parents"]
    assert not found["unjudged"], found["unjudged"]
    assert "acme/nan@1.0.0" in names(found, "candidates"), "one NaN spoils one tensor"

    # a tower that two ship, and a router that unrelated models have: shared components, nobody's parent
    shared = R.beside(third, 5)
    told = h.json("fork", "audit", R.write(h.dir / "third", shared))
    assert told["parents"] == [] and told["verdict"] == "no-evidence", told["verdict"]
    components = {c["component"]: sorted(names(c, "with")) for c in told["shared_components"]}
    both = ["acme/first@1.0.0", "acme/second@1.0.0"]
    assert components == {"tower": both, "body": both}, components

    # what is registered goes: its kept sketch is compared, and it is named
    for name in ("right", "first"):
        subprocess.run(["rm", "-r", h.dir / name], check=True)
    kept = h.json("fork", "audit", mix)
    assert kept["parents"] == found["parents"], kept["parents"]
    (named,) = kept["unavailable"]
    assert named["name"] == "acme/right@1.0.0" and named["compared"], named
    subprocess.run(["rm", "-r", h.state / "cache/sketches"], check=True)
    gone = h.json("fork", "audit", mix)
    assert sorted(names(gone, "unavailable")) == ["acme/first@1.0.0", "acme/right@1.0.0"], gone["unavailable"]
    assert gone["verdict"] == "dependent-initialisation"
    assert h.json("audit", "verify")["ok"]

with Home() as h:
    lower, upper = R.base(21, layers=4), R.base(22, layers=4)
    config = dict(R.CONFIG, num_hidden_layers=4)
    for name, model in {"lower": lower, "upper": upper}.items():
        h.publish(R.write(h.dir / name, model, config=config), f"acme/{name}")

    # layers of two unrelated models in one: both are its parents
    stack = R.tuned(R.stacked(lower, upper, 2), 0.05, 5)
    found = h.json("fork", "audit", R.write(h.dir / "stack", stack, config=config))
    parents = {p["name"]: p["weight"] for p in found["parents"]}
    assert sorted(parents) == ["acme/lower@1.0.0", "acme/upper@1.0.0"], found["candidates"]
    nearest = [x["nearest"] for x in found["mix"]["layers"]]
    assert nearest == ["acme/lower@1.0.0"] * 2 + ["acme/upper@1.0.0"] * 2, nearest
