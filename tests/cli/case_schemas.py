#!/usr/bin/env python3
"""Schemas of many kinds, over HTTP: taken, followed, valid by the jsonschema package where the answer came
to its end; what is without effect stands in the record, and a replay says the same."""

import json, os, sys

sys.path.insert(0, os.path.dirname(__file__))
from client import Home, MODEL, Server

try:
    import jsonschema
except ImportError:
    print("skipped: no jsonschema in Python")
    sys.exit(77)


CLOSED = {"additionalProperties": False}


def closed(properties, **more):
    names = list(properties)
    return {"type": "object", "properties": properties, "required": names, **CLOSED, **more}


def of(a, **more):
    return closed({"a": a}, **more)


def animal(kind, **more):
    return {"type": "object", "properties": {"k": {"const": kind}}, "required": ["k"], **more}


def nested(depth):
    schema = {"type": "string", "maxLength": 2}
    for _ in range(depth):
        schema = closed({"x": schema})
    return schema


def cat_or_dog():
    mapping = {"propertyName": "k", "mapping": {"cat": "#/x"}}
    return of({"discriminator": mapping, "oneOf": [animal("cat", **CLOSED), animal("dog", **CLOSED)]})


def names():
    return {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "integer"}}, **CLOSED}


def members(n):
    digit = {"type": "integer", "maximum": 9}
    return {"type": "object", "properties": {f"member{i}": digit for i in range(n)}}


SCHEMAS = {
    "discriminator": cat_or_dog(),
    "format and length": of({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083}),
    "items list": of({"type": "array", "items": [{"type": "integer"}]}),
    "multipleOf": of({"type": "number", "multipleOf": 0.01}),
    "lookahead": of({"type": "string", "pattern": r"^(?!\.)[a-z.]+@[a-z.]+$"}),
    "patternProperties": names(),
    "beyond 64 bits": of({"type": "integer", "maximum": 18446744073709551615}),
    "unknown": of(
        {"type": "string", "maxLength": 9, "format": "password", "x-order": 1, "Mary, 555-1234": 1},
        **{"x-k8s": True},
    ),
    "condition": of({"enum": [1, 2]}, **{"if": {"properties": {"a": {"const": 3}}}, "then": False}),
    "10 deep": nested(10),
    "500 members": members(500),
    "5000 values": of({"enum": [f"value {i}" for i in range(5000)]}),
}
TWICE = {"type": "array", "contains": {}, "allOf": [{"contains": {"const": 1}}]}
NOTED = [
    "(another) at #/properties/a",
    "format password at #/properties/a",
    "x-k8s at #",
    "x-order at #/properties/a",
]


def judge(name, schema, text):
    judge = jsonschema.Draft7Validator if name == "items list" else jsonschema.Draft202012Validator
    return judge(schema, format_checker=judge.FORMAT_CHECKER).validate(json.loads(text))


def ask(server, schema):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    status, _, answer = server.chat("Say it.", response_format=form, max_tokens=250, temperature=1, seed=3)
    assert status == 200, (status, answer)
    return answer


def noted(h, answer):
    shown = h.json("audit", "show", answer["hallmark"]["index"], "--disclose")["disclosed"]
    return sorted({f["name"]: f["value"] for f in shown["fields"]}["parameters_without_effect"])


def main():
    with Home() as h:
        ended = 0
        with Server(h, MODEL, "--unsigned") as server:
            for name, schema in SCHEMAS.items():
                answer = ask(server, schema)
                choice = answer["choices"][0]
                if choice["finish_reason"] == "stop":
                    ended += 1
                    judge(name, schema, choice["message"]["content"])
                assert noted(h, answer) == (NOTED if name == "unknown" else []), (name, noted(h, answer))
                if name == "unknown":
                    again = answer["hallmark"]["index"]
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": of(TWICE)}}
            status, _, answer = server.chat("x", response_format=form)
            assert status == 400 and "contains twice for one array at #/properties/a" in str(answer), answer
        assert ended >= len(SCHEMAS) - 4, ended
        assert h.json("audit", "replay", again, "--model", MODEL, "--unsigned")["equal"]


main()
