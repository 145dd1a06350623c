#!/usr/bin/env python3
"""Where the value of an option comes from: flag, environment, project, user, system file; what a file may not
say, and how its mistakes are told."""

import json, os

from client import MODEL, Home

POLICY_KEYS = 'name = "p"\nversion = 1\nmode = "off"\n'


class Place(Home):
    """A folder to work in, with a user's configuration and nothing of this machine's."""

    def __init__(self):
        super().__init__()
        self.work = self.dir / "work"
        self.user = self.dir / "xdg/hallmark/config.toml"
        self.work.mkdir()
        self.user.parent.mkdir(parents=True)

    def env(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HALLMARK_")}
        return dict(kept, XDG_CONFIG_HOME=str(self.dir / "xdg"), HOME=str(self.dir), **more)

    def at(self, *args, status=0, **variables):
        return self.run(*args, status=status, env=self.env(**variables), cwd=self.work)

    def said(self, *args, **variables):
        """{key: row} of config show --origin."""
        r = self.at("config", "show", "--origin", "--json", *args, **variables)
        return {row["key"]: row for row in json.loads(r.stdout)["settings"]}

    def fails(self, text, *args, status=1, **variables):
        r = self.at(*args, status=status, **variables)
        assert text in r.stderr.decode(), (text, r.stderr)


def order(p):
    """Each source goes before the next, and says so."""
    project = p.work / "hallmark.toml"
    assert p.said()["serve.threads"]["origin"] == "default"
    p.user.write_text('wait = 5\n\n[serve]\nthreads = 2\nlisten = ["127.0.0.1:0", "[::1]:0"]\n')
    row = p.said()["serve.threads"]
    assert (row["value"], row["origin"], row["line"]) == (2, "user file", 4), row
    assert row["file"] == str(p.user), row
    assert p.said()["serve.listen"]["value"] == "127.0.0.1:0,[::1]:0"
    project.write_text("[serve]\nthreads = 3\n")
    row = p.said()["serve.threads"]
    assert (row["value"], row["origin"], row["line"]) == (3, "project file", 2), row
    row = p.said(HALLMARK_SERVE_THREADS="4")["serve.threads"]
    assert (row["value"], row["origin"]) == (4, "environment"), row
    assert p.said(HALLMARK_SERVE_THREADS="")["serve.threads"]["value"] == 3
    row = p.said("--wait", "9")["wait"]
    assert (row["value"], row["origin"]) == (9, "command line"), row
    # A named file stands for all three, and so does the variable.
    named = p.dir / "named.toml"
    named.write_text("[serve]\nunsigned = true\n")
    for how in ({"args": ("--config", named)}, {"HALLMARK_CONFIG": str(named)}):
        rows = p.said(*how.pop("args", ()), **how)
        assert rows["serve.threads"]["origin"] == "default" and rows["wait"]["value"] is None
        assert rows["serve.unsigned"]["value"] is True
        assert rows["serve.unsigned"]["origin"] == "named file"
    p.fails("nowhere.toml", "config", "show", "--config", "nowhere.toml", status=5)
    # What is printed without --origin is a file that says the same.
    text = p.at("config", "show").stdout
    named.write_bytes(text)
    again = p.at("config", "show", "--config", named).stdout
    assert again == text and b"threads = 3" in text, (text, again)
    assert p.at("config", "show", "serve.threads").stdout == b"[serve]\nthreads = 3\n"
    p.fails("did you mean serve.threads?", "config", "show", "serve.treads", status=5)
    project.unlink()


def commands(p):
    """Commands take what configuration says, the command line first."""
    p.user.write_text("[serve]\nthreads = 300\n")
    p.fails(f"at most 256 (from {p.user}:2)", "serve", "x", status=2)
    p.fails("at most 256 (from HALLMARK_SERVE_THREADS)", "serve", "x", HALLMARK_SERVE_THREADS="999", status=2)
    p.user.write_text("wait = -1\n[serve]\nthreads = 300\n")
    p.fails(f"expected seconds, 0 to 86400 (from {p.user}:1)", "policy", "packs", status=2)
    r = p.at("serve", "x", "--wait", "1", "--threads", "257", status=2).stderr.decode()
    assert "at most 256" in r and "from" not in r, r
    p.user.write_text(f'home = "{p.state}"\n[run]\nmax-tokens = 3\nunsigned = true\ntemperature = 0\n')
    answer = json.loads(p.at("run", MODEL, "hello", "--json").stdout)
    assert answer["completion_tokens"] <= 3 and answer["finish_reason"] == "length", answer
    assert p.state.is_dir()
    answer = json.loads(p.at("run", MODEL, "hello", "--json", "--max-tokens", "2").stdout)
    assert answer["completion_tokens"] == 2, answer
    p.fails("cannot be served", "run", MODEL, "hello", "--no-unsigned", status=None)
    p.fails("cannot be served", "run", MODEL, "hello", HALLMARK_RUN_UNSIGNED="no", status=None)
    p.fails("expected 1, true", "run", MODEL, "hello", HALLMARK_RUN_UNSIGNED="perhaps", status=2)
    # Operands, and paths: from where the file lies.
    policy = p.user.parent / "p.toml"
    policy.write_text("[policy]\n" + POLICY_KEYS)
    p.user.write_text('[policy.check]\noperands = "./p.toml"\n')
    assert json.loads(p.at("policy", "check", "--json").stdout)["ok"]
    p.fails("other.toml", "policy", "check", "other.toml", status=5)
    # Several in one string or a list, names before them, and a word that is no path.
    for policies in ('"p.toml,/q.toml"', '["p.toml", "/q.toml"]'):
        p.user.write_text(f'[serve]\npolicy = {policies}\nadmin = "none"\noperands = ["a=./m", "b=o/m"]\n')
        rows = p.said("serve")
        assert rows["serve.policy"]["value"] == f"{policy},/q.toml", rows["serve.policy"]
        assert rows["serve.admin"]["value"] == "none"
        assert rows["serve.operands"]["value"] == f"a={policy.parent}/m,b=o/m", rows["serve.operands"]
    # The environment's home goes before a file's.
    p.user.write_text('home = "/nonexistent/home"\n')
    p.at("registry", "init", HALLMARK_HOME=str(p.dir / "second"))
    assert (p.dir / "second/state.db").exists()


def mistakes(p):
    """With file, line, and what was meant; before anything is done."""
    for text, said in (
        ("[serve]\nlistn = 1\n", ':2: unknown key "listn" in [serve]; did you mean listen?'),
        ("[serv]\nthreads = 1\n", ':1: unknown table "serv"; did you mean serve?'),
        ("[release]\ncraete = { name = 1 }\n", "did you mean create?"),
        ('[release.create]\nname = "a"\nnmae = "b"\n', ":3: unknown key"),
        ("\n\n[serve]\nthreads = '1'\n", ":4: threads: expected an integer, found a string"),
        ("[serve]\nunsigned = 1\n", ":2: unsigned: expected true or false, found an integer"),
        ("[serve]\nlisten = 8080\n", ":2: listen: expected a string"),
        ('[serve]\nlisten = ["a,b"]\n', ":2: listen: expected a string"),
        ("[serve]\npolicy = { a = 1 }\n", ":2: policy: expected a string"),
        ("[serve]\nquiet = true\n", ":2: quiet holds for all commands"),
        ("yes = true\n", ":1: yes is given with a command"),
        ("clock-ok = true\n", ":1: clock-ok is given with a command"),
        ('passphrase = "x"\n', ":1: passphrase: a secret is never a value here"),
        ('[serve]\npassword = "x"\n', ":2: password: a secret is never a value here"),
        ("[serve]\nthreads = 1\nthreads = 2\n", "line 3, column 1"),
        ("wait =\n", "line 1, column 7"),
        ("wait = 1\nhome = [1]\n", ":2: home: expected a string"),
    ):
        p.user.write_text(text)
        p.fails(said, "policy", "packs")
        p.fails(str(p.user), "policy", "packs")
    p.at("--version")
    p.at("serve", "--help")
    p.user.write_bytes(b"# " + b"x" * (256 << 10))
    p.fails("larger than the limit", "policy", "packs")
    p.user.unlink()
    p.user.mkdir()
    p.fails("it is no regular file", "policy", "packs")
    p.user.rmdir()
    p.fails("did you mean HALLMARK_SERVE_LISTEN?", "serve", "x", status=2, HALLMARK_SERVE_LISTN="1")
    p.at("policy", "packs", HALLMARK_SERVE_LISTN="1")  # not of this command


def trust(p):
    """A file that another could have written, and one that came with a download."""
    p.user.write_text("[serve]\nthreads = 1\n")
    p.user.chmod(0o646)
    p.fails("anybody may write to it", "config", "show")
    p.user.unlink()
    project = p.work / "hallmark.toml"
    for line in (
        "[serve]\nunsigned = true",
        '[serve]\nkey = "k"',
        '[serve]\npolicy = "p"',
        '[serve]\nlisten = "0.0.0.0:80"',
        '[serve]\nadapter = "./a"',
        '[serve]\noperands = "./m"',
        '[fork.audit]\nfail-on = "x"',
        "[fork.audit]\nseed = 3",
        '[release.create]\nname = "a/b"',
        '[release.create]\npackage = "/tmp/x"',
        '[audit.erase]\nactor = "x"',
        'home = "/tmp/x"',
        'passphrase-file = "x"',
    ):
        project.write_text(line + "\n")
        p.fails("is not taken from a project file", "config", "show")
        p.at("config", "show", "--config", "hallmark.toml")  # named, it is taken
    project.write_text("[serve]\nthreads = 3\n")
    spoils = {"anybody may write": lambda: project.chmod(0o666), "symbolic link": link(p, project)}
    for why, spoil in spoils.items():
        spoil()
        r = p.at("config", "show")
        assert why in r.stderr.decode() and b"threads" not in r.stdout, r
    assert b"left out" not in p.at("config", "show", "--quiet").stderr
    project.unlink()


def link(p, project):
    def spoil():
        project.rename(p.dir / "elsewhere.toml")
        (p.dir / "elsewhere.toml").chmod(0o644)
        project.symlink_to(p.dir / "elsewhere.toml")

    return spoil


def names(p):
    """Every option has a key and a variable, and no two share one."""
    rows = p.said().values()
    assert len(rows) > 100
    for part in ("key", "variable"):
        seen = [r[part] for r in rows]
        assert len(seen) == len(set(seen)), [s for s in seen if seen.count(s) > 1]
    for noun in ("serve", "release create"):
        text = p.at(*noun.split(), "--help").stdout.decode()
        for key in (r["key"] for r in rows if r["key"].rpartition(".")[0] == noun.replace(" ", ".")):
            assert key.endswith(".operands") or f"--{key.rpartition('.')[2]} " in text, key


with Place() as place:
    for part in (order, commands, mistakes, trust, names):
        place.user.exists() and place.user.unlink()
        part(place)
