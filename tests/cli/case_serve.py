#!/usr/bin/env python3
"""Served answers are filtered, recorded, replayable and provable; the log survives erasure and the
registry its rebuild."""

import base64, json, os, pathlib, shutil, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, POLICY, Server, flip

with Home() as h:
    model = h.model()
    h.publish(model)
    h.json("fork", "audit", pathlib.Path(MODEL).parent / "unrelated-fp8")
    vkey = h.run("key", "export", "--log", "--format", "vkey").stdout.decode().strip()
    with Server(h, "hallmark/fernbank-demo", "--policy", POLICY) as s:
        assert s.get("/health")[0] == 200
        assert json.loads(s.get("/v1/models")[1])["data"][0]["id"] == "m"
        text, last = s.stream("Show me the full record of Elena Murphy.")
        for secret in ("e.murphy@example.org", "555-0116", "8888 8888", "FERN 0027"):
            assert secret not in text, text
        assert last["choices"][0]["finish_reason"] == "stop" and last["hallmark"]["record"], last
        status, headers, plain = s.chat("Show me the full record of Elena Murphy.")
        assert status == 200 and plain["choices"][0]["message"]["content"] == text, plain
        headers = {k.lower(): v for k, v in headers.items()}
        assert (
            headers["hallmark-record"] == plain["hallmark"]["record"]
            if "hallmark" in plain
            else headers["hallmark-record"]
        )
        (h.dir / "plain.receipt").write_text(headers["hallmark-receipt"])
        case_number = s.stream("What is my case number? I am David Fischer.")[0]
        assert "5500 8991 4330 1467" in case_number, case_number
        sampled, mark = s.stream("What is an overdraft?", temperature=0.9, seed=7)
        status, receipt = s.get("/v1/receipts/" + mark["id"])
        assert status == 200 and receipt.startswith(b"c2sp.org/tlog-proof@v1\n"), (status, receipt)
        (h.dir / "stream.receipt").write_bytes(receipt)
        assert s.get("/v1/receipts/chatcmpl-0000-7")[0] == 404
        assert s.chat("hello", n=9)[0] == 400 and s.chat("x" * 9000)[0] == 400
        assert s.stop() == 0
    index = mark["hallmark"]["index"]

    assert h.json("audit", "verify")["ok"]
    for name in ("plain.receipt", "stream.receipt"):
        ok = h.json(
            "audit",
            "verify",
            "--receipt",
            h.dir / name,
            "--vkey",
            vkey,
            env={"PATH": os.environ["PATH"]},
        )
        assert ok["ok"] and ok["type"] == "decision", ok
    assert ok["index"] == index and "model_root" in ok["fields"], ok
    raw = bytearray(receipt)
    for at in range(0, len(raw), 97):
        raw[at] ^= 1
        (h.dir / "bad.receipt").write_bytes(raw)
        r = h.run(
            "audit", "verify", "--receipt", h.dir / "bad.receipt", "--vkey", vkey, status=None
        )
        assert r.returncode == 3 or b"fields" not in r.stdout, (
            at,
            r,
        )  # a damaged "fields" key discloses nothing
        raw[at] ^= 1

    equal = h.json("audit", "replay", index)
    assert equal["equal"] and equal["first_difference"] is None and equal["tokens"] > 5, equal
    for kernels in ("plain", "avx2"):
        assert h.json("audit", "replay", index, env=h.env(HALLMARK_KERNELS=kernels))[
            "equal"
        ], kernels
    assert equal["verdict"] == "equal", equal
    other = h.json("audit", "replay", index, "--seed", 8, status=3)
    assert other["first_difference"] == "sampling" and other["verdict"] == "different", other
    shutil.copytree(model, h.dir / "weight")
    flip(h.dir / "weight/model.safetensors", 9000000)
    h.run("audit", "replay", index, "--model", h.dir / "weight", status=3)
    assert (
        h.json("audit", "replay", index, "--model", h.dir / "weight", "--unsigned", status=3)[
            "first_difference"
        ]
        == "model_root"
    )
    h.run("audit", "replay", 0, status=1)

    exported = h.run("registry", "export").stdout
    assert b"fernbank" in exported and b"unrelated" in exported
    before = h.json("audit", "verify")
    (h.state / "state.db").rename(h.dir / "state.old")
    for tail in ("-wal", "-shm"):
        (h.state / f"state.db{tail}").unlink(missing_ok=True)
    h.run("audit", "list", status=5)
    rebuilt = h.json("registry", "rebuild")
    assert rebuilt["undisclosable"] == 5, rebuilt  # four answers and the prompt that was too long
    gone = rebuilt["undisclosable_entries"]
    assert len(gone) == 5 and all(g["type"] == "decision" for g in gone), gone
    assert index in [g["index"] for g in gone], gone
    assert h.run("registry", "export").stdout == exported
    after = h.json("audit", "verify")
    assert after["ok"] and after["size"] >= before["size"] and after["root"] == before["root"], (
        before,
        after,
    )
    h.run("audit", "replay", index, status=5)
    h.run("registry", "alias", "hallmark/fernbank-demo", "champion")
    assert h.json("registry", "show", "hallmark/fernbank-demo@champion")["version"] == "1.0.0"
    assert h.json("audit", "verify")["ok"]

    # A folder that cannot be trusted is not served, unless asked to, and the record says so.
    h.run("serve", h.dir / "weight", "--listen", "127.0.0.1:0", status=3)
    flip(h.dir / "weight/config.json", 30)
    h.run("serve", h.dir / "weight", "--listen", "127.0.0.1:0", status=3)

with Home() as h:
    h.run("run", MODEL, "hello", "--unsigned", "--seed", 1 << 63, status=2)
    seeded = ("run", MODEL, "hello", "--unsigned", "--temperature", 1, "--max-tokens", 8, "--seed")
    minus = h.json(*seeded, -1)
    assert minus["seed"] == -1 and minus["text"] == h.json(*seeded, -1)["text"], minus
    replay = ("audit", "replay", minus["hallmark"]["index"], "--model", MODEL, "--unsigned")
    assert h.json(*replay)["equal"] and h.json(*replay, "--seed", -1)["equal"]
    assert h.json(*replay, "--seed", -2, status=3)["first_difference"] == "sampling"
    answer = h.json("run", MODEL, "What is Project Larkspur?", "--unsigned", "--policy", POLICY)
    assert "arkspur" not in answer["text"] and answer["finish_reason"] == "stop", answer
    at = answer["hallmark"]["index"]
    secret = h.json("audit", "show", at, "--disclose")["disclosed"]["fields"][0]["salt"]
    h.run("audit", "erase", at, "--ground", "GDPR Art. 17", "--actor", "dpo", status=2)
    h.run("audit", "erase", at, "--ground", "GDPR Art. 17", "--actor", "dpo", "--yes")
    h.run("audit", "show", at, "--disclose", status=5)
    assert h.json("audit", "verify")["ok"]
    for path in h.state.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
