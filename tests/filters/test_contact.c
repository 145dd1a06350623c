/* Contacts and places: the texts of texts_contact.jsonl, containers, honest numbers. */
#include "filters/keccak.h"
#include "filters/near.h"
#include "filters/phone.h"
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char *const detectors[] = {
	"email",      "phone",          "ip",         "mac",        "url.credentials",
	"crypto.btc", "crypto.ltc",     "crypto.bch", "crypto.eth", "crypto.doge",
	"crypto.trx", "crypto.xrp",     "crypto.xmr", "crypto.sol", "date_of_birth",
	"plate",      "postal_address", "uk.vehicle", "ng.vehicle",
};
#define DETECTORS (sizeof detectors / sizeof *detectors)

static struct filter_set *one(const char *detector, enum filter_context context)
{
	struct filter_rule rule = {
		.id = "r", .action = FILTER_REDACT, .detector = detector, .context = context
	};
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s: %s", detector, e.text);
	return set;
}

static struct filter_set *all(void)
{
	struct filter_rule rule[DETECTORS] = { 0 };
	for (size_t i = 0; i < DETECTORS; i++)
		rule[i] = (struct filter_rule){ .id = detectors[i],
						.action = FILTER_FLAG,
						.detector = detectors[i] };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, DETECTORS, NULL) == 0);
	return set;
}

/* ---- sentences */

/* The trace that the spans of one kind must leave. */
static void spans_expect(const json_t *line, const char *kind, const struct scan *s)
{
	const char *text = scan_string(line, "text");
	struct buf want = { 0 }, came = { 0 };
	const json_t *spans = json_object_get(line, "spans");
	for (size_t i = 0; i < json_array_size(spans); i++) {
		const json_t *span = json_array_get(spans, i);
		if (strcmp(json_string_value(json_array_get(span, 2)), kind) == 0)
			buf_printf(&want, "[%jd,%jd) ",
				   (intmax_t)json_integer_value(json_array_get(span, 0)),
				   (intmax_t)json_integer_value(json_array_get(span, 1)));
	}
	for (const char *p = s->trace.bytes; (p = strstr(p, "\n[")); p++)
		buf_printf(&came, "%.*s ", (int)strcspn(p + 1, " "), p + 1);
	buf_add(&want, "", 1);
	buf_add(&came, "", 1);
	cr_expect_str_eq(came.bytes, want.bytes, "%s: %s: found %s not %s", kind, text, came.bytes,
			 want.bytes);
	buf_free(&want);
	buf_free(&came);
}

static void line_hold(const json_t *line, const char *kind, const struct filter_set *set)
{
	const char *text = scan_string(line, "text");
	struct scan whole = scan_whole(set, text, strlen(text));
	buf_add(&whole.trace, "", 1);
	cr_expect_eq(whole.end, FILTER_COMPLETE, "%s: %s", kind, text);
	spans_expect(line, kind, &whole);
	whole.trace.len--;
	for (size_t piece = 1; piece < 4; piece++) {
		struct scan s = scan_text(set, false, text, strlen(text), scan_bytes, &piece);
		cr_expect(scan_equal(&whole, &s), "%s: pieces of %zu: %s", kind, piece, text);
		scan_free(&s);
	}
	scan_free(&whole);
}

Test(filters_contact, sentences_give_their_spans_and_no_others)
{
	json_t *lines = scan_vectors("texts_contact.jsonl");
	cr_assert(lines && json_array_size(lines) > 400);
	for (size_t k = 0; k < DETECTORS; k++) {
		struct filter_set *set = one(detectors[k], FILTER_CONTEXT_WEAK);
		for (size_t i = 0; i < json_array_size(lines); i++)
			line_hold(json_array_get(lines, i), detectors[k], set);
		filter_set_free(set);
	}
	json_decref(lines);
}

/* ---- containers: "#" is the value */

static const char *const containers[] = {
	"#",
	"It says # here.",
	"The answer is #.",
	"17,#,123",
	"17,x,#",
	"17;#;123",
	"17\t#\t123",
	"17|#|123",
	"17^#^123",
	"\"17\",\"#\",\"123\"",
	"'17','#','123'",
	"17 , # , 123",
	"id,value,cvc\n17,#,123\n",
	"#,17,123\n",
	"17    #    123",
	"{\"value\": \"#\"}",
	"{\"id\":17,\"value\":\"#\",\"n\":1}",
	"[17, \"#\", 42]",
	"[17,#,42]",
	"{\"value\": #}",
	"{\"#\": 1}",
	"{\n  \"value\": \"#\",\n  \"n\": 1\n}",
	"{\"a\": \"{\\\"value\\\": \\\"#\\\"}\"}",
	"{\"value\": \"x\\n#\"}",
	"{\"value\": \"#\\nx\"}",
	"{\"value\": \"x\\t#\"}",
	"{\"v\":\"#\"}\n{\"v\":\"b\"}\n",
	"INSERT INTO t VALUES (17, '#', 42);",
	"SELECT * FROM t WHERE v = '#' AND n > 1",
	"rows = [17, '#', 42]",
	"(17, '#', 42)",
	"check(\"#\")",
	"print(f\"#\")",
	"const char *v = \"#\";",
	"VALUE='#' ./run",
	"./run --value=# --fast",
	"VALUE=#\nX=1\n",
	"[a]\nvalue = #\n",
	"value: #\nn: 1\n",
	"- #\n- b\n",
	"value: '#'\n",
	"| id | value |\n|---|---|\n| 17 | # |\n",
	"|17|#|42|",
	"* #\n* b\n",
	"`#`",
	"```\n#\n```\n",
	"**#**",
	"> #\n",
	"<value>#</value>",
	"<row value=\"#\" n=\"1\"/>",
	"<td>#</td><td>42</td>",
	"2026-11-30T10:15:30Z INFO pay: value=# status=ok",
	"level=info value=\"#\" ms=12",
	"(#)",
	"[#]",
	"{#}",
	"<#>",
	"\u201e#\u201c",
	"\u00ab # \u00bb",
	"\u53f7\u7801\u662f#\u3002",
	"\u756a\u53f7\u306f\u300c#\u300d\u3067\u3059",
	"\u0627\u0644\u0631\u0642\u0645 # \u0635\u0627\u0644\u062d",
	"\u05d4\u05de\u05e1\u05e4\u05e8 # \u05ea\u05e7\u05e3",
	"3. #",
	"value:#",
	"value - # - end",
	"...#...",
	"~#~",
};

static const struct {
	const char *detector, *value;
} contained[] = {
	{ "email", "henryb@example.com" },
	{ "email", "o'brien+x@mail.example.ie" },
	{ "email", "j\u00fcrgen.kranz@b\u00fccher.example" },
	{ "phone", "+44 7700 900963" },
	{ "phone", "+4915123456789" },
	{ "phone", "(617) 555-0116" },
	{ "phone", "06.98.76.54.32" },
	{ "ip", "91.198.174.192" },
	{ "ip", "185.15.59.224" },
	{ "ip", "2001:4860:4860::8844" },
	{ "mac", "00:1A:2B:3C:4D:5E" },
	{ "mac", "0012.3456.789A" },
	{ "crypto.eth", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" },
	{ "crypto.btc", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ" },
	{ "crypto.xrp", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh" },
	{ "uk.vehicle", "AB51 ABC" },
	{ "postal_address", "Goethestra\u00dfe 15, 60313 Frankfurt" },
	{ "url.credentials", "https://user:pass@host.example.com" },
};

/* The finding covers the value whatever stands around it, and is not much longer. */
Test(filters_contact, values_are_found_in_every_container)
{
	for (size_t v = 0; v < sizeof contained / sizeof *contained; v++) {
		struct filter_set *set = one(contained[v].detector, FILTER_CONTEXT_WEAK);
		for (size_t c = 0; c < sizeof containers / sizeof *containers; c++) {
			const char *at = strchr(containers[c], '#');
			struct buf text = { 0 };
			size_t start = (size_t)(at - containers[c]), n = strlen(contained[v].value);
			buf_printf(&text, "%.*s%s%s", (int)start, containers[c], contained[v].value,
				   at + 1);
			struct scan s = scan_whole(set, text.bytes, text.len);
			cr_expect(s.findings == 1 && s.first_start <= start &&
					  s.first_end >= start + n && s.first_start + 2 >= start &&
					  s.first_end <= start + n + 2,
				  "%s: %.*s: %ju to %ju", contained[v].detector, (int)text.len,
				  text.bytes, (uintmax_t)s.first_start, (uintmax_t)s.first_end);
			scan_free(&s);
			buf_free(&text);
		}
		filter_set_free(set);
	}
}

/* ---- honest numbers: each class one line each, from a fixed seed */

#define HONEST 12500 /* of each of 8 classes: 100,000 */

static uint32_t up_to(uint32_t *state, uint32_t n) { return scan_random(state) % n; }

static void version(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "Upgrade to version %u.%u.%u.%u first.\n",
					     "It says %u.%u.%u.%u here.\n",
					     "kernel %u.%u.%u.%u is out\n", "tag v%u.%u.%u.%u\n" };
	uint32_t a = 1 + up_to(s, 60), c = up_to(s, 100), d = up_to(s, 100), e = up_to(s, 255);
	uint32_t k = up_to(s, 4);
	if (k == 1)
		e %= 100;
	buf_printf(b, frame[k], a, c, d, e);
}

static void price(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "Total %u,%03u,%03u.%02u EUR\n",
					     "Summe %u.%03u.%03u,%02u EUR\n",
					     "total %u %03u %03u,%02u EUR\n" };
	buf_printf(b, frame[up_to(s, 3)], 1 + up_to(s, 999), up_to(s, 1000), up_to(s, 1000),
		   up_to(s, 100));
}

static void isbn(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "ISBN 978-%u-%04u-%04u-%u, second edition\n",
					     "ISBN %u-%03u-%05u-%u\n" };
	bool ten = up_to(s, 2);
	buf_printf(b, frame[ten], up_to(s, 10), up_to(s, ten ? 1000 : 10000),
		   up_to(s, ten ? 100000 : 10000), up_to(s, 10));
}

static void coordinates(struct buf *b, uint32_t *s)
{
	buf_printf(b, "at %s%u.%06u, %s%u.%06u\n", up_to(s, 2) ? "-" : "", up_to(s, 90),
		   up_to(s, 1000000), up_to(s, 2) ? "-" : "", up_to(s, 180), up_to(s, 1000000));
}

static void times(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "from %02u:%02u:%02u to %02u:%02u:%02u\n",
					     "took %02u:%02u:%02u:%02u:%02u:%02u\n",
					     "%02u:%02u:%02u.%02u%02u%02u\n" };
	buf_printf(b, frame[up_to(s, 3)], up_to(s, 24), up_to(s, 60), up_to(s, 60), up_to(s, 24),
		   up_to(s, 60), up_to(s, 60));
}

static void stamp(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "Backup %04u%02u%02u%02u%02u%02u is done\n",
					     "%04u-%02u-%02uT%02u:%02u:%02uZ start\n",
					     "%04u-%02u-%02u %02u:%02u:%02u INFO\n",
					     "on %04u/%02u/%02u %02u:%02u:%02u\n" };
	buf_printf(b, frame[up_to(s, 4)], 1990 + up_to(s, 45), 1 + up_to(s, 12), 1 + up_to(s, 28),
		   up_to(s, 24), up_to(s, 60), up_to(s, 60));
}

static void table(struct buf *b, uint32_t *s)
{
	static const uint32_t wide[] = { 10, 100, 1000, 10000, 1000000000 };
	uint32_t n = 4 + up_to(s, 8), w = wide[up_to(s, 5)];
	const char *between = up_to(s, 2) ? " " : "\t";
	for (uint32_t i = 0; i < n; i++)
		buf_printf(b, "%s%u", i ? between : "", up_to(s, w));
	buf_add_text(b, "\n");
}

static void order(struct buf *b, uint32_t *s)
{
	static const char *const frame[] = { "Your order %u%05u has shipped.\n",
					     "Part no. %u-%05u fits.\n", "value %u%05u came back\n",
					     "Rechnung %u %05u vom Mai\n" };
	buf_printf(b, frame[up_to(s, 4)], 100 + up_to(s, 900000), up_to(s, 100000));
}

static const struct {
	const char *what;
	void (*put)(struct buf *b, uint32_t *s);
	unsigned most; /* lines touched, of HONEST */
} honest[] = {
	{ "versions", version, 60 }, { "prices", price, 0 },
	{ "ISBNs", isbn, 0 },        { "coordinates", coordinates, 0 },
	{ "times", times, 0 },       { "stamps", stamp, 0 },
	{ "tables", table, 0 },      { "orders", order, 0 },
};

static unsigned lines_touched(const struct filter_set *set, const struct buf *text)
{
	struct filter_stream *f;
	struct cleared out;
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert(filter_stream_push(f, text->bytes, text->len, &out, NULL) == FILTER_OPEN);
	cr_assert(filter_stream_end(f, &out, NULL) == FILTER_COMPLETE);
	const struct filter_record *r = filter_stream_record(f);
	unsigned touched = 0;
	uint64_t line_end = 0;
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *a = &r->finding[i];
		if (a->start < line_end)
			continue;
		line_end = a->start;
		while (line_end < text->len && text->bytes[line_end] != '\n')
			line_end++;
		size_t from = a->start;
		while (from > 0 && text->bytes[from - 1] != '\n')
			from--;
		if (touched++ < 5)
			cr_log_info("%s in %.*s", a->rules, (int)(line_end - from),
				    text->bytes + from);
	}
	filter_stream_close(f);
	return touched;
}

Test(filters_contact, honest_numbers_stay)
{
	struct filter_set *set = all();
	uint32_t state = 20261130;
	for (size_t k = 0; k < sizeof honest / sizeof *honest; k++) {
		struct buf text = { 0 };
		for (int i = 0; i < HONEST; i++)
			honest[k].put(&text, &state);
		unsigned touched = lines_touched(set, &text);
		cr_log_info("%s: %u of %d lines", honest[k].what, touched, HONEST);
		cr_expect_leq(touched, honest[k].most, "%s: %u of %d lines", honest[k].what,
			      touched, HONEST);
		buf_free(&text);
	}
	filter_set_free(set);
}

/* ---- parts */

Test(filters_contact, a_number_alone_needs_no_word_where_the_rule_says_so)
{
	static const char *const alone[] = { "0171 9876543", " 612987654\n", "\"06 12 34 56 78\".",
					     "0044 7700 900456" };
	struct filter_set *weak = one("phone", FILTER_CONTEXT_WEAK),
			  *set = one("phone", FILTER_CONTEXT_ALONE);
	for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
		struct scan s = scan_whole(set, alone[i], strlen(alone[i]));
		cr_expect_eq(s.findings, 1, "%s", alone[i]);
		scan_free(&s);
	}
	struct scan s = scan_whole(weak, "612987654", 9);
	cr_expect_eq(s.findings, 0);
	scan_free(&s);
	static const char more[] = "612987654 and more of a text that goes on";
	s = scan_whole(set, more, strlen(more));
	cr_expect_eq(s.findings, 0);
	scan_free(&s);
	filter_set_free(weak);
	filter_set_free(set);
}

Test(filters_contact, a_rule_may_want_a_word_near_every_value)
{
	static const struct {
		const char *detector, *text;
		size_t findings;
	} row[] = {
		{ "phone", "+44 7700 900963", 0 },
		{ "phone", "phone +44 7700 900963", 1 },
		{ "ip", "91.198.174.192:80 2001:4860:4860::8844", 0 },
		{ "ip", "client 91.198.174.192:80", 1 },
		{ "ip", "client 2001:4860:4860::8844", 1 },
		{ "postal_address", "Via Garibaldi 7, 10122 Torino", 0 },
		{ "postal_address", "Address: Via Garibaldi 7, 10122 Torino", 1 },
		{ "crypto.eth", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", 0 },
		{ "crypto.eth", "ETH 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", 1 },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct filter_set *set = one(row[i].detector, FILTER_CONTEXT_ALWAYS);
		struct scan s = scan_whole(set, row[i].text, strlen(row[i].text));
		cr_expect_eq(s.findings, row[i].findings, "%s: %s", row[i].detector, row[i].text);
		scan_free(&s);
		filter_set_free(set);
	}
	struct filter_rule rule = { .id = "r",
				    .detector = "email",
				    .context = FILTER_CONTEXT_ALWAYS };
	struct filter_set *set;
	cr_expect_eq(filter_set_build(&set, &rule, 1, NULL), ERR_INPUT, "it has no words");
}

Test(filters_contact, a_name_is_of_its_own_parameter)
{
	static const char text[] = "id=17&v=BD62XYZ&n=1", own[] = "n=17&id=BD62XYZ";
	struct filter_set *set = one("uk.vehicle", FILTER_CONTEXT_WEAK);
	struct scan s = scan_whole(set, text, strlen(text));
	cr_expect_eq(s.findings, 1, "%s", text);
	scan_free(&s);
	s = scan_whole(set, own, strlen(own));
	cr_expect_eq(s.findings, 0, "%s", own);
	scan_free(&s);
	filter_set_free(set);
}

Test(filters_contact, a_column_has_its_name_for_all_of_the_table)
{
	struct buf text = { 0 };
	buf_add_text(&text, "id,phone,order\n");
	for (int i = 0; i < 500; i++)
		buf_printf(&text, "%d,0171 %07d,212-555-%04d\n", i, 9876000 + i, 1000 + i);
	buf_add_text(&text, "\nhere: 0171 9876543, 212-555\n");
	struct filter_set *set = one("phone", FILTER_CONTEXT_WEAK);
	struct scan whole = scan_whole(set, text.bytes, text.len);
	cr_expect_eq(whole.findings, 500, "%zu", whole.findings);
	uint32_t state = 7;
	struct scan cut = scan_text(set, false, text.bytes, text.len, scan_random_size, &state);
	cr_expect(scan_equal(&whole, &cut));
	scan_free(&whole);
	scan_free(&cut);
	buf_free(&text);
	filter_set_free(set);
}

Test(filters_contact, a_number_alone_may_be_any_other)
{
	static const char *const other[] = { "61298765432", "12 45 33 78 90", "12345678901234",
					     "18.25.17.52" };
	struct filter_set *set = one("phone", FILTER_CONTEXT_ALONE);
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		struct scan s = scan_whole(set, other[i], strlen(other[i]));
		cr_expect_eq(s.findings, 0, "%s", other[i]);
		scan_free(&s);
	}
	filter_set_free(set);
}

Test(filters_contact, every_plan_can_be_read)
{
	const struct phone_plan *plan;
	for (size_t i = 0; (plan = filter_phone_plan(i)); i++) {
		cr_expect_eq(filter_phone_code(plan->code, strlen(plan->code)), strlen(plan->code),
			     "%s", plan->country);
		for (const char *p = plan->ranges; *p; p++)
			cr_expect(strchr("0123456789[]-*: ", *p), "%s: %s", plan->country, p);
		cr_expect(*plan->source);
	}
	cr_expect_eq(filter_phone_read("491711234567", 12, true, false), PHONE_WORLD);
	cr_expect_eq(filter_phone_read("4901711234567", 13, true, false), PHONE_WORLD);
	cr_expect_eq(filter_phone_read("201001234567", 12, true, false), PHONE_ASSIGNED);
	cr_expect_eq(filter_phone_read("2101001234567", 13, true, false), PHONE_NONE);
	cr_expect_eq(filter_phone_read("12345678", 8, true, false), PHONE_NONE);
	cr_expect_eq(filter_phone_read("01711234567", 11, false, false), PHONE_TRUNK);
	cr_expect_eq(filter_phone_read("612987654", 9, false, false), PHONE_SHORT);
	cr_expect_eq(filter_phone_read("0111", 4, false, false), PHONE_NONE);
}

Test(filters_contact, words_are_written_as_they_are_compared)
{
	for (int k = 0; k < NEAR_LISTS; k++) {
		const char *w = filter_near_words[k];
		char folded[8000];
		size_t n = filter_near_fold(w, strlen(w), folded, sizeof folded);
		cr_expect(n == strlen(w) && memcmp(folded, w, n) == 0, "kind %d: %.*s", k, (int)n,
			  folded);
		cr_expect(!strstr(w, "||") && !strstr(w, "**"), "kind %d has an empty word", k);
	}
}

/* Values of the Keccak team's known answers. */
Test(filters_contact, keccak_gives_the_known_answers)
{
	static const struct {
		const char *text, *hex;
	} answer[] = {
		{ "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" },
		{ "abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45" },
	};
	for (size_t i = 0; i < sizeof answer / sizeof *answer; i++) {
		struct digest d;
		char hex[65];
		filter_keccak256(answer[i].text, strlen(answer[i].text), d.bytes);
		digest_hex(&d, hex);
		cr_expect_str_eq(hex, answer[i].hex);
	}
}
