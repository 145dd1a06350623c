#!/usr/bin/env python3
"""What `hallmark bench serve` itself costs, against nginx that answers from memory or from a file: the table
of bench/results/load.md.

    bench/load.py build/hallmark
"""

import json, os, pathlib, subprocess, sys, tempfile, time

PORT = 18083
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
NGINX = """
worker_processes 1; daemon off; pid DIR/pid; error_log DIR/error.log; worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c;
  uwsgi_temp_path DIR/d; scgi_temp_path DIR/e;
  server {
    listen 127.0.0.1:PORT backlog=4096; root DIR/root;
    location / { return 200 'ANSWER'; }
    location /slow/ { error_page 405 =200 $uri; limit_rate 4k; }
    location /fast/ { alias DIR/root/slow/; error_page 405 =200 $uri; }
  }
}
"""
TOKENS = 256


def event(delta, **more):
    choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta else []
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return "data: " + json.dumps({**chunk, **more}) + "\n\n"


def prepare(folder):
    stream = folder / "root/slow/v1/chat/completions"
    stream.parent.mkdir(parents=True)
    text = "".join(event({"content": f"w{i}"}) for i in range(TOKENS))
    stream.write_text(text + event(None, usage=ANSWER["usage"]) + "data: [DONE]\n\n")
    config = NGINX.replace("DIR", str(folder)).replace("PORT", str(PORT))
    (folder / "nginx.conf").write_text(config.replace("ANSWER", json.dumps(ANSWER)))
    folder.chmod(0o755)


def main():
    hallmark = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="hallmark-load.") as name:
        folder = pathlib.Path(name)
        prepare(folder)
        nginx = subprocess.Popen(["nginx", "-c", folder / "nginx.conf"])
        time.sleep(0.5)
        print(f"load before: {os.getloadavg()[0]:.1f}\n")
        print("| what | clients | requests/s | events/s | share of a core | us/request | us/event |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        try:
            for what, path, more, clients in (
                ("plain answers", "", ("--plain",), 1),
                ("plain answers", "", ("--plain",), 16),
                ("plain answers, connection for each", "", ("--plain", "--reconnect"), 16),
                ("streams as fast as they come", "/fast", (), 8),
                ("streams of about 25 events/s", "/slow", (), 100),
                ("streams of about 25 events/s", "/slow", (), 1000),
            ):
                url = f"http://127.0.0.1:{PORT}{path}"
                command = [hallmark, "bench", "serve", url, "--model", "m", "--clients", str(clients)]
                r = json.loads(subprocess.check_output([*command, "--duration", "4", "--json", *more]))
                assert r["requests"]["failed"] == 0, r
                n, cpu = r["requests"]["fine"], r["generator"]["cpu_share"] * r["seconds"]
                events = n * TOKENS if path else 0
                cells = [what, clients, f"{n / r['seconds']:,.0f}"]
                cells += [f"{events / r['seconds']:,.0f}" if events else ""]
                cells += [f"{r['generator']['cpu_share']:.2f}"]
                cells += [f"{cpu / n * 1e6:.0f}", f"{cpu / events * 1e6:.1f}" if events else ""]
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)
        finally:
            nginx.terminate()
            nginx.wait()


main()
