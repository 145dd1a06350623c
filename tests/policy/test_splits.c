/* Every pack, cut in random ways: texts made of its own rules' hits and misses, written in every
 * encoding and next to each other, give one result however they come. SPLITS: how many cuts a
 * pack gets (make soak: a million). */
#include "policy/policy.h"
#include "policy/rules.h"
#include "base/text.h"
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

#define SPLITS 10000
#define SPLITS_OF_A_TEXT 20
#define TEXT_MOST 260

/* ---- texts */

struct material {
	const char **item;
	size_t count;
};

static void collect(struct material *m, const struct policy *p)
{
	size_t room = 0;
	for (size_t i = 0; i < p->rules; i++)
		room += p->rule[i].hits.count + p->rule[i].misses.count;
	m->item = calloc(room + 1, sizeof *m->item);
	cr_assert(m->item);
	for (size_t i = 0; i < p->rules; i++) {
		const struct strings *both[] = { &p->rule[i].hits, &p->rule[i].misses };
		for (int k = 0; k < 2; k++)
			for (size_t n = 0; n < both[k]->count; n++)
				m->item[m->count++] = both[k]->item[n];
	}
	cr_assert(m->count > 0);
}

static void write_percent(struct buf *b, const char *s, uint32_t *seed)
{
	for (; *s; s++)
		if (scan_random(seed) % 3)
			buf_printf(b, "%%%02X", (uint8_t)*s);
		else
			buf_add_byte(b, (unsigned char)*s);
}

static void write_escapes(struct buf *b, const char *s, uint32_t *seed)
{
	static const char *const form[] = { "\\u%04x", "\\\\u%04x", "&#%u;",
					    "\\x%02x", "=%02X",     "%%25%02x" };
	for (; *s; s++)
		if (*s > 0 && scan_random(seed) % 3 == 0)
			buf_printf(b, form[scan_random(seed) % 6], (unsigned)*s);
		else
			buf_add_byte(b, (unsigned char)*s);
}

static void write_marks(struct buf *b, const char *s, uint32_t *seed)
{
	static const char *const mark[] = {
		"**", "<b>", "</b>", "`", "=\n", "<br>", "\\", "&nbsp;"
	};
	for (; *s; s++) {
		if (scan_random(seed) % 6 == 0)
			buf_add_text(b, mark[scan_random(seed) % 8]);
		buf_add_byte(b, (unsigned char)*s);
	}
}

static void write_hex(struct buf *b, const char *s)
{
	for (; *s; s++)
		buf_printf(b, "%02x", (uint8_t)*s);
}

static void write_one(struct buf *b, const char *s, uint32_t *seed)
{
	switch (scan_random(seed) % 10) {
	case 0:
		write_percent(b, s, seed);
		return;
	case 1:
	case 2:
		write_escapes(b, s, seed);
		return;
	case 3:
		write_marks(b, s, seed);
		return;
	case 4:
		text_base64(b, s, strlen(s));
		return;
	case 5:
		write_hex(b, s);
		return;
	default:
		buf_add_text(b, s);
	}
}

static void write_text(struct buf *b, const struct material *m, uint32_t *seed)
{
	static const char *const between[] = {
		" ",   "\n", ", ",  "",   ",", "\t", "\"", "; x=", "\xE2\x80\x8B",
		"\\n", "/",  "%20", ". ", "a", "1",  "-"
	};
	size_t most = 30 + scan_random(seed) % TEXT_MOST;
	buf_clear(b);
	while (b->len < most) {
		write_one(b, m->item[scan_random(seed) % m->count], seed);
		buf_add_text(b, between[scan_random(seed) % 16]);
	}
	/* Long ones are cut off, in the middle of whatever is there. */
	b->len = b->len < most + 60 ? b->len : most + 60;
}

/* ---- cuts */

static size_t size_of_piece(size_t i, void *ctx)
{
	static const uint8_t most[] = { 1, 4, 9, 40 };
	(void)i;
	uint32_t *seed = ctx;
	return 1 + scan_random(seed) % most[*seed >> 8 & 3];
}

static void split_pack(const char *head, const char *name)
{
	char text[600];
	struct policy *p;
	struct policy_profile *profile;
	struct policy_problems problems = { 0 };
	struct buf bundle = { 0 }, t = { 0 };
	struct material m = { 0 };
	struct err e = { 0 };
	snprintf(text, sizeof text, "[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\n%s",
		 head);
	cr_assert_eq(policy_parse(&p, text, strlen(text), NULL, &problems, &e), 0, "%s", e.text);
	cr_assert_eq(policy_compile(p, &bundle, &e), 0, "%s", e.text);
	cr_assert_eq(policy_load(&profile, bundle.bytes, bundle.len, &e), 0, "%s", e.text);
	collect(&m, p);
	const struct filter_set *set = profile->set[POLICY_CONTENT];
	const char *asked = getenv("SPLITS");
	long splits = asked ? atol(asked) : SPLITS;
	uint32_t seed = 2026;
	for (long done = 0; done < splits; done += SPLITS_OF_A_TEXT) {
		write_text(&t, &m, &seed);
		struct scan whole = scan_whole(set, t.bytes, t.len);
		cr_assert(whole.end == FILTER_COMPLETE || whole.end == FILTER_BLOCKED, "%s",
			  whole.trace.bytes);
		for (int i = 0; i < SPLITS_OF_A_TEXT; i++) {
			struct scan s = scan_text(set, 0, t.bytes, t.len, size_of_piece, &seed);
			cr_assert(scan_equal(&whole, &s), "%s: %.*s\n%s\n%s", name, (int)t.len,
				  t.bytes, whole.trace.bytes, s.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
	}
	free(m.item);
	buf_free(&t);
	buf_free(&bundle);
	policy_problems_free(&problems);
	policy_profile_free(profile);
	policy_free(p);
}

Test(policy_splits, the_pack_of_the_union)
{
	split_pack("extends = [\"packs/pii-eu\"]\n", "pii-eu");
}

Test(policy_splits, the_pack_of_all_countries)
{
	split_pack("extends = [\"packs/pii-all\"]\n", "pii-all");
}

Test(policy_splits, the_pack_of_secrets)
{
	split_pack("extends = [\"packs/secrets\"]\n", "secrets");
}

Test(policy_splits, packs_and_rules_of_every_kind_together)
{
	split_pack(
		"extends = [\"packs/pii-eu\", \"packs/secrets\"]\n"
		"[[rule]]\nid = \"a\"\nphase = [\"output\"]\naction = \"replace\"\nreplace = \"-\"\n"
		"match = { fold = \"strict\", literals = [\"Project Larkspur\", \"tax id\"] }\n"
		"tests.hit = [\"Project Larkspur\", \"Pro\\u200Bject Larkspur\", \"tax-id\"]\n"
		"[[rule]]\nid = \"b\"\nphase = [\"output\"]\naction = \"flag\"\n"
		"match = { regex = \"\\\\b[a-z]+[0-9]{2,4}\\\\b\", repeat_max = 8, "
		"decode = [\"percent\", \"backslash\", \"base64\"] }\n"
		"tests.hit = [\"abc12\", \"x%20abc12\"]\n",
		"all");
}
