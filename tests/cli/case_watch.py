#!/usr/bin/env python3
# peer: prometheus_client
"""Who watches a server learns how it does, and nothing of what is said: a stock library reads its metrics
under load, a line a request reaches files, syslog and a collector, /ready says when nothing is answered."""

import http.client, http.server, json, os, re, signal, socket, ssl, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../server"))
import secure
from client import Home, MODEL, POLICY, Server, TOP

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
    from prometheus_client.parser import text_string_to_metric_families as read_plain
except ImportError:
    print("skipped: the prometheus_client package is not installed")
    sys.exit(77)

SECRET = "4111 1111 1111 1111"
CANARY = "xylophone-canary"
NAME = 'de"mo\\ {x="1"} 7'


class Local(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def get(c, path, **fields):
    c.request("GET", path, headers=fields)
    r = c.getresponse()
    return r.status, r.read().decode(), dict(r.getheaders())


def scrape(server, accept=None, through=None):
    c = through or http.client.HTTPConnection(server.address, timeout=60)
    status, text, fields = get(c, "/metrics", **({"Accept": accept} if accept else {}))
    assert status == 200, (status, text)
    assert SECRET not in text and CANARY not in text, "a client's text in a label"
    families = list((read_open if accept else read_plain)(text))
    assert len({f.name for f in families}) == len(families)
    out = {}
    for f in families:
        for s in f.samples:
            labels = {k: str(float(v)) if k == "le" else v for k, v in s.labels.items()}
            key = s.name, tuple(sorted(labels.items()))
            assert key not in out, key
            out[key] = s.value
        check_histograms(f)
    counters = {f.name for f in families if f.type in ("counter", "histogram")}
    return out, counters


def check_histograms(family):
    """Buckets rise, the last is the count, and nothing was noted without a sum."""
    if family.type != "histogram":
        return
    rows = {}
    for s in family.samples:
        labels = {k: v for k, v in s.labels.items() if k != "le"}
        row = rows.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if s.name.endswith("_bucket"):
            row["buckets"].append((float(s.labels["le"]), s.value))
        else:
            row[s.name[len(family.name) :]] = s.value
    for labels, row in rows.items():
        bounds, values = zip(*row["buckets"])
        assert list(bounds) == sorted(bounds) and bounds[-1] == float("inf"), family.name
        assert list(values) == sorted(values), (family.name, labels, values)
        assert values[-1] == row["_count"] and row["_sum"] >= 0, (family.name, row)


def value(sample, name, **labels):
    return sample.get((name, tuple(sorted(labels.items()))), 0)


def ask(server, text, stream, **more):
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], "temperature": 0}
    body |= {"stream": stream, "max_tokens": 12} | more
    if stream:
        body["stream_options"] = {"include_usage": True}
    c = http.client.HTTPConnection(server.address, timeout=60)
    c.request(
        "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
    )
    r = c.getresponse()
    data = r.read().decode()
    assert r.status == 200, (r.status, data)
    if not stream:
        return json.loads(data)["usage"]
    chunks = [json.loads(x[6:]) for x in data.split("\n") if x.startswith("data: {")]
    return [c["usage"] for c in chunks if c.get("usage")][-1]


def load(server, usages, number):
    for i in range(6):
        text = f"{CANARY} {number} {i}" + (f" my card is {SECRET}" if i % 2 else "")
        usages.append(ask(server, text, stream=i % 3 == 0))


def watch_load(h, lines):
    """Scrapes during load: every number of a counter only grows, and in the end all of them follow from what
    was asked."""
    with Server(
        h, MODEL, "--policy", POLICY, "--unsigned", "--metrics", "open", "--request-log", lines, name=NAME
    ) as s:
        usages, before, scrapes = [], {}, 0
        threads = [threading.Thread(target=load, args=(s, usages, n), daemon=True) for n in range(4)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            now, counters = scrape(s, "application/openmetrics-text" if scrapes % 2 else None)
            for key, old in before.items():
                if any(key[0].startswith(name) for name in counters) and not key[0].endswith("_created"):
                    assert now.get(key, -1) >= old, (key, old, now.get(key))
            before = {k: v for k, v in now.items()}
            scrapes += 1
            time.sleep(0.02)
        for t in threads:
            t.join()
        c = http.client.HTTPConnection(s.address, timeout=60)
        assert get(c, "/v1/models/nothing")[0] == 404
        now, _ = scrape(s)
        n, of = len(usages), {"model": NAME}
        assert n == 24 and scrapes >= 3, (n, scrapes)
        chats = dict(route="/v1/chat/completions", method="POST", shape="chat", status="200")
        end = time.monotonic() + 10
        while value(now, "hallmark_http_requests_total", **chats) < n and time.monotonic() < end:
            now, _ = scrape(s)
        prompt = sum(u["prompt_tokens"] for u in usages)
        drawn = sum(u["completion_tokens"] for u in usages)
        cached = sum((u.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for u in usages)
        expected = {
            "hallmark_prompt_tokens_total": prompt,
            "hallmark_completion_tokens_total": drawn,
            "hallmark_cached_tokens_total": cached,
            "hallmark_request_prompt_tokens_sum": prompt,
            "hallmark_request_completion_tokens_sum": drawn,
            "hallmark_request_duration_seconds_count": n,
            "hallmark_time_to_first_token_seconds_count": n,
            "hallmark_request_queue_time_seconds_count": n,
            "hallmark_time_per_output_token_seconds_count": drawn - n,
            "hallmark_requests_running": 0,
            "hallmark_sequences_running": 0,
            "hallmark_sequences_waiting": 0,
        }
        for name, number in expected.items():
            assert value(now, name, **of) == number, (name, value(now, name, **of), number)
        assert value(now, "hallmark_http_requests_total", **chats) == n
        ends = sum(v for (name, _), v in now.items() if name == "hallmark_answers_total")
        assert ends == n, ends
        card = dict(rule="card", mode="enforce", action="mask", **of)
        assert value(now, "hallmark_rule_hits_total", **card) >= n / 2
        info = [dict(k[1]) for k in now if k[0] == "hallmark_bundle_info"]
        assert len(info) == 1 and info[0]["digest"].startswith("sha256:") and info[0]["version"] == "2"
        assert value(now, "hallmark_log_append_seconds_count") >= n + 3  # start, bundle, config
        assert value(now, "hallmark_log_waiting") == 0 and value(now, "hallmark_log_failed") == 0
        assert value(now, "hallmark_log_batch_records_sum") == value(now, "hallmark_log_append_seconds_count")
        assert 0 <= value(now, "hallmark_log_checkpoint_age_seconds") < 60
        assert abs(value(now, "process_start_time_seconds") - time.time()) < 300
        resident = int(status_of(s.process.pid, "VmRSS")) * 1024
        assert 0.5 < value(now, "process_resident_memory_bytes") / resident < 2
        print(f"{scrapes} scrapes of {len(now)} samples beside {n} chats of {drawn} tokens")
    return usages


def status_of(pid, key):
    text = open(f"/proc/{pid}/status").read()
    return re.search(rf"{key}:\s+(\d+)", text).group(1)


def read_lines(path):
    text = path.read_text()
    assert text.endswith("\n") and SECRET not in text and CANARY not in text
    return [json.loads(line) for line in text.splitlines()]


def check_lines(lines, usages):
    chats = [x for x in lines if x.get("shape") == "chat"]
    assert len(chats) == len(usages)
    assert sum(x["completion_tokens"] for x in chats) == sum(u["completion_tokens"] for u in usages)
    assert sum(x.get("rules", {}).get("card", 0) for x in chats) >= len(usages) / 2
    for x in chats:
        assert x["model"] == NAME and x["status"] == 200 and x["bundle"].startswith("sha256:")
        assert re.fullmatch(r"[0-9a-f]{16}/\d+", x["record"]) and x["finish"][0] in ("length", "stop")
        assert 0 < x["ttft_ms"] <= x["total_ms"] and x["queue_ms"] > 0, x
        assert "address" not in x and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", x["time"])
    assert len({x["request"] for x in lines}) == len(lines)
    assert [x["route"] for x in lines if x["status"] == 404] == ["/v1/models/"]


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes logs after it has refused twice, once by closing and once for now."""

    protocol_version = "HTTP/1.1"
    refused, records, faults = 0, [], []

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        cls = type(self)
        if self.path != "/base/v1/logs" or self.headers["Content-Type"] != "application/json":
            cls.faults.append((self.path, dict(self.headers)))
        if cls.refused < 2:
            cls.refused += 1
            if cls.refused == 1:
                self.close_connection = True
                return
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        for resource in json.loads(data)["resourceLogs"]:
            names = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
            assert names["service.name"] == {"stringValue": "hallmark"}
            for scope in resource["scopeLogs"]:
                cls.records += scope["logRecords"]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def watch_collector(h):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        url = f"otlp:http://127.0.0.1:{collector.server_address[1]}/base/"
        with Server(h, MODEL, "--unsigned", "--metrics", "open", "--request-log", url) as s:
            for i in range(5):
                assert s.chat(f"{CANARY} {i}", max_tokens=2)[0] == 200
            end = time.monotonic() + 20
            while len(Collector.records) < 5 and time.monotonic() < end:
                time.sleep(0.05)
            dropped = value(scrape(s)[0], "hallmark_request_lines_total", result="dropped")
        collector.shutdown()
    assert not Collector.faults, Collector.faults
    # The last scrape's own line is written as the server ends.
    assert len(Collector.records) == 6 and dropped == 0, (len(Collector.records), dropped)
    for r in Collector.records[:5]:
        a = {x["key"]: x["value"] for x in r["attributes"]}
        assert a["status"] == {"intValue": "200"} and a["route"]["stringValue"] == "/v1/chat/completions"
        assert a["finish"] == {"arrayValue": {"values": [{"stringValue": "length"}]}}, a["finish"]
        assert abs(int(r["timeUnixNano"]) / 1e9 - time.time()) < 120 and r["severityNumber"] == 9
        assert json.loads(r["body"]["stringValue"])["record"] == a["record"]["stringValue"]
        assert CANARY not in json.dumps(r)


def watch_syslog(h):
    path = h.dir / "syslog"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(20)
        with Server(h, MODEL, "--unsigned", "--request-log", f"syslog:{path}", "--log-addresses") as s:
            assert s.chat("Hi", max_tokens=2)[0] == 200
            text = log.recv(8192).decode()
    m = re.fullmatch(r"<30>1 (\S+)T\S+\.\d{6}Z \S+ hallmark (\d+) request - (\{.*\})", text)
    assert m and int(m[2]) == s.process.pid, text
    assert json.loads(m[3])["address"] == "127.0.0.1", text


def watch_readiness(h):
    """A disk that fails: not ready, alive all the same, one line on stderr each time."""
    shim, fault = h.dir / "faults.so", h.dir / "fault"
    flags = ["-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", shim]
    subprocess.run(["gcc", *flags, TOP / "tests/soak/faults.c", "-ldl"], check=True)
    env = h.env(LD_PRELOAD=str(shim), FAULTS=str(fault), FAULTS_UNDER=str(h.state))
    with Server(h, MODEL, "--unsigned", env=env) as s:
        c = http.client.HTTPConnection(s.address, timeout=60)
        admin = Local(h.state / "admin.sock")
        for mode, name in (("full", "disk"), ("readonly", "log")):
            assert get(c, "/ready")[:2] == (200, '{"status":"ready"}\n')
            fault.write_text(mode)
            if mode == "full":  # known before a record is lost
                assert not failed_checks(admin, 503) - {"disk"}
            for _ in range(3):
                assert s.chat("Hi", max_tokens=2)[0] == 503
            assert get(c, "/ready")[:2] == (503, '{"status":"unready"}\n')
            assert get(c, "/health")[0] == 200
            assert name in failed_checks(admin, 503)
            assert value(scrape(s, through=admin)[0], "hallmark_log_faults_total") >= 1
            time.sleep(2)
            fault.unlink()
            end = time.monotonic() + 60
            while get(c, "/ready")[0] != 200:
                assert time.monotonic() < end
                time.sleep(0.1)
            assert not failed_checks(admin, 200)
            assert s.chat("Hi", max_tokens=2)[0] == 200
            told = []
            while len(told) < 2 and time.monotonic() < end:
                text = open(s.log.name).read()
                told = re.findall(r"hallmark: (nothing is answered|the log takes records again)", text)
                told = told[2 if mode == "readonly" else 0 :]
                time.sleep(0.2)
            assert told == ["nothing is answered", "the log takes records again"], text


def failed_checks(admin, expected):
    status, text, _ = get(admin, "/ready")
    checks = json.loads(text)["checks"]
    assert status == expected and all(c["detail"] for c in checks), (status, text)
    return {c["name"] for c in checks if not c["ok"]}


def watch_handshakes(h):
    """TLS that fails is counted as that; on the operator's socket a line says who was let in."""
    root = secure.make_root(h.dir)
    stranger = secure.make_root(h.dir, "stranger")
    cert, key = secure.make(h.dir, "localhost", root)
    file = h.dir / "tls.jsonl"
    more = ("--tls-cert", cert, "--tls-key", key, "--request-log", file)
    with Server(h, MODEL, "--unsigned", *more) as s:
        admin = Local(h.state / "admin.sock")
        good = http.client.HTTPSConnection(s.address, context=secure.context_for(root), timeout=60)
        assert get(good, "/health")[0] == 200 and get(good, "/metrics")[0] == 401
        before, _ = scrape(s, through=admin)
        try:
            get(http.client.HTTPSConnection(s.address, context=secure.context_for(stranger)), "/health")
            raise SystemExit("a certificate of a stranger was taken")
        except ssl.SSLError:
            pass
        assert get(http.client.HTTPConnection(s.address, timeout=60), "/health")[0] == 400
        end, now = time.monotonic() + 20, before
        while refused(now, "handshake") < refused(before, "handshake") + 2 and time.monotonic() < end:
            now, _ = scrape(s, through=admin)
        assert refused(now, "handshake") == refused(before, "handshake") + 2
        assert value(now, "hallmark_access_refusals_total", reason="unauthenticated") == 1
    lines = read_lines(file)
    assert {x["operator"] for x in lines if "operator" in x} == {f"uid:{os.getuid()}"}
    assert [x["status"] for x in lines if "operator" not in x] == [200, 401, 400], lines


def refused(sample, reason):
    return value(sample, "hallmark_connections_refused_total", reason=reason)


def watch_tokens(h):
    """A monitor's token scrapes and asks nothing; a user's asks and does not scrape; lines name both."""
    ids, secrets = {}, {}
    for role in ("monitor", "user"):
        made = h.json("token", "new", "--name", role, "--role", role, "--out", h.dir / role)
        secrets[role] = (h.dir / role).read_text().strip()
        ids[role] = made["id"]
    file = h.dir / "tokens.jsonl"
    with Server(h, MODEL, "--unsigned", "--request-log", file) as s:
        c = http.client.HTTPConnection(s.address, timeout=60)
        rows = {
            ("monitor", "/metrics"): 200,
            ("user", "/metrics"): 403,
            ("monitor", "/v1/models"): 403,
            ("user", "/v1/models"): 200,
        }
        for (role, path), status in rows.items():
            found, text, _ = get(c, path, Authorization=f"Bearer {secrets[role]}")
            assert found == status, (role, path, found)
            c.close()
        assert get(c, "/metrics", Authorization="Bearer nobody")[0] == 401
        c.close()
        ready = get(c, "/ready", Authorization=f"Bearer {secrets['monitor']}")[1]
        assert len(json.loads(ready)["checks"]) == 5, ready
        ready = get(c, "/ready", Authorization=f"Bearer {secrets['user']}")[1]
        assert json.loads(ready) == {"status": "ready"}
    text = file.read_text()
    assert not any(secret in text for secret in secrets.values())
    lines = [(x.get("token"), x["route"], x["status"]) for x in read_lines(file)]
    for (role, path), status in rows.items():
        assert (ids[role], path, status) in lines, (role, path, lines)


def watch_reload(h):
    """A reload writes on into a new file where the old one was moved, and lets no count go down."""
    policy, file = h.dir / "own.toml", h.dir / "moved.jsonl"

    def write(version, name):
        text = POLICY.read_text().replace("version = 2", f"version = {version}", 1)
        policy.write_text(text.replace('id = "card"', f'id = "{name}"', 1))

    def hits(sample, rule):
        return value(sample, "hallmark_rule_hits_total", model="m", rule=rule, mode="enforce", action="mask")

    def reload(admin):
        admin.request("POST", "/admin/reload", "{}", {"Content-Type": "application/json"})
        r = admin.getresponse()
        assert r.status == 200, r.read()
        r.read()

    write(3, "card")
    with Server(h, MODEL, "--unsigned", "--policy", policy, "--request-log", file) as s:
        admin = Local(h.state / "admin.sock")
        assert s.chat(f"My card is {SECRET}", max_tokens=2)[0] == 200
        first = hits(scrape(s, through=admin)[0], "card")
        assert first >= 1
        wait_for_lines(file, 1)
        file.rename(h.dir / "moved.1")
        write(4, "other-card")
        reload(admin)
        assert s.chat(f"My card is {SECRET}", max_tokens=2)[0] == 200
        now, _ = scrape(s, through=admin)
        assert hits(now, "card") == 0 and hits(now, "other-card") >= 1, "of the rules that are loaded"
        assert [dict(k[1])["version"] for k in now if k[0] == "hallmark_bundle_info"] == ["4"]
        write(5, "card")
        s.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while value(now, "hallmark_policy_reloads_total", result="replaced") < 2 and time.monotonic() < end:
            now, _ = scrape(s, through=admin)
        assert s.chat(f"My card is {SECRET}", max_tokens=2)[0] == 200
        now, _ = scrape(s, through=admin)
        assert hits(now, "card") > first, "it goes on where it was"
        assert value(now, "hallmark_policy_reloads_total", result="replaced") == 2
    old, new = read_lines(h.dir / "moved.1"), read_lines(file)
    assert old and new and len([x for x in old + new if x.get("shape") == "chat"]) == 3
    assert {x["bundle"] for x in old if "bundle" in x} != {x["bundle"] for x in new if "bundle" in x}


def wait_for_lines(file, count):
    end = time.monotonic() + 20
    while file.read_text().count("\n") < count and time.monotonic() < end:
        time.sleep(0.02)


def watch_stderr(h):
    """Without --quiet a line a request goes where a person sees it, beside what else is said there."""
    with Server(h, MODEL, "--unsigned", quiet=False) as s:
        assert s.chat("Hi", max_tokens=2)[0] == 200
    lines = [json.loads(x) for x in open(s.log.name).read().splitlines() if x.startswith("{")]
    assert [x["status"] for x in lines] == [200], lines


secure.need_openssl()
with Home() as h:
    h.run("registry", "init", "--quiet")
    file = h.dir / "requests.jsonl"
    check_lines(read_lines(file) if (usages := watch_load(h, file)) else [], usages)
    watch_collector(h)
    watch_syslog(h)
    watch_stderr(h)
    watch_handshakes(h)
    watch_reload(h)
    watch_readiness(h)
    watch_tokens(h)  # the last: from then on a token is asked for
print("watch: metrics, lines, collector, syslog and readiness agree with what was asked")
