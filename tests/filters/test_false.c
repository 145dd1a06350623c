/* Honest numbers that are nobody's, from fixed seeds: how many of them all kinds together touch. */
#include "tests/filters/scan.h"
#include "filters/kind.h"

#include <criterion/criterion.h>

static uint32_t seed;

static unsigned below(unsigned n) { return scan_random(&seed) % n; }

static void digits(char *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = (char)('0' + (i ? below(10) : 1 + below(9)));
	out[n] = 0;
}

static void hexes(char *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = "0123456789abcdef"[below(16)];
	out[n] = 0;
}

static void put_digits8(char *t) { digits(t, 8); }
static void put_digits9(char *t) { digits(t, 9); }
static void put_digits10(char *t) { digits(t, 10); }
static void put_digits11(char *t) { digits(t, 11); }
static void put_digits12(char *t) { digits(t, 12); }
static void put_digits13(char *t) { digits(t, 13); }
static void put_digits16(char *t) { digits(t, 16); }

static void put_order(char *t)
{
	static const char *const label[] = { "order ",  "Auftragsnummer ", "invoice no. ",
					     "pedido ", "ticket #",        "serial: ",
					     "lot ",    "case number is " };
	strcpy(t, label[below(8)]);
	digits(t + strlen(t), 7 + (int)below(5));
}

static void put_stamp(char *t)
{
	unsigned y = 1990 + below(40), mo = 1 + below(12), d = 1 + below(28), h = below(24),
		 m = below(60), s = below(60);
	switch (below(5)) {
	case 0:
		sprintf(t, "%04u%02u%02u%02u%02u%02u", y, mo, d, h, m, s);
		return;
	case 1:
		sprintf(t, "%04u%02u%02u%02u%02u", y, mo, d, h, m);
		return;
	case 2:
		sprintf(t, "%04u-%02u-%02dT%02u:%02u:%02uZ", y, mo, (int)d, h, m, s);
		return;
	case 3:
		sprintf(t, "%04u-%02u-%02u %02u:%02u:%02u.%06u", y, mo, d, h, m, s, below(1000000));
		return;
	default:
		sprintf(t, "17%08u%03u", below(100000000), below(1000));
	}
}

static void put_digest(char *t)
{
	static const int n[] = { 32, 40, 56, 64 };
	hexes(t, n[below(4)]);
}

static void put_short_hash(char *t) { hexes(t, 7 + (int)below(10)); }

static void put_uuid(char *t)
{
	static const int n[] = { 8, 4, 4, 4, 12 };
	*t = 0;
	for (int i = 0; i < 5; i++) {
		char part[16];
		hexes(part, n[i]);
		strcat(strcat(t, i ? "-" : ""), part);
	}
}

static void put_version(char *t)
{
	sprintf(t, "%u.%u.%u.%u", below(30), below(100), below(1000), below(10000));
}

static void put_price(char *t)
{
	sprintf(t, "%s%u,%03u,%03u.%02u", below(2) ? "$" : "EUR ", 1 + below(999), below(1000),
		below(1000), below(100));
}

static void put_decimal(char *t)
{
	sprintf(t, "%u.", below(3));
	digits(t + strlen(t), 9 + (int)below(9));
}

static void put_isbn(char *t)
{
	char d[20];
	digits(d, 9);
	sprintf(t, "978-%.1s-%.2s-%.6s-%u", d, d + 1, d + 3, below(10));
}

static void put_table(char *t)
{
	*t = 0;
	for (int i = 0; i < 12; i++)
		sprintf(t + strlen(t), "%02u ", below(100));
}

static void put_cells(char *t)
{
	*t = 0;
	for (int i = 0; i < 8; i++)
		sprintf(t + strlen(t), "%u,", below(10000));
}

static void put_place(char *t)
{
	sprintf(t, "%u.%06u, %u.%06u", below(90), below(1000000), below(180), below(1000000));
}

static void put_telephone(char *t)
{
	sprintf(t, "+%u %u %04u %04u", 1 + below(98), 10 + below(990), below(10000), below(10000));
}

/* At most so many of 100,000. Cards touch what a check of one in ten and their issuers let through. */
static const struct {
	const char *what;
	void (*put)(char *text);
	unsigned most;
} classes[] = {
	{ "8 digits", put_digits8, 0 },          { "9 digits", put_digits9, 0 },
	{ "10 digits", put_digits10, 0 },        { "11 digits", put_digits11, 100 },
	{ "12 digits", put_digits12, 250 },      { "13 digits", put_digits13, 600 },
	{ "16 digits", put_digits16, 4500 },     { "labelled numbers", put_order, 10 },
	{ "time stamps", put_stamp, 200 },        { "digests", put_digest, 10 },
	{ "short hashes", put_short_hash, 100 }, { "UUIDs", put_uuid, 0 },
	{ "versions", put_version, 10 },         { "prices", put_price, 10 },
	{ "decimals", put_decimal, 10 },         { "ISBNs", put_isbn, 100 },
	{ "rows of a table", put_table, 200 },   { "cells of a table", put_cells, 500 },
	{ "coordinates", put_place, 10 },        { "telephone numbers", put_telephone, 200 },
};

#define TEXTS 5000

Test(filters_false, honest_numbers_are_left)
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
		if (!known)
			rule[n++] = (struct filter_rule){ .id = k->name,
							  .action = FILTER_REDACT,
							  .detector = k->name };
	}
	cr_assert(filter_set_build(&set, rule, n, &e) == 0, "%s", e.text);
	for (size_t c = 0; c < sizeof classes / sizeof *classes; c++) {
		unsigned touched = 0;
		struct buf which = { 0 };
		seed = 2463534242u + (uint32_t)c;
		for (int i = 0; i < TEXTS; i++) {
			char value[200], text[300];
			classes[c].put(value);
			snprintf(text, sizeof text, "and then %s came", value);
			struct scan s = scan_whole(set, text, strlen(text));
			touched += s.findings > 0;
			if (s.findings && which.len < 600)
				buf_printf(&which, "%s: %s", value, strrchr(s.trace.bytes, '['));
			scan_free(&s);
		}
		cr_log_info("%s: %u of %d", classes[c].what, touched, TEXTS);
		cr_expect_leq((uint64_t)touched * 100000, (uint64_t)classes[c].most * TEXTS,
			      "%s: %u of %d\n%s", classes[c].what, touched, TEXTS,
			      which.len ? which.bytes : "");
		buf_free(&which);
	}
	filter_set_free(set);
}
