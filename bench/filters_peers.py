#!/usr/bin/env python3
"""Precision and recall beside peers, on the same texts in the same run.
   filters_peers.py BINARY [--presidio PYTHON] [--gitleaks BINARY]

PYTHON is an interpreter that has presidio-analyzer (PyPI; its pattern recognizers are used, those of all
countries, at a score of 0.4 and more); the other BINARY is gitleaks (a Go module). What is absent is named
and left out. A span of a text counts as found when findings cover the whole of it; a finding that touches no
span is false. Time is processor time of the tool on all texts (of ours twenty times over), less its start on
none, in microseconds a kilobyte."""

import argparse, base64, json, os, pathlib, subprocess, sys, tempfile

REPEAT = 20
TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests/vectors/filters"
PRESIDIO = r"""
import importlib, inspect, json, pkgutil, sys, time, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
import presidio_analyzer.predefined_recognizers as p
from presidio_analyzer import PatternRecognizer
use = []
for _, c in inspect.getmembers(p, inspect.isclass):
    if issubclass(c, PatternRecognizer) and c is not PatternRecognizer:
        try: use.append(c())
        except Exception: pass
texts = [json.loads(l) for l in sys.stdin]
began = time.process_time()
for t in texts:
    spans = []
    for r in use:
        for x in r.analyze(t["text"], r.supported_entities, None) or []:
            if x.score >= 0.4: spans.append([len(t["text"][:at].encode()) for at in (x.start, x.end)])
    t["spans"] = spans
took = time.process_time() - began
for t in texts: print(json.dumps({"id": t["id"], "spans": t["spans"]}))
print(json.dumps({"took": took, "recognizers": len(use)}))
"""


def lines(name):
    path = TESTS / name
    return [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def personal():
    sets = {}
    for name in ("texts.jsonl", "texts_eu.jsonl", "texts_world.jsonl", "texts_contact.jsonl"):
        if got := [(x["text"], [s[:2] for s in x["spans"]]) for x in lines(name)]:
            sets[name] = got
    sets["benign.jsonl"] = [(x["text"], []) for x in lines("benign.jsonl")]
    dates = {"date", "de_plz"}
    sets["pii_presidio.jsonl (scored)"] = [
        (x["text"], x["byte_spans"])
        for x in lines("pii_presidio.jsonl")
        if x.get("byte_spans")
        and min([low for low, _ in x.get("scores") or [[1, 1]]]) >= 0.5
        and x["recognizer"] not in dates
    ]
    return sets


def secrets():
    sets = {}
    for name in ("secret_cases.jsonl", "secrets_own.jsonl"):
        got = [(base64.b64decode(x["text_b64"]).decode("utf-8", "replace"), x["hit"]) for x in lines(name)]
        if got:
            sets[name] = got
    return sets


def spent():
    """Processor time of finished children."""
    t = os.times()
    return t.children_user + t.children_system


def ours(binary, pack, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(f'[policy]\nname = "peers"\nversion = 1\nmode = "enforce"\nextends = ["{pack}"]\n')
        f.flush()

        def run(some):
            data = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(some))
            began = spent()
            out = subprocess.run(
                [binary, "policy", "scan", "--policy", f.name, "--json"],
                input=data.encode(),
                stdout=subprocess.PIPE,
                check=True,
            )
            return spent() - began, [json.loads(x) for x in out.stdout.splitlines()]

        start = min(run([])[0] for _ in range(3))
        out = run(texts)[1]
        took = run(texts * REPEAT)[0]
    return max(0, took - start) / REPEAT, [[(a["start"], a["end"]) for a in x["findings"]] for x in out]


def presidio(python, texts):
    data = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
    out = subprocess.run([python, "-c", PRESIDIO], input=data.encode(), stdout=subprocess.PIPE, check=True)
    rows = [json.loads(x) for x in out.stdout.splitlines()]
    return rows[-1]["took"], [x["spans"] for x in rows[:-1]]


def gitleaks(binary, texts):
    def run(some):
        with tempfile.TemporaryDirectory() as d:
            for i, t in enumerate(some):
                (pathlib.Path(d) / f"{i}.txt").write_text(t, encoding="utf-8")
            began = spent()
            subprocess.run(
                [
                    binary,
                    "dir",
                    d,
                    "--no-banner",
                    "--exit-code",
                    "0",
                    "--report-format",
                    "json",
                    "--report-path",
                    d + "/report",
                    "--log-level",
                    "error",
                ],
                check=True,
            )
            took = spent() - began
            report = json.loads((pathlib.Path(d) / "report").read_text())
        return took, {int(pathlib.Path(x["File"]).stem) for x in report}

    start = min(run([])[0] for _ in range(3))
    took, found = run(texts)
    return max(0, took - start), [i in found for i in range(len(texts))]


def covered(span, found):
    at = span[0]
    for start, end in sorted(found):
        if start <= at < end:
            at = end
    return at >= span[1]


def row(name, tool, texts, hit, missed, false, took):
    size = sum(len(t.encode()) for t in texts) / 1024
    recall = f"{hit / (hit + missed):.3f}" if hit + missed else "-"
    precision = f"{hit / (hit + false):.3f}" if hit + false else "-"
    print(f"| {name} | {len(texts)} | {tool} | {recall} | {precision} | {hit} | {missed} | {false}", end="")
    print(f" | {1e6 * took / size:.1f} |", flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("binary")
    a.add_argument("--presidio")
    a.add_argument("--gitleaks")
    a = a.parse_args()
    tools = [
        ("packs/pii-eu", lambda t: ours(a.binary, "packs/pii-eu", t)),
        ("packs/pii-all", lambda t: ours(a.binary, "packs/pii-all", t)),
    ]
    if a.presidio:
        tools.append(("Presidio", lambda t: presidio(a.presidio, t)))
    print("| texts | of them | tool | recall | precision | spans found | missed | false findings | us/KB |")
    print("|---" * 9 + "|")
    for name, cases in personal().items():
        texts = [t for t, _ in cases]
        for tool, scan in tools:
            took, found = scan(texts)
            hit = sum(covered(s, f) for (_, spans), f in zip(cases, found) for s in spans)
            missed = sum(len(spans) for _, spans in cases) - hit
            false = sum(
                not any(s < q and p < e for p, q in spans)
                for (_, spans), f in zip(cases, found)
                for s, e in f
            )
            row(name, tool, texts, hit, missed, false, took)
    if not a.presidio:
        print("\nPresidio is absent (--presidio PYTHON).")
    print("\n| texts | of them | tool | recall | precision | texts found | missed | false | us/KB |")
    print("|---" * 9 + "|")
    for name, cases in secrets().items():
        texts = [t for t, _ in cases]
        tools = [("packs/secrets", lambda t: ours(a.binary, "packs/secrets", t))]
        if a.gitleaks:
            tools.append(("gitleaks", lambda t: gitleaks(a.gitleaks, t)))
        for tool, scan in tools:
            took, found = scan(texts)
            hit = sum(bool(f) for (_, want), f in zip(cases, found) if want)
            missed = sum(want for _, want in cases) - hit
            row(
                name,
                tool,
                texts,
                hit,
                missed,
                sum(bool(f) for (_, want), f in zip(cases, found) if not want),
                took,
            )
    if not a.gitleaks:
        print("\ngitleaks is absent (--gitleaks BINARY).")


main()
