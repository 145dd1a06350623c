// Writes zod.json: the JSON Schemas that zod 4 (toJSONSchema) and zod-to-json-schema (of zod 3) make of ordinary
// schemas, and values that zod itself takes, as JSON without and with spaces.
//   npm install zod zod-to-json-schema; node make_zod.mjs >zod.json
import { z } from "zod";
import { z as z3 } from "zod/v3";
import { zodToJsonSchema } from "zod-to-json-schema";

var Fruit = { Apple: "apple", Pear: "pear" };
var Level = { Low: 0, High: 1, 0: "Low", 1: "High" };

// name, schema by the library, values that are right
const both = (z) => [
  ["string", z.string(), ["", "a b"]],
  ["string lengths", z.string().min(2).max(30), ["ab"]],
  ["string length", z.string().length(3), ["abc"]],
  ["email", z.string().email(), ["jane.doe+news@mail.example.com", "a@b.co"]],
  ["url", z.string().url(), ["https://example.com/a?b=c#d"]],
  ["uuid", z.string().uuid(), ["123e4567-e89b-42d3-a456-426614174000"]],
  ["cuid", z.string().cuid(), ["cjld2cjxh0000qzrmn831i7rn"]],
  ["cuid2", z.string().cuid2(), ["tz4a98xxat96iws9zmbrgj3a"]],
  ["ulid", z.string().ulid(), ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]],
  ["nanoid", z.string().nanoid(), ["V1StGXR8_Z5jdHi6B-myT"]],
  ["emoji", z.string().emoji(), ["😀"]],
  ["base64", z.string().base64(), ["aGVsbG8=", ""]],
  ["base64url", z.string().base64url(), ["aGVsbG8"]],
  ["jwt", z.string().jwt(), ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]],
  ["datetime", z.string().datetime(), ["2024-02-29T12:30:00Z", "2024-02-29T12:30:00.123Z"]],
  ["datetime with offset", z.string().datetime({ offset: true }), ["2024-02-29T12:30:00+02:00"]],
  ["datetime precise", z.string().datetime({ precision: 3 }), ["2024-02-29T12:30:00.123Z"]],
  ["date", z.string().date(), ["2024-02-29"]],
  ["duration", z.string().duration(), ["P3Y6M4DT12H30M5S", "PT1H"]],
  ["starts with", z.string().startsWith("https://"), ["https://x"]],
  ["ends with", z.string().endsWith(".txt"), ["a.txt"]],
  ["includes", z.string().includes("mid"), ["amidb"]],
  ["starts and ends", z.string().startsWith("a").endsWith("z").min(4), ["abcz"]],
  ["regex", z.string().regex(/^[A-Z]{3}\d{2,4}$/), ["ABC12"]],
  ["regex with lookahead", z.string().regex(/^(?=.*[a-z])(?=.*[A-Z])(?=.*\d).{8,16}$/), ["Passw0rdX"]],
  ["two regexes", z.string().regex(/^[a-z]+$/).regex(/x/), ["axb"]],
  ["trimmed", z.string().trim().toLowerCase().min(1), ["x"]],
  ["number", z.number(), [1.5, -3]],
  ["int", z.number().int(), [7]],
  ["int between", z.number().int().min(1).max(100), [1, 100]],
  ["positive", z.number().positive(), [0.5]],
  ["nonnegative", z.number().nonnegative(), [0, 2.25]],
  ["negative int", z.number().int().negative(), [-3]],
  ["multiple of 5", z.number().multipleOf(5), [10, -5]],
  ["multiple of 0.01", z.number().multipleOf(0.01), [1.5, 12.25]],
  ["safe", z.number().safe(), [12]],
  ["finite", z.number().finite(), [1.25]],
  ["boolean", z.boolean(), [true]],
  ["null", z.null(), [null]],
  ["any", z.any(), [{ a: 1 }]],
  ["unknown", z.unknown(), [[1]]],
  ["literal", z.literal("on"), ["on"]],
  ["literal number", z.literal(42), [42]],
  ["enum", z.enum(["red", "green", "blue"]), ["green"]],
  ["native enum", z.nativeEnum(Fruit), ["pear"]],
  ["native enum of numbers", z.nativeEnum(Level), [1]],
  ["array", z.array(z.string()), [[], ["a", "b"]]],
  ["array with bounds", z.array(z.number()).min(1).max(3), [[1.5], [1, 2, 3]]],
  ["array nonempty", z.array(z.boolean()).nonempty(), [[true]]],
  ["array of length", z.array(z.number().int()).length(2), [[1, 2]]],
  ["tuple", z.tuple([z.string(), z.number()]), [["a", 1]]],
  ["tuple with rest", z.tuple([z.string()]).rest(z.number()), [["a"], ["a", 1, 2]]],
  ["record", z.record(z.string(), z.number()), [{}, { a: 1, "b c": 2 }]],
  ["record of enum", z.record(z.enum(["a", "b"]), z.number()), [{ a: 1, b: 2 }]],
  ["record of keys", z.record(z.string().regex(/^[a-z]{1,4}$/), z.boolean()), [{ ab: true }]],
  ["object", z.object({ a: z.string(), b: z.number().optional() }), [{ a: "x" }, { a: "x", b: 1 }]],
  ["strict object", z.object({ a: z.string() }).strict(), [{ a: "x" }]],
  ["passthrough", z.object({ a: z.string() }).passthrough(), [{ a: "x", z: [1] }]],
  ["catchall", z.object({ a: z.string() }).catchall(z.number()), [{ a: "x", n: 2 }]],
  ["partial", z.object({ a: z.string(), b: z.number() }).partial(), [{}, { b: 1 }]],
  ["nested", z.object({ o: z.object({ l: z.array(z.object({ n: z.number() })) }) }), [{ o: { l: [{ n: 1 }] } }]],
  ["optional and default", z.object({ a: z.string().default("d"), b: z.number().nullable().default(null) }), [{ a: "x", b: null }]],
  ["nullable", z.string().nullable(), [null, "a"]],
  ["nullish", z.object({ a: z.number().nullish() }), [{}, { a: null }, { a: 2 }]],
  ["union", z.union([z.string(), z.number(), z.null()]), ["a", 1, null]],
  ["union of objects", z.union([z.object({ a: z.string() }), z.object({ b: z.number() })]), [{ a: "x" }, { b: 1 }]],
  ["discriminated union", z.discriminatedUnion("k", [z.object({ k: z.literal("a"), x: z.string() }), z.object({ k: z.literal("b"), y: z.number() })]), [{ k: "a", x: "s" }, { k: "b", y: 1 }]],
  ["intersection", z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })), [{ a: "x", b: 1 }]],
  ["extended", z.object({ a: z.string() }).extend({ b: z.boolean() }), [{ a: "x", b: false }]],
  ["described", z.string().describe("a name").min(1), ["x"]],
  ["refined", z.number().refine((v) => v !== 3), [4]],
  ["branded", z.string().brand("id"), ["x"]],
  ["readonly", z.array(z.string()).readonly(), [["a"]]],
];

const Tree4 = z.object({ name: z.string(), get children() { return z.array(Tree4); } });
const Tree3 = z3.lazy(() => z3.object({ name: z3.string(), children: z3.array(Tree3) }));
const only4 = [
  ["lazy", Tree4, [{ name: "a", children: [{ name: "b", children: [] }] }]],
  ["format email", z.email(), ["a.b@example.org"]],
  ["format url", z.url(), ["http://localhost:3000/x"]],
  ["format uuid v4", z.uuidv4(), ["123e4567-e89b-42d3-a456-426614174000"]],
  ["format guid", z.guid(), ["123e4567-e89b-42d3-a456-426614174000"]],
  ["ipv4", z.ipv4(), ["10.0.0.1"]],
  ["ipv6", z.ipv6(), ["2001:db8::1"]],
  ["cidr", z.cidrv4(), ["10.0.0.0/8"]],
  ["iso time", z.iso.time(), ["12:30:00"]],
  ["iso datetime local", z.iso.datetime({ local: true }), ["2024-02-29T12:30:00Z"]],
  ["iso date", z.iso.date(), ["2000-02-29"]],
  ["iso duration", z.iso.duration(), ["P1D"]],
  ["e164", z.e164(), ["+4915112345678"]],
  ["int of v4", z.int(), [5]],
  ["int32", z.int32(), [-5]],
  ["uint32", z.uint32(), [5]],
  ["float32", z.float32(), [1.5]],
  ["string or number key", z.record(z.union([z.literal("x"), z.literal("y")]), z.string()), [{ x: "1", y: "2" }]],
  ["partial record", z.partialRecord(z.enum(["p", "q"]), z.number()), [{ p: 1 }, {}]],
  ["literal list", z.literal(["a", 1, null]), ["a", 1, null]],
  ["template literal", z.templateLiteral(["v", z.number(), "-", z.enum(["a", "b"])]), ["v1-a"]],
  ["stringbool", z.string().min(1), ["yes"]],
  ["json", z.json(), [{ a: [1, "x", null] }]],
  ["exact optional", z.strictObject({ a: z.optional(z.string()) }), [{}, { a: "b" }]],
  ["loose object", z.looseObject({ a: z.number() }), [{ a: 1, q: "r" }]],
  ["metadata", z.string().meta({ title: "T", examples: ["x"], "x-extra": 1 }), ["x"]],
];
const only3 = [
  ["lazy", Tree3, [{ name: "a", children: [{ name: "b", children: [] }] }]],
  ["set", z3.set(z3.enum(["a", "b", "c"])), [["a", "c"]]],
  ["set of strings", z3.set(z3.string()), [["a", "b"]]],
  ["map", z3.map(z3.string(), z3.number()), [[["a", 1]]]],
  ["bigint", z3.bigint(), [12]],
  ["date as number", z3.date(), ["2024-02-29T12:30:00Z"]],
  ["ip", z3.string().ip(), ["10.0.0.1", "2001:db8::1"]],
  ["ipv4", z3.string().ip({ version: "v4" }), ["10.0.0.1"]],
  ["cidr", z3.string().cidr({ version: "v4" }), ["10.0.0.0/8"]],
  ["time", z3.string().time(), ["12:30:00Z"]],
];

const spaced = (v) =>
  Array.isArray(v) ? "[" + v.map(spaced).join(", ") + "]"
  : v && typeof v === "object" ? "{" + Object.entries(v).map(([k, x]) => JSON.stringify(k) + ": " + spaced(x)).join(", ") + "}"
  : JSON.stringify(v);
const rows = [];
function add(version, name, make, values) {
  let schema;
  try { schema = make(); } catch (e) { console.error(version, name, String(e).split("\n")[0]); return; }
  const right = [];
  for (const v of values)
    for (const text of [JSON.stringify({ v }), spaced({ v })])
      if (!right.includes(text)) right.push(text);
  rows.push({ name: `${version} ${name}`, schema, right, draft: version === "zod 3" ? "7" : "2020" });
}
for (const [name, s, values] of [...both(z), ...only4])
  add("zod 4", name, () => z.toJSONSchema(z.object({ v: s }), { io: "input" }), values);
for (const [name, s, values] of [...both(z3), ...only3])
  add("zod 3", name, () => zodToJsonSchema(z3.object({ v: s })), values);
console.log("[\n" + rows.map((r) => JSON.stringify(r)).join(",\n") + "\n]");
