#!/usr/bin/env python3
"""Every value of a pack's own tests in every container that models write.
   filters_matrix.py BINARY [PACK...]

For each rule, each text of its `tests.hit` is scanned as it stands: what is found there is the value. Then it
is put into each container, and the value must be covered there too. Prints what leaves, then the counts."""

import html, json, pathlib, subprocess, sys, tempfile, tomllib, urllib.parse

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/hallmark"
PACKS = sys.argv[2:] or ["pii-eu", "pii-all", "secrets"]
ROOT = pathlib.Path(__file__).resolve().parents[1]


def plain(v):
    return v


def json_text(v):
    return json.dumps(v)[1:-1]


def twice(v):
    return json_text(json_text(v))


def csv_text(v):
    return v.replace('"', '""')


# frame, how the value is written inside it
CONTAINERS = {
    "the value": ("{}", plain),
    "a sentence": ("It says {} here.", plain),
    "the end of a sentence": ("The answer is {}.", plain),
    "CSV, comma": ("17,{},123", plain),
    "CSV, comma, last": ("17,x,{}", plain),
    "CSV, semicolon": ("17;{};123", plain),
    "CSV, tab": ("17\t{}\t123", plain),
    "CSV, bar": ("17|{}|123", plain),
    "CSV, caret": ("17^{}^123", plain),
    "CSV, quoted": ('"17","{}","123"', csv_text),
    "CSV, single quotes": ("'17','{}','123'", plain),
    "CSV, spaces": ("17 , {} , 123", plain),
    "CSV with a header": ("id,value,cvc\n17,{},123\n", plain),
    "CSV, first column": ("{},17,123\n", plain),
    "fixed columns": ("17    {}    123", plain),
    "JSON string": ('{{"value": "{}"}}', json_text),
    "JSON string, compact": ('{{"id":17,"value":"{}","n":1}}', json_text),
    "JSON array": ('[17, "{}", 42]', json_text),
    "JSON array, bare": ("[17,{},42]", plain),
    "JSON number": ('{{"value": {}}}', plain),
    "JSON key": ('{{"{}": 1}}', json_text),
    "JSON, pretty": ('{{\n  "value": "{}",\n  "n": 1\n}}', json_text),
    "JSON in JSON": ('{{"a": "{{\\"value\\": \\"{}\\"}}"}}', twice),
    "JSON, line before": ('{{"value": "x\\n{}"}}', json_text),
    "JSON, line behind": ('{{"value": "{}\\nx"}}', json_text),
    "JSON, tab before": ('{{"value": "x\\t{}"}}', json_text),
    "JSON Lines": ('{{"v":"{}"}}\n{{"v":"b"}}\n', json_text),
    "SQL": ("INSERT INTO t VALUES (17, '{}', 42);", plain),
    "SQL, where": ("SELECT * FROM t WHERE v = '{}' AND n > 1", plain),
    "Python list": ("rows = [17, '{}', 42]", plain),
    "Python tuple": ("(17, '{}', 42)", plain),
    "Python call": ('check("{}")', plain),
    "Python f-string": ('print(f"{}")', plain),
    "C string": ('const char *v = "{}";', plain),
    "shell variable": ("VALUE='{}' ./run", plain),
    "option": ("./run --value={} --fast", plain),
    "environment file": ("VALUE={}\nX=1\n", plain),
    "INI": ("[a]\nvalue = {}\n", plain),
    "YAML": ("value: {}\nn: 1\n", plain),
    "YAML list": ("- {}\n- b\n", plain),
    "YAML, quoted": ("value: '{}'\n", plain),
    "Markdown table": ("| id | value |\n|---|---|\n| 17 | {} |\n", plain),
    "Markdown table, tight": ("|17|{}|42|", plain),
    "Markdown list": ("* {}\n* b\n", plain),
    "Markdown code": ("`{}`", plain),
    "Markdown fence": ("```\n{}\n```\n", plain),
    "Markdown bold": ("**{}**", plain),
    "Markdown quote": ("> {}\n", plain),
    "XML element": ("<value>{}</value>", lambda v: html.escape(v, False)),
    "XML attribute": ('<row value="{}" n="1"/>', html.escape),
    "HTML cell": ("<td>{}</td><td>42</td>", lambda v: html.escape(v, False)),
    "URL query": ("https://example.com/q?v={}&n=1", lambda v: urllib.parse.quote(v, safe="")),
    "form body": ("id=17&v={}&n=1", lambda v: urllib.parse.quote_plus(v)),
    "log line": ("2026-11-30T10:15:30Z INFO pay: value={} status=ok", plain),
    "log field": ('level=info value="{}" ms=12', plain),
    "round brackets": ("({})", plain),
    "square brackets": ("[{}]", plain),
    "curly brackets": ("{{{}}}", plain),
    "angle brackets": ("<{}>", plain),
    "quotes, German": ("„{}“", plain),
    "quotes, French": ("« {} »", plain),
    "Chinese text": ("号码是{}。", plain),
    "Japanese text": ("番号は「{}」です", plain),
    "Arabic text": ("الرقم {} صالح", plain),
    "Hebrew text": ("המספר {} תקף", plain),
    "behind an item number": ("3. {}", plain),
    "behind a colon": ("value:{}", plain),
    "behind a dash": ("value - {} - end", plain),
    "an ellipsis": ("...{}...", plain),
    "a tilde": ("~{}~", plain),
}


def scan(pack, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
        f.write(f'[policy]\nname = "matrix"\nversion = 1\nmode = "enforce"\nextends = ["packs/{pack}"]\n')
        f.flush()
        lines = "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(texts))
        out = subprocess.run(
            [BINARY, "policy", "scan", "--policy", f.name, "--json"],
            input=lines.encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    return [json.loads(line) for line in out.stdout.splitlines()]


def covered(start, end, findings):
    at = start
    for a in sorted(findings, key=lambda a: a["start"]):
        if a["start"] <= at < a["end"]:
            at = a["end"]
    return at >= end


def values(pack):
    rules = tomllib.loads((ROOT / f"policy/packs/{pack}.toml").read_text(encoding="utf-8"))["rule"]
    hits = [(r["id"], t) for r in rules for t in r["tests"]["hit"]]
    for (rule, text), found in zip(hits, scan(pack, [t for _, t in hits])):
        spans = [a for a in found["findings"] if rule in a["rule"].split(",")]
        if not spans:
            print(f"{rule}: its own test {text!r} finds nothing")
        yield rule, text, spans


def main():
    cells = bad = 0
    for pack in PACKS:
        rows, texts = [], []
        for rule, text, spans in values(pack):
            raw = text.encode()
            for name, (frame, write) in CONTAINERS.items():
                head = (
                    frame.split("{}")[0].replace("{{", "{").replace("}}", "}") if frame != "{{{}}}" else "{"
                )
                texts.append(frame.format(write(text)))
                places = []
                for a in spans:
                    before, value = raw[: a["start"]].decode(), raw[a["start"] : a["end"]].decode()
                    start = len((head + write(before)).encode())
                    places.append((start, start + len(write(value).encode())))
                rows.append((rule, text, name, places))
        failed = {}
        for (rule, text, name, places), text_in, found in zip(rows, texts, scan(pack, texts)):
            cells += 1
            if not all(covered(s, e, found["findings"]) for s, e in places):
                bad += 1
                failed.setdefault(name, []).append((rule, text_in))
        for name, cases in sorted(failed.items(), key=lambda x: -len(x[1])):
            print(
                f"{pack}: {name}: {len(cases)} values leave, such as "
                + ", ".join(f"{rule} in {t[:70]!r}" for rule, t in cases[:3])
            )
        print(
            f"{pack}: {len(rows) // max(1, len(CONTAINERS))} values x {len(CONTAINERS)} containers",
            flush=True,
        )
    print(f"{cells - bad} of {cells} cells")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
