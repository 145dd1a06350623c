#!/usr/bin/env python3
"""The build's id is the digest of the sources, wherever they lie: computed here anew; another for each
change, and no object is made again where nothing changed."""

import glob, hashlib, os, pathlib, re, shutil, subprocess, sys, tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
HALLMARK = pathlib.Path(os.environ["BUILD"]) / "hallmark"
ROOMS = re.search(r"^ROOMS +:= (.*)$", (TOP / "Makefile").read_text(), re.M).group(1).split()


def sources(top):
    names = ["Makefile", "policy/measured.txt", *glob.glob("policy/packs/*", root_dir=top)]
    for room in ROOMS:
        for end in ("c", "h", "inc", "cu", "awk"):
            names += glob.glob(f"{room}/*.{end}", root_dir=top)
    return sorted(names, key=os.fsencode)


def digest(top):
    lines = "".join(
        f"{hashlib.sha256((top / name).read_bytes()).hexdigest()}  {name}\n" for name in sources(top)
    )
    return hashlib.sha256(lines.encode()).hexdigest()


said = subprocess.run([HALLMARK, "--version"], capture_output=True, text=True, check=True).stdout
version, build = said.splitlines()
assert build == f"{version.replace(' ', '-')}+sha256:{digest(TOP)}", (said, digest(TOP))
assert len(sources(TOP)) > 400


def stamp(top):
    path = top / "b/stamp/sources"
    subprocess.run(
        ["make", "-s", "BUILD=b", "b/stamp/sources"],
        cwd=top,
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "en_US.UTF-8"},
    )
    return path.read_text().strip(), path.stat().st_mtime_ns


with tempfile.TemporaryDirectory(prefix="hallmark-test.") as d:
    trees = [pathlib.Path(d) / "one", pathlib.Path(d) / "two/longer name"]
    for tree in trees:
        for room in ROOMS:
            shutil.copytree(TOP / room, tree / room)
        shutil.copy(TOP / "Makefile", tree)
        assert stamp(tree)[0] == digest(TOP), tree
    one = trees[0]
    before = stamp(one)
    for name in "base/err.h", "policy/packs/packs.txt", "Makefile", "kernels/rows.inc":
        (one / name).touch()
        assert stamp(one) == before, name
        kept = (one / name).read_bytes()
        (one / name).write_bytes(kept + b"\n")
        changed = stamp(one)[0]
        assert changed == digest(one) != before[0], (name, changed, digest(one), before)
        (one / name).write_bytes(kept)
        before = stamp(one)
        assert before[0] == digest(TOP), name
    (one / "base/more.c").write_text("")
    assert stamp(one)[0] == digest(one) != before[0]
    (one / "base/more.c").unlink()
    assert stamp(one)[0] == before[0]
