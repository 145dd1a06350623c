#!/usr/bin/env python3
"""Measure the HTTP server against nginx with wrk, and print the table of bench/results/server.md.

    bench/server.py build/bench/server [ROUNDS [OLD]]

32 connections, kept alive; a group commit lives on depth, so both sides get a row with 256 too. The
answerer knows its answer: what is measured is all that an answer takes but the engine, its record
in the log included, which is durable before the answer goes out (group commit). nginx gives the same
answers by itself, and, as a proxy, those of another nginx that gives them: what a proxy costs that does
nothing. OLD is another build of bench/server, measured beside it.
Rounds are short and interleaved, since others use the machine
too; each figure is the median over the rounds, and so is the ratio, which is taken in each round.
"""

import json, os, re, shutil, statistics, subprocess, sys, tempfile, time

SECONDS = 2
CONNECTIONS = 32
MANY = 256
BODY = '{"model":"m","messages":[{"role":"user","content":"What is an overdraft?"}]}'
STREAM = BODY.replace("{", '{"stream":true,', 1)
PORTS = {"new": 18081, "old": 18080, "nginx": 18082, "behind": 18083}

NGINX = """
worker_processes auto; daemon off; pid DIR/pid; error_log DIR/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c;
  uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
  upstream server { server 127.0.0.1:BEHIND; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:BEHIND reuseport;
    location = /health { return 200 '{"status":"ok"}\\n'; }
    location = /v1/chat/completions { return 200 'ANSWER'; }
  }
  server {
    listen 127.0.0.1:NGINX reuseport;
    location = /health { return 200 '{"status":"ok"}\\n'; }
    location = /v1/chat/completions { return 200 'ANSWER'; }
    location /proxy/ { proxy_pass http://server/; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
"""


def wrk(port, path, body, connections, folder):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}"]
    if body:
        script = f"{folder}/post.lua"
        with open(script, "w", encoding="utf-8") as f:
            f.write('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n')
            f.write(f"wrk.body = [[{body}]]\n")
        command += ["-s", script]
    out = subprocess.run(
        command + [f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    ).stdout
    wrong = re.search(r"Non-2xx.*", out)
    if wrong:
        sys.exit(f"port {port} {path}: {wrong.group()}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return rate, int(re.search(r"(\d+) requests in", out).group(1))


def cpu_seconds(pid):
    """Of a process and its children, as far as they live."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    ticks = 0
    for p in [pid, *map(int, children.split())]:
        with open(f"/proc/{p}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def answer_of(port):
    """The document that the fake answers with, for nginx to give too."""
    import http.client

    for _ in range(100):
        try:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            c.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
            return c.getresponse().read().decode()
        except ConnectionRefusedError:
            time.sleep(0.05)
    return sys.exit(f"nobody listens on {port}")


def rows(old):
    chat = "/v1/chat/completions"
    yield "nginx as proxy, GET /health", "nginx", "/proxy/health", None, CONNECTIONS
    yield "nginx, GET /health", "nginx", "/health", None, CONNECTIONS
    yield "server, GET /health", "new", "/health", None, CONNECTIONS
    yield "nginx as proxy, chat completion", "nginx", "/proxy" + chat, BODY, CONNECTIONS
    yield "nginx, chat completion", "nginx", chat, BODY, CONNECTIONS
    yield "server, chat completion, recorded", "new", chat, BODY, CONNECTIONS
    yield "server, streamed chat, recorded", "new", chat, STREAM, CONNECTIONS
    yield f"nginx as proxy, chat completion, {MANY} connections", "nginx", "/proxy" + chat, BODY, MANY
    yield f"server, chat completion, recorded, {MANY} connections", "new", chat, BODY, MANY
    if old:
        yield "old server, GET /health", "old", "/health", None, CONNECTIONS
        yield "old server, chat completion", "old", chat, BODY, CONNECTIONS
        yield "old server, streamed chat", "old", chat, STREAM, CONNECTIONS


def beside(body, connections):
    """The row of the proxy that does the same."""
    if not body:
        return "nginx as proxy, GET /health"
    many = "" if connections == CONNECTIONS else f", {connections} connections"
    return "nginx as proxy, chat completion" + many


def measure(folder, rounds, pids):
    table = list(rows("old" in pids))
    rates, costs, ratios = ({name: [] for name, *_ in table} for _ in range(3))
    for _ in range(rounds):
        for name, server, path, body, connections in table:
            before = cpu_seconds(pids[server])
            rate, count = wrk(PORTS[server], path, body, connections, folder)
            costs[name].append((cpu_seconds(pids[server]) - before) / count * 1e6)
            rates[name].append(rate)
            ratios[name].append(rate / rates[beside(body, connections)][-1])
    print("| what | requests/s | of the proxy's | CPU us/request |\n|---|---:|---:|---:|")
    for name, *_ in table:
        rate, ratio, cost = (statistics.median(x[name]) for x in (rates, ratios, costs))
        print(f"| {name} | {rate:,.0f} | {ratio:.2f} | {cost:.1f} |")


def write_config(folder, answer):
    assert json.loads(answer)["object"] == "chat.completion" and "'" not in answer
    text = NGINX.replace("DIR", folder).replace("BEHIND", str(PORTS["behind"]))
    text = text.replace("NGINX", str(PORTS["nginx"]))
    text = text.replace("ANSWER", answer.replace("\\", "\\\\").replace("\n", "\\n"))
    with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(folder, 0o755)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for tool in ("wrk", "nginx"):
        if not shutil.which(tool):
            print(f"skipped: bench/server.py: no {tool}")
            return
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    old = sys.argv[3] if len(sys.argv) > 3 else None
    running = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            running["new"] = subprocess.Popen([sys.argv[1], str(PORTS["new"]), f"{folder}/home"])
            if old:
                running["old"] = subprocess.Popen([old, str(PORTS["old"]), f"{folder}/old"])
            write_config(folder, answer_of(PORTS["new"]))
            running["nginx"] = subprocess.Popen(["nginx", "-p", folder, "-c", f"{folder}/nginx.conf"])
            time.sleep(0.5)
            print(f"wrk -t1 -c{CONNECTIONS} -d{SECONDS}, {rounds} rounds, {os.cpu_count()} CPUs")
            measure(folder, rounds, {name: p.pid for name, p in running.items()})
        finally:
            for p in running.values():
                p.terminate()
            for p in running.values():
                p.wait()


main()
