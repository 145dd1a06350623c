#!/usr/bin/env python3
"""Writes pydantic.json: the JSON Schemas that pydantic makes of ordinary fields, and texts that a model may well
write for them: what pydantic itself writes, without and with spaces."""

import datetime, decimal, enum, ipaddress, json, pathlib, uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

from typing_extensions import TypedDict
from pydantic import (AnyUrl, AwareDatetime, Base64Bytes, BaseModel, ByteSize, ConfigDict, EmailStr, Field,
                      FutureDate, HttpUrl, Json, NegativeInt, NonNegativeFloat, PositiveInt, SecretStr, StrictFloat, StrictInt,
                      StrictStr, StringConstraints, condecimal, confloat, conint, conlist, constr, conset)

UTC = datetime.timezone.utc


class Color(enum.Enum):
    red, green, blue = "red", "green", "blue"


class Level(enum.IntEnum):
    low, high = 1, 2


class Point(BaseModel):
    x: float
    y: float = 0.0


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


class Linked(BaseModel):
    value: int
    next: Optional["Linked"] = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    breed: str = "mutt"


class Wolf(BaseModel):
    kind: Literal["wolf", "werewolf"]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Typed(BaseModel):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, int]
    a: str


class Movie(TypedDict, total=False):
    title: str
    year: int


class Pair(NamedTuple):
    first: int
    second: str


class Aliased(BaseModel):
    first_name: str = Field(alias="firstName")
    size: int = Field(default=3, serialization_alias="SIZE")


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


Price = Annotated[float, Field(multiple_of=0.01, ge=0, le=1000)]
Pet = Annotated[Union[Cat, Dog, Wolf], Field(discriminator="kind")]

# name, type of the field, values
FIELDS = [
    ("str", str, ["", "two words"]),
    ("int", int, [0, -17]),
    ("float", float, [1.5, 2.0, -0.25]),
    ("bool", bool, [True]),
    ("any", Any, [{"a": [1, None]}]),
    ("none", None, [None]),
    ("bytes", bytes, [b"abc"]),
    ("constr pattern", constr(pattern=r"^[A-Z]{2}-\d{4}$"), ["AB-1234"]),
    ("constr lengths", constr(min_length=2, max_length=40), ["ab"]),
    ("constr pattern and lengths", constr(pattern=r"^[a-z_]+$", min_length=3, max_length=20), ["snake_case"]),
    ("constr lookahead", Annotated[str, Field(json_schema_extra={"pattern": r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,}$"})], ["Passw0rdPassw0rd"]),
    ("constr strip and lower", Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1)], ["x"]),
    ("conint", conint(ge=1, le=120), [1, 120]),
    ("conint open", conint(gt=0, lt=10), [9]),
    ("conint multiple", conint(multiple_of=5, ge=0, le=1000000), [0, 995]),
    ("PositiveInt", PositiveInt, [7]),
    ("NegativeInt", NegativeInt, [-7]),
    ("NonNegativeFloat", NonNegativeFloat, [0.0, 3.25]),
    ("confloat", confloat(gt=-1.5, lt=1.5), [0.5, -1.25]),
    ("float multiple of 0.01", Price, [19.5, 100.0, 0.25]),
    ("strict float", StrictFloat, [1.25]),
    ("strict int", StrictInt, [4]),
    ("strict str", StrictStr, ["s"]),
    ("Decimal", decimal.Decimal, [decimal.Decimal("12.50")]),
    ("condecimal", condecimal(max_digits=8, decimal_places=2, ge=0), [decimal.Decimal("12.50"), decimal.Decimal("3")]),
    ("HttpUrl", HttpUrl, ["https://example.com/", "http://user@example.com:8080/a/b.html?q=1&r=%20#top"]),
    ("AnyUrl", AnyUrl, ["ftp://files.example.org/x"]),
    ("EmailStr", EmailStr, ["jane.doe+news@mail.example.com"]),
    ("UUID", uuid.UUID, [uuid.UUID("123e4567-e89b-12d3-a456-426614174000")]),
    ("datetime", datetime.datetime, [datetime.datetime(2024, 2, 29, 12, 30, 5, 123456, UTC), datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=-5)))]),
    ("aware datetime", AwareDatetime, [datetime.datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)]),
    ("date", datetime.date, [datetime.date(2000, 2, 29)]),
    ("future date", FutureDate, ["2099-01-01"]),
    ("time", datetime.time, [datetime.time(8, 15, 0, tzinfo=UTC)]),
    ("timedelta", datetime.timedelta, [datetime.timedelta(days=1, seconds=3661), datetime.timedelta(minutes=90), datetime.timedelta(seconds=1.5)]),
    ("Literal", Literal["a", "b"], ["b"]),
    ("Literal of mixed", Literal["a", 1, True, None], ["a", 1, True, None]),
    ("Enum", Color, [Color.green]),
    ("IntEnum", Level, [Level.high]),
    ("Optional", Optional[int], [None, 3]),
    ("Optional with default", Annotated[Optional[str], Field(default=None, max_length=10)], [None, "x"]),
    ("Union", Union[int, str], [3, "three"]),
    ("Union of models", Union[Point, Closed], [Point(x=1.5), Closed(a=1)]),
    ("discriminated union", Pet, [Cat(kind="cat", lives=9), Dog(), Wolf(kind="werewolf")]),
    ("discriminated list", list[Pet], [[Dog(breed="pug"), Cat(kind="cat", lives=1)], []]),
    ("nested model", Point, [Point(x=1.0, y=2.5)]),
    ("list of models", list[Point], [[Point(x=1.0), Point(x=2.0)]]),
    ("recursive model", Tree, [Tree(name="a", children=[Tree(name="b")])]),
    ("linked model", Linked, [Linked(value=1, next=Linked(value=2))]),
    ("generic model", Page[Point], [Page[Point](items=[Point(x=0.5)], total=1)]),
    ("extra forbid", Closed, [Closed(a=1, b="x"), Closed(a=2)]),
    ("extra allow", Open, [Open(a=1, b=[2])]),
    ("extra typed", Typed, [Typed(a="x", n=3)]),
    ("aliases", Aliased, ["{\"firstName\":\"Ann\",\"size\":4}"]),
    ("dict str int", dict[str, int], [{}, {"a": 1, "b c": 2}]),
    ("dict int float", dict[int, float], [{1: 2.5}]),
    ("dict of literals", dict[Literal["x", "y"], int], [{"x": 1, "y": 2}, {"y": 3}]),
    ("dict of enum", dict[Color, str], [{Color.red: "r"}]),
    ("dict of constr", dict[constr(pattern="^[a-z]{1,3}$"), bool], [{"ab": True}]),
    ("dict not empty", Annotated[dict[str, int], Field(min_length=1, max_length=5)], [{"a": 1}]),
    ("dict of two", Annotated[dict[str, int], Field(min_length=2)], [{"a": 1, "b": 2}]),
    ("dict of models", dict[str, Point], [{"p": Point(x=1.0)}]),
    ("list of strings", list[str], [[], ["a", "b"]]),
    ("list with bounds", conlist(int, min_length=1, max_length=3), [[1], [1, 2, 3]]),
    ("list of lists", list[list[float]], [[[1.5, 2.0], []]]),
    ("set of str", set[str], [["a", "b"], []]),
    ("set of enum", set[Color], [["blue", "red"]]),
    ("conset", conset(int, min_length=1, max_length=3), [[3, 1]]),
    ("frozenset", frozenset[int], [[1, 2]]),
    ("tuple", tuple[int, str], [[1, "a"]]),
    ("tuple of any length", tuple[int, ...], [[1, 2, 3]]),
    ("named tuple", Pair, [[1, "b"]]),
    ("typed dict", Movie, [{"title": "M", "year": 1931}, {"year": 1931}]),
    ("Json", Json[list[int]], ["\"[1,2]\""]),
    ("SecretStr", SecretStr, ["hidden"]),
    ("IPv4Address", ipaddress.IPv4Address, ["192.168.0.1"]),
    ("IPv6Address", ipaddress.IPv6Address, ["2001:db8::1", "::1", "fe80::1:2:3:4"]),
    ("IPv4Network", ipaddress.IPv4Network, ["10.0.0.0/8"]),
    ("Path", pathlib.Path, ["/etc/hosts"]),
    ("Base64Bytes", Base64Bytes, ["aGVsbG8="]),
    ("ByteSize", ByteSize, [1024]),
    ("examples and title", Annotated[str, Field(title="T", description="D", examples=["x"], deprecated=True)], ["x"]),
    ("extra keywords", Annotated[int, Field(json_schema_extra={"x-order": 1, "format": "int32"})], [5]),
]


def plain(v):
    """As JSON: what pydantic would write."""
    if isinstance(v, BaseModel):
        return v.model_dump(mode="json", by_alias=True)
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {plain(k) if not isinstance(k, int) else str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (str, int, float, bool)) and not isinstance(v, enum.Enum) or v is None:
        return v

    class Holder(BaseModel):
        v: Any
    return json.loads(Holder(v=v).model_dump_json())["v"]


def texts(name, value):
    if name in ("aliases", "Json"):
        inside = json.loads(value)
    else:
        inside = plain(value)
    compact = json.dumps({"v": inside}, separators=(",", ":"), ensure_ascii=False)
    return [compact, json.dumps({"v": inside}, ensure_ascii=False)]


def main():
    rows = []
    for name, of, values in FIELDS:
        from pydantic import create_model
        model = create_model("Answer", v=(of, ...))
        right = []
        for v in values:
            for text in texts(name, v):
                model.model_validate_json(text)
                if text not in right:
                    right.append(text)
        rows.append({"name": name, "schema": model.model_json_schema(), "right": right})
    with open(__file__.replace("make_pydantic.py", "pydantic.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")
    print(len(rows), "schemas")


main()
