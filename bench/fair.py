#!/usr/bin/env python3
"""What one client's worst requests cost another: a stream's time per token, alone and beside each attack.

fair.py [NAME...] [--seconds S] [--program PATH] [--out FILE]

One client streams answers, one after another, from 127.0.0.2. Another, from 127.0.0.3, keeps several
connections busy with the worst request of one kind. Windows with and without it take turns, so that what else
the machine does falls on both. Printed: the 50th and 99th percentile of the time between two tokens, each the
median of those of the windows; the 99th of the time to the first; how often the second client was refused.

Where other work runs on the machine, give this one a session of its own that comes first (priorities count
within a session alone): setsid -w sh -c 'echo -20 >/proc/self/autogroup; exec bench/fair.py'."""

import argparse, json, multiprocessing, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys
import tempfile, threading, time

TOP = pathlib.Path(__file__).resolve().parents[1]
LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def message(text, **more):
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def ask(**more):
    return message("How do I open an account?", **more)


def regex(i):
    body = "(" + "|".join("[\\s\\S]*%s[\\s\\S]{300}" % c for c in LETTERS) + ")"
    return ask(stream=True, max_tokens=1500, n=8, temperature=1.5, guided_regex=body)


def schema(i):
    one = "(a|b)*a(a|b){%d}"
    names = {f"p{k}": {"type": "string", "pattern": one % (9 + k % 4)} for k in range(60)}
    form = {"type": "object", "properties": names, "additionalProperties": {"type": "string"}}
    return ask(stream=True, max_tokens=1500, n=8, temperature=1.5, response_format=as_schema(form))


def as_schema(form):
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": form, "strict": True}}


def schema_late(i):
    """Compiled for as long as it may take."""
    without = {"pattern": "^(b|c)*b(b|c){%d}$" % (12 + i % 2)}
    form = {"type": "string", "pattern": "^(a|b)*a(a|b){14}$", "not": without}
    return ask(max_tokens=20, response_format=as_schema(form))


def grammar(i):
    rules = 'root ::= s\ns ::= s s | "a" s | s "b" | [a-z ] | [a-z ] s | s [a-z ] s'
    return ask(stream=True, max_tokens=1500, n=8, temperature=1.5, guided_grammar=rules)


def plain(**more):
    return ask(stream=True, max_tokens=1500, n=8, temperature=1.5, ignore_eos=True, **more)


def plain_choices(i):
    return plain()


def long_prompt(i):
    words = " ".join(str(i * 7919 % 1000 + k * 13 % 997) for k in range(560))
    return message(words, max_tokens=1, temperature=0)


def too_long(i):
    return message("a" * (8 * 1024 * 1024 - 200), max_tokens=1)


def too_long_words(i):
    return message("word %d " % i * (1 << 20) if i % 2 else "好" * (2 << 20), max_tokens=1)


def spaces(i):
    return message((" \n\t" * 20000) + "x", max_tokens=1)


def messages(i):
    turns = [{"role": "user" if k % 2 == 0 else "assistant", "content": "a"} for k in range(4095)]
    return {"model": "m", "messages": turns, "max_tokens": 1}


def deep(i):
    form = {"type": "integer"}
    for _ in range(90):
        form = {"type": "object", "properties": {"x": form, "y": {"enum": [form["type"]]}}}
    return ask(max_tokens=8, n=8, response_format=as_schema(form))


def tools(i):
    text = "a word or two of what it does " * 60
    one = {"type": "string", "description": text}
    form = {"type": "object", "properties": {f"p{k}": one for k in range(30)}}
    return ask(max_tokens=8, tools=[as_tool(f"f{k}", form) for k in range(128)])


def as_tool(name, form):
    return {"type": "function", "function": {"name": name, "parameters": form}}


def logprobs(i):
    return plain(logprobs=True, top_logprobs=20)


def bias(i):
    return plain(logit_bias={str(k): (k % 7) - 3 for k in range(2000)})


def stops(i):
    four = ["a" * 500 + c for c in "bcdefghijklmnopq"]
    return plain(stop=four)


def bans(i):
    return plain(bad_words=["zq" + chr(97 + k % 26) + "x" * (k // 26 + 2) for k in range(64)])


def filtered(i):
    text = "4111 1111 1111 111" * 12000 + " a@b" * 20000 + "18:22 +44 7700 9009" * 10000
    return message(text, max_tokens=1)


def cancelled(i):
    return plain()


# name -> (request, connections, seconds until a connection is cut, or None, policy)
ATTACKS = {
    "plain n=8": (plain_choices, 8, None, False),
    "regex n=8": (regex, 8, None, False),
    "schema of patterns n=8": (schema, 8, None, False),
    "schema compiled long": (schema_late, 8, None, False),
    "schema, deep": (deep, 8, None, False),
    "ambiguous grammar n=8": (grammar, 8, None, False),
    "long prompts": (long_prompt, 8, None, False),
    "8 MiB prompts of one letter": (too_long, 8, None, False),
    "8 MiB prompts of words": (too_long_words, 8, None, False),
    "white space": (spaces, 8, None, False),
    "4,095 messages": (messages, 8, None, False),
    "128 large tools": (tools, 8, None, False),
    "top 20 logprobs n=8": (logprobs, 8, None, False),
    "2,000 biases n=8": (bias, 8, None, False),
    "16 long stops n=8": (stops, 8, None, False),
    "64 bans n=8": (bans, 8, None, False),
    "cancelled at once": (cancelled, 8, 0.05, False),
    "near misses for rules": (filtered, 8, None, True),
}


class Serving:
    def __init__(self, program, policy):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hallmark-fair."))
        log = self.dir / "log"
        args = ["--policy", str(TOP / "demo/policy.toml")] if policy else []
        self.process = subprocess.Popen(
            [program, "serve", str(TOP / "demo/model"), "--unsigned", "--name", "m", "--quiet",
             "--listen", "127.0.0.1:0", *args],
            env=dict(os.environ, HALLMARK_HOME=str(self.dir / "home")), stderr=open(log, "wb"))
        found = None
        for _ in range(600):
            found = re.search(rb"listening on http://\S+:(\d+)", log.read_bytes())
            if found or self.process.poll() is not None:
                break
            time.sleep(0.05)
        if not found:
            sys.exit(log.read_text())
        self.port = int(found.group(1))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def peak_mib(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) >> 10


def head_of(body):
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body))


class Attack:
    """Connections that ask the worst again and again."""

    def __init__(self, port, make, connections, cut):
        self.port, self.cut, self.over, self.statuses = port, cut, False, {}
        self.bodies = [json.dumps(make(i)).encode() for i in range(4)]
        self.open = set()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(connections)]
        for t in self.threads:
            t.start()

    def run(self, i):
        while not self.over:
            body = self.bodies[i % len(self.bodies)]
            try:
                c = socket.create_connection(("127.0.0.1", self.port), timeout=60,
                                             source_address=("127.0.0.3", 0))
                self.open.add(c)
                c.sendall(head_of(body) + body)
                first = c.recv(4096)
                if first:
                    status = first.split(b" ", 2)[1].decode()
                    self.statuses[status] = self.statuses.get(status, 0) + 1
                    if status == "503":
                        time.sleep(0.05)
                if self.cut:
                    time.sleep(self.cut)
                else:
                    while not self.over and c.recv(65536):
                        pass
            except OSError:
                time.sleep(0.01)
            finally:
                self.open.discard(c)
                c.close()

    def end(self):
        self.over = True
        for c in list(self.open):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self.threads:
            t.join()


def attack_main(port, name, over, said):
    """In a process of its own, and of the lowest priority: another machine's, as far as can be."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    make, connections, cut, _ = ATTACKS[name]
    a = Attack(port, make, connections, cut)
    over.wait()
    a.end()
    said.put(a.statuses)


class Beside:
    def __init__(self, port, name):
        self.over, self.said = multiprocessing.Event(), multiprocessing.Queue()
        args = (port, name, self.over, self.said)
        self.process = multiprocessing.Process(target=attack_main, args=args)
        self.process.start()

    def end(self):
        self.over.set()
        statuses = self.said.get(timeout=120)
        self.process.join()
        return statuses


def stream(port, firsts, gaps, refused):
    body = json.dumps(ask(stream=True, max_tokens=48, temperature=0.7, seed=7, ignore_eos=True)).encode()
    begun = time.monotonic()
    try:
        c = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=("127.0.0.2", 0))
        c.sendall(head_of(body) + body)
        last, tokens, tail = None, 0, b""
        while True:
            got = c.recv(65536)
            now = time.monotonic()
            if not got:
                break
            tail += got
            whole, _, tail = tail.rpartition(b"\n")
            n = whole.count(b'"content":"') - whole.count(b'"content":""')
            if n and last is None:
                firsts.append(now - begun)
            elif n:
                gaps.extend([(now - last) / n] * n)
            if n:
                last, tokens = now, tokens + n
        if not tokens:
            refused.append(1)
        c.close()
    except OSError:
        refused.append(1)


class Windows:
    def __init__(self):
        self.firsts, self.refused, self.shares = [], [], {0.5: [], 0.99: []}

    def measure(self, port, seconds):
        until, gaps = time.monotonic() + seconds, []
        while time.monotonic() < until:
            stream(port, self.firsts, gaps, self.refused)
            time.sleep(0.01)
        for share, values in self.shares.items():
            values.append(at(gaps, share))

    def median(self, share):
        return statistics.median(self.shares[share])


def at(values, share):
    v = sorted(values)
    return v[min(len(v) - 1, int(len(v) * share))] * 1000 if v else float("nan")


def measure(name, o):
    s = Serving(o.program, ATTACKS[name][3])
    alone, beside, statuses = Windows(), Windows(), {}
    Windows().measure(s.port, 0.5)
    for _ in range(o.turns):
        alone.measure(s.port, o.seconds)
        a = Beside(s.port, name)
        time.sleep(1)
        beside.measure(s.port, o.seconds)
        for k, n in a.end().items():
            statuses[k] = statuses.get(k, 0) + n
        time.sleep(0.3)
    peak = s.peak_mib()
    s.stop()
    p99, was = beside.median(0.99), alone.median(0.99)
    said = " ".join(f"{k}: {n}" for k, n in sorted(statuses.items()))
    return (f"| {name} | {alone.median(0.5):.2f} | {was:.2f} | {beside.median(0.5):.2f} | {p99:.2f} | "
            f"{p99 / was:.2f} | {at(alone.firsts, .99):.0f} | {at(beside.firsts, .99):.0f} | "
            f"{len(beside.refused)} | {peak} | {said} |")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("names", nargs="*")
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--turns", type=int, default=3)
    p.add_argument("--program", default=str(TOP / "build/hallmark"))
    p.add_argument("--out")
    o = p.parse_args()
    lines = ["| the other asks | p50 alone, ms | p99 alone | p50 beside | p99 beside | p99 ratio "
             "| first p99 alone | first p99 beside | refused | peak MiB | answers it got |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for name in ATTACKS:
        if not o.names or any(n in name for n in o.names):
            lines.append(measure(name, o))
            print(lines[-1], flush=True)
    if o.out:
        pathlib.Path(o.out).write_text("\n".join(lines) + "\n")


main()
