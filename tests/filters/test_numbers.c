/* The scanner of numbers: where values end, and that pieces change nothing. */
#include "tests/filters/scan.h"
#include "filters/kind.h"

#include <criterion/criterion.h>

/* All kinds in one set, actions and contexts in turn. */
static struct filter_set *all_kinds(enum filter_context context)
{
	static struct filter_rule rule[1024];
	struct filter_set *set;
	struct err e = { 0 };
	const struct kind *k;
	size_t n = 0;
	for (size_t i = 0; (k = kind_at(i)) && n < 1024; i++) {
		bool known = false;
		for (size_t j = 0; j < n && !known; j++)
			known = strcmp(rule[j].id, k->name) == 0;
		if (known)
			continue;
		rule[n] = (struct filter_rule){ .id = k->name,
						.action = n % 3 ? FILTER_REDACT : FILTER_MASK,
						.detector = k->name,
						.context = context };
		n++;
	}
	cr_assert(filter_set_build(&set, rule, n, &e) == 0, "%s", e.text);
	return set;
}

/* ---- pieces */

static const char *const fragments[] = {
	"4111 1111 1111 1111",
	"5500000000000004",
	"4111-1111-1111-1112",
	"378282246310005",
	"DE75 5121 0800 1245 1261 99",
	"de75512108001245126199",
	"NO93 8601 1117 947",
	"14326908732",
	"86 095 742 719",
	"11010519491231002X",
	"850101-4867",
	"131052-308T",
	"61163198B",
	"X1234567L",
	"682569926",
	"540610/9412",
	"93612895786",
	"415 555 0170",
	"+49 30 4455667",
	"20261129173952",
	"3.14159265358979323846",
	"0.4111111111111111",
	"12 45 33 78",
	"1,234,567",
	"4,111,111,111,111,111",
	"41111111111111111111",
	"0af7651916cd43dd8448eb211c80319c",
	"00000000-0000-0000-0000-000000000000",
	"4 1 1 1 ",
	"BSN ",
	"Steuer-ID: ",
	"order no. ",
	"Serial ",
	"card ",
	"PESEL",
	"name,bsn,iban\n",
	" is his BSN",
	"\n",
	"\r\n",
	",",
	";",
	"\t",
	"|",
	" ",
	"  ",
	"-",
	".",
	"/",
	"_",
	":",
	"\"",
	"\\n",
	"\\u0034",
	"%34",
	"&#52;",
	"=34",
	"**",
	"<br>",
	"\xE2\x80\x91",
	"\xC2\xA0",
	"\xC2\xB7",
	"\xE2\x80\x8B",
	"\xD9\xA4",
	"x",
	"E",
	"a",
	"0",
	"1",
	"7",
	"\xE5\x8F\xB7",
	"+",
	"(",
	")",
	"'",
};
#define FRAGMENTS (sizeof fragments / sizeof *fragments)

static size_t make_text(char *out, size_t room, uint32_t *seed)
{
	size_t n = 0, parts = 1 + scan_random(seed) % 30;
	for (size_t i = 0; i < parts; i++) {
		const char *f = fragments[scan_random(seed) % FRAGMENTS];
		size_t len = strlen(f),
		       cut = scan_random(seed) % 5 ? len : scan_random(seed) % (len + 1);
		if (n + cut >= room)
			break;
		memcpy(out + n, f, cut);
		n += cut;
	}
	out[n] = 0;
	return n;
}

static void same_in_pieces(enum filter_context context, uint32_t seed, int rounds)
{
	static const size_t one = 1;
	struct filter_set *set = all_kinds(context);
	size_t found = 0;
	for (int i = 0; i < rounds; i++) {
		char text[1200];
		size_t n = make_text(text, sizeof text, &seed);
		struct scan whole = scan_whole(set, text, n);
		struct scan bytes =
			scan_text(set, false, text, n, scan_bytes, (void *)(uintptr_t)&one);
		struct scan pieces = scan_text(set, false, text, n, scan_random_size, &seed);
		cr_expect(scan_equal(&whole, &bytes), "\"%s\"\n%s\n%s", text, whole.trace.bytes,
			  bytes.trace.bytes);
		cr_expect(scan_equal(&whole, &pieces), "\"%s\"\n%s\n%s", text, whole.trace.bytes,
			  pieces.trace.bytes);
		cr_expect_neq(whole.end, FILTER_LIMIT);
		found += whole.findings;
		scan_free(&whole);
		scan_free(&bytes);
		scan_free(&pieces);
	}
	cr_expect_gt(found, (size_t)rounds / 4, "%zu", found);
	filter_set_free(set);
}

Test(filters_numbers, pieces_change_nothing) { same_in_pieces(FILTER_CONTEXT_WEAK, 7, 2500); }

Test(filters_numbers, pieces_change_nothing_where_a_value_may_be_alone)
{
	same_in_pieces(FILTER_CONTEXT_ALONE, 11, 2500);
}

/* ---- rows */

static const struct {
	const char *detector, *text, *output; /* output NULL: it passes unchanged */
} ends[] = {
	{ "pan", "card 411111111111111", "card 411111*********" },
	{ "pan", "card 4111 1111 1111 11", "card 4111 11** **** **" },
	{ "pan", "card 4111-1111-1111-1", "card 4111-11**-****-*" },
	{ "pan", "card 4111-1111-1111-", "card 4111-11**-****-" },
	{ "pan", "card 4222222222222", "card 422222*******" },
	{ "pan", "card 9111111111111", NULL },
	{ "pan", "card 411111111111", "card 411111******" }, /* 13 digits were issued */
	{ "pan", "card 41111111111111 ", "card 411111******** " },
	{ "pan", "card 41111111111111 x", NULL },
	{ "pan", "order 5500 0899 1433 01", "order 5500 08** **** **" },
	{ "pan", "0.411111111111111", NULL },
	{ "iban", "to DE75 5121 0800 1245 1261 9", "to [redacted]" },
	{ "iban", "to DE75 5121 0800 1245 126", "to [redacted]" },
	{ "iban", "to DE75 5121 0800 124", "to [redacted]" }, /* more than half */
	{ "iban", "to DE75 5121 08", NULL },
	{ "pan", "card 5425 2334 3010", "card 5425 23** ****" },
	{ "pan", "card 5425 23", "card 5425 23" },
	{ "pl.pesel", "PESEL 4405140135", "PESEL [redacted]" },
	{ "pl.pesel", "PESEL 4499140135", NULL }, /* no such month */
	{ "pl.pesel", "sum 4405140135", NULL },
	{ "es.nif", "NIF 61163198", "NIF [redacted]" },
};

Test(filters_numbers, what_an_end_cut_short_counts)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		for (size_t piece = 1; piece < 40; piece += 5) {
			struct filter_rule rule = { .id = "r",
						    .action = strcmp(ends[i].detector, "pan") ?
								      FILTER_REDACT :
								      FILTER_MASK,
						    .detector = ends[i].detector };
			struct filter_set *set;
			struct filter_stream *f;
			struct cleared out;
			struct buf all = { 0 };
			cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
			cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
			for (size_t at = 0, len = strlen(ends[i].text); at < len; at += piece) {
				size_t n = piece < len - at ? piece : len - at;
				cr_assert_eq(filter_stream_push(f, ends[i].text + at, n, &out, NULL),
					     FILTER_OPEN);
				buf_add(&all, out.bytes, out.len);
			}
			filter_stream_cut(f);
			cr_expect_eq(filter_stream_end(f, &out, NULL), FILTER_COMPLETE);
			buf_add(&all, out.bytes, out.len);
			cr_expect_str_eq(all.bytes, ends[i].output ? ends[i].output : ends[i].text,
					 "%s: %s", ends[i].detector, ends[i].text);
			buf_free(&all);
			filter_stream_close(f);
			filter_set_free(set);
		}
}
