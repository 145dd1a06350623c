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

/* Values that are all of a text wait for its end only as long as it is short, however many. */
Test(filters_numbers, values_of_a_long_list_do_not_wait)
{
	struct filter_set *set = all_kinds(FILTER_CONTEXT_ALONE);
	struct buf text = { 0 };
	for (int i = 0; i < 500; i++)
		buf_add_text(&text, "4111 1111 1111 1111\n");
	struct scan s = scan_whole(set, text.bytes, text.len);
	cr_expect_eq(s.end, FILTER_COMPLETE);
	size_t one = 1;
	struct scan bytes = scan_text(set, false, text.bytes, text.len, scan_bytes, &one);
	cr_expect_leq(bytes.held_max, 300, "held %zu", bytes.held_max);
	cr_expect(scan_equal(&s, &bytes));
	scan_free(&s);
	scan_free(&bytes);
	filter_set_free(set);
	buf_free(&text);
}

static struct buf cut_output(const struct filter_set *set, const char *text, size_t n, size_t piece)
{
	struct filter_stream *f;
	struct cleared out;
	struct buf all = { 0 };
	cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
	for (size_t at = 0; at < n; at += piece) {
		size_t m = piece < n - at ? piece : n - at;
		cr_assert_eq(filter_stream_push(f, text + at, m, &out, NULL), FILTER_OPEN);
		buf_add(&all, out.bytes, out.len);
	}
	filter_stream_cut(f);
	cr_expect_eq(filter_stream_end(f, &out, NULL), FILTER_COMPLETE);
	buf_add(&all, out.bytes, out.len);
	buf_add_byte(&all, 0);
	filter_stream_close(f);
	return all;
}

Test(filters_numbers, pieces_change_nothing_at_an_end_cut_short)
{
	struct filter_set *set = all_kinds(FILTER_CONTEXT_WEAK);
	uint32_t seed = 5;
	for (int i = 0; i < 1500; i++) {
		char text[1200];
		size_t n = make_text(text, sizeof text, &seed);
		struct buf whole = cut_output(set, text, n, n + 1),
			   bytes = cut_output(set, text, n, 1);
		cr_expect_str_eq(whole.bytes, bytes.bytes, "\"%s\"", text);
		buf_free(&whole);
		buf_free(&bytes);
	}
	filter_set_free(set);
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
						    .action = strcmp(ends[i].detector, "pan")
								      ? FILTER_REDACT
								      : FILTER_MASK,
						    .detector = ends[i].detector };
			struct filter_set *set;
			struct filter_stream *f;
			struct cleared out;
			struct buf all = { 0 };
			cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
			cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
			for (size_t at = 0, len = strlen(ends[i].text); at < len; at += piece) {
				size_t n = piece < len - at ? piece : len - at;
				cr_assert_eq(filter_stream_push(f, ends[i].text + at, n, &out,
								NULL),
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

static const struct {
	const char *detector, *text, *output; /* output NULL: it passes unchanged */
} borders[] = {
	{ "pan", "id,card,cvc\n17,4111111111111111,123", "id,card,cvc\n17,411111******1111,123" },
	{ "pan", "17-4111111111111111-5", "17-411111******1111-5" },
	{ "pan", "3.4111 1111 1111 1111", "3.4111 11** **** 1111" },
	{ "pan", "17.4111111111111111.123", "17.411111******1111.123" },
	{ "pan", "0.4111111111111111 1.4111111111111111 .4111111111111111", NULL },
	{ "pan", "4111111111111111.0", "411111******1111.0" },
	{ "pan", "2.554028785994242", NULL },
	{ "pan", "[-45.53797317269614 -87.37824144062016, 54.655676524645244 75.6]", NULL },
	{ "pan", "card4111111111111111EUR", "card411111******1111EUR" },
	{ "pan", "415 555 0170 4111 1111 1111 1111 123", "415 555 0170 4111 11** **** 1111 123" },
	{ "pan", "4111  1111  1111  1111", "4111  11**  ****  1111" },
	{ "pan", "4111 - 1111 - 1111 - 1111", "4111 - 11** - **** - 1111" },
	{ "pan", "4111 1111\n1111 1111", "4111 11**\n**** 1111" },
	{ "pan", "4111,1111,1111,1111", "4111,11**,****,1111" },
	{ "pan", "4111,1111,1111,1111,1111", NULL },
	{ "pan", "4,111,111,111,111,111", "4,111,11*,***,**1,111" },
	{ "pan", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 * * * * * * 1 1 1 1" },
	{ "pan", "411-111-111-111-111-1", "411-111-***-***-111-1" }, /* the last is shorter */
	{ "pan", "7 41 11 11 11 11 11 11 11", "7 41 11 11 ** ** ** 11 11" },
	{ "pan", "11 41 11 11 11 11 11 11 11", NULL }, /* a row of pairs */
	{ "pan", "9999411111111111111199", "9999411111******111199" },
	{ "pan", "9999411111111111111199e", NULL },
	{ "pan", "+4111111111111", NULL },
	{ "pan", "4222222222222", NULL },
	{ "pan", "card 4222222222222", "card 422222***2222" },
	{ "pan", "0af7651916cd4111111111111111319c", NULL }, /* a digest of 32 */
	{ "iban", "XDE75512108001245126199", NULL },
	{ "iban",
	  "\xE5\x8D\xA1"
	  "DE75512108001245126199",
	  "\xE5\x8D\xA1[redacted]" },
	{ "iban", "DE 75 5121 0800 1245 1261 99", "[redacted]" },
	{ "iban", "de75.5121.0800.1245.1261.99", "[redacted]" },
	{ "de.tax_id", "14326908732", NULL },
	{ "de.tax_id", "Steuer-ID: 14326908732", "Steuer-ID: [redacted]" },
	{ "de.tax_id", "{\"taxId\": \"14326908732\"}", "{\"taxId\": \"[redacted]\"}" },
	{ "de.tax_id", "Steuer-ID\n14326908732", "Steuer-ID\n[redacted]" },
	{ "de.tax_id", "Steuer-ID der Mandantin\nAuftrag 14326908732", NULL },
	{ "de.tax_id", "Steuer-ID, Auftragsnummer 14326908732", NULL },
	{ "de.tax_id", "Auftrag, Steuer-ID 14326908732", "Auftrag, Steuer-ID [redacted]" },
	{ "de.tax_id", "n,idnr,x\n1,14326908732,2\n2,14326908732,3",
	  "n,idnr,x\n1,[redacted],2\n2,[redacted],3" },
	{ "de.tax_id", "idnr,n\n14326908732\n", "idnr,n\n[redacted]\n" },
	{ "nl.bsn", "682569926 is his BSN", "[redacted] is his BSN" },
	{ "nl.bsn", "682569926, BSN unknown", NULL },
	{ "es.nif", "61163198B", "[redacted]" },
	{ "es.nif", "Serial 61163198B", NULL },
	{ "es.nif", "Serial no. is: 61163198B", NULL },
	{ "es.nif", "INSERT INTO orders VALUES ('61163198B')",
	  "INSERT INTO orders VALUES ('[redacted]')" },
	{ "es.nif", "3522f61163198b", NULL },  /* a short hash */
	{ "se.person", "199910221804", NULL }, /* a minute of 1999 */
};

/* A value that needs no word, labelled as another thing. */
static const char *const labels[] = {
	"Order no. %s",
	"invoice_number: %s",
	"{\"order_id\": \"%s\"}",
	"orderId=%s",
	"<serial>%s</serial>",
	"Meeting ID: %s",
	"Tracking number %s",
	"Ticket #%s",
	"part number: %s",
	"Case reference %s",
	"Bestellnummer: %s",
	"Auftrag Nr. %s",
	"Kundennummer %s",
	"Commande n\u00b0 %s",
	"Num\u00e9ro de facture %s",
	"N\u00famero de pedido: %s",
	"Factura n.\u00ba %s",
	"Fattura numero %s",
	"Numero di serie: %s",
	"Encomenda n.\u00ba %s",
	"Bestelnummer %s",
	"Numer zam\u00f3wienia: %s",
	"Numer seryjny %s",
	"Fakturanummer: %s",
	"Objedn\u00e1vka \u010d. %s",
	"Rendel\u00e9ssz\u00e1m: %s",
	"Tilausnumero %s",
	"Comanda nr. %s",
	"\u8ba2\u5355\u53f7\uff1a%s",
	"\u6ce8\u6587\u756a\u53f7\uff1a%s",
	"\uc8fc\ubb38 \ubc88\ud638 %s",
	"\u0631\u0642\u0645 \u0627\u0644\u0637\u0644\u0628 %s",
	"\u0911\u0930\u094d\u0921\u0930 \u0938\u0902\u0916\u094d\u092f\u093e %s",
	"\u041d\u043e\u043c\u0435\u0440 \u0437\u0430\u043a\u0430\u0437\u0430: %s",
	"Sipari\u015f no: %s",
	"Fatura numaras\u0131 %s",
	"S\u1ed1 \u0111\u01a1n h\u00e0ng %s",
	"Nomor pesanan %s",
};

static void expect_row(size_t i, enum filter_context context, const char *detector,
		       const char *text, const char *output)
{
	struct filter_rule rule = { .id = "r",
				    .action = strcmp(detector, "pan") ? FILTER_REDACT : FILTER_MASK,
				    .detector = detector,
				    .context = context };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s", e.text);
	struct scan s = scan_whole(set, text, strlen(text));
	cr_expect_str_eq(s.output.bytes, output ? output : text, "row %zu, %s: %s -> %s", i,
			 detector, text, s.output.bytes);
	scan_free(&s);
	filter_set_free(set);
}

Test(filters_numbers, values_end_where_the_rules_say)
{
	for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
		expect_row(i, FILTER_CONTEXT_WEAK, borders[i].detector, borders[i].text,
			   borders[i].output);
}

Test(filters_numbers, contexts_ask_for_more_or_less)
{
	static const struct {
		enum filter_context context;
		const char *detector, *text, *output;
	} rows[] = {
		{ FILTER_CONTEXT_ALONE, "nl.bsn", "682569926", "[redacted]" },
		{ FILTER_CONTEXT_ALONE, "nl.bsn", " (682569926); 111222333.",
		  " ([redacted]); [redacted]." },
		{ FILTER_CONTEXT_ALONE, "nl.bsn", "682569926 x", NULL },
		{ FILTER_CONTEXT_ALONE, "nl.bsn", "x 682569926", NULL },
		{ FILTER_CONTEXT_ALONE, "nl.bsn", "682569926 682569927", NULL },
		{ FILTER_CONTEXT_ALONE, "nl.bsn", "68.25.69.926", NULL }, /* a version */
		{ FILTER_CONTEXT_ALONE, "dk.cvr", "29.49.18.87", NULL },
		{ FILTER_CONTEXT_ALONE, "dk.cvr", "29 49 18 87", "[redacted]" },
		{ FILTER_CONTEXT_ALONE, "de.tax_id", "14326908732", NULL }, /* of which country? */
		{ FILTER_CONTEXT_ALONE, "de.tax_id", "IdNr 14326908732", "IdNr [redacted]" },
		{ FILTER_CONTEXT_ALWAYS, "pan", "4111111111111111", NULL },
		{ FILTER_CONTEXT_ALWAYS, "pan", "card 4111111111111111", "card 411111******1111" },
		{ FILTER_CONTEXT_WEAK, "pan", "4111111111111111", "411111******1111" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_row(i, rows[i].context, rows[i].detector, rows[i].text, rows[i].output);
}

Test(filters_numbers, labels_of_other_things_speak_against_a_value)
{
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		char text[200];
		const char *hole = strstr(labels[i], "%s");
		snprintf(text, sizeof text, "%.*s61163198B%s", (int)(hole - labels[i]), labels[i],
			 hole + 2);
		expect_row(i, FILTER_CONTEXT_WEAK, "es.nif", text, NULL);
	}
}
