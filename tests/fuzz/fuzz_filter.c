/* Random rules, random cuts: every segmentation gives the result of the whole text.
 * Input: [seed of rules][cut bytes ...] 0xFF [text]; the first cut byte also says how the text is read: as
 * JSON, in a form of the client's, cut at its end. Sets are kept by their seed: building one costs more
 * than a run. */
#include "filters/filters.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES 6

static const char *const literals[][2] = {
	{"abc", "bcd"}, {"ab", "abab"},     {"larkspur", "spur"}, {"\xE5\x86\x85\xE9\x83\xA8", "m"},
	{"i 1", "rn"},  {"a\xCC\x81", "z"},
};
static const char *const regexes[] = {
	"a{1,4}b(?!c)",        "\\b[a-f]{2,6}\\b",   "(?<=a)b{1,3}$",       "^x.{0,5}y",
	"(?i)q(?:w|we){1,3}r", "[0-9]{3}-?[0-9]{2}", "(?<![a-z])ab|abc\\z", "\\w{1,8}@\\w{1,8}",
};
static const char *const detectors[] = {
	"pan",          "email",  "iban", "phone", "cn.resident_id", "unicode.tags", "unicode.selectors",
	"unicode.bidi", "us.ssn", "ip",
};

static const char *const excepts[] = { "ab", "4111 1111 1111 1111", "a@b.cc" };

struct result {
	char *bytes;
	size_t len;
	int end;
	struct filter_record record;
	struct filter_finding finding[64];
};

static void rule_make(struct filter_rule *r, uint8_t seed, const char *id)
{
	static const enum filter_action actions[] = {FILTER_FLAG, FILTER_MASK, FILTER_REDACT,
	                                             FILTER_REPLACE, FILTER_BLOCK};
	*r = (struct filter_rule){.id = id, .action = actions[seed % 5], .replacement = seed & 64 ? "<>" : NULL};
	unsigned pick = seed / 5;
	if (pick % 3 == 0) {
		r->literal = literals[pick / 3 % 6];
		r->literal_count = 2;
		r->fold = (enum filter_fold)(pick / 2 % 3);
		r->gap_max = pick % 5;
	} else if (pick % 3 == 1) {
		r->regex = regexes[pick / 3 % 8];
	} else {
		r->detector = detectors[pick / 3 % 10];
	}
	if (seed % 7 == 0 && !r->literal_count) {
		r->except = excepts;
		r->except_count = 3;
	}
}

static void take(struct result *r, const struct cleared *c)
{
	char *p = realloc(r->bytes, r->len + c->len + 1);
	if (!p)
		abort();
	memcpy(p + r->len, c->bytes, c->len);
	r->bytes = p;
	r->len += c->len;
}

#define CUT 1u /* the end is not the writer's; the other bits of how are enum filter_how */

static void run(const struct filter_set *set, unsigned how, const uint8_t *text, size_t len,
                const uint8_t *cuts, size_t count, struct result *r)
{
	struct filter_stream *f;
	struct cleared out;
	if (filter_stream_open(&f, set, how & ~CUT, NULL) < 0)
		abort();
	for (size_t at = 0, i = 0; at < len; i++) {
		size_t n = count ? cuts[i % count] % 16u + 1u : len;
		n = n < len - at ? n : len - at;
		r->end = filter_stream_push(f, text + at, n, &out, NULL);
		take(r, &out);
		at += n;
		if (filter_stream_held(f) > filter_stream_record(f)->hold_bound || r->end == FILTER_LIMIT)
			abort();
	}
	if (how & CUT)
		filter_stream_cut(f);
	r->end = filter_stream_end(f, &out, NULL);
	take(r, &out);
	r->record = *filter_stream_record(f);
	for (size_t i = 0; i < r->record.findings && i < 64; i++)
		r->finding[i] = r->record.finding[i];
	filter_stream_close(f);
}

static void compare(const struct result *a, const struct result *b)
{
	const struct filter_record *x = &a->record, *y = &b->record;
	if (a->end != b->end || a->len != b->len || memcmp(a->bytes, b->bytes, a->len) != 0)
		abort();
	if (x->seen != y->seen || x->scanned != y->scanned || x->released != y->released ||
	    x->ill_formed != y->ill_formed || x->findings != y->findings ||
	    x->end_offset != y->end_offset || x->emitted_bytes != y->emitted_bytes ||
	    !digest_equal(&x->seen_digest, &y->seen_digest) ||
	    !digest_equal(&x->emitted_digest, &y->emitted_digest))
		abort();
	for (size_t i = 0; i < x->findings && i < 64; i++) {
		const struct filter_finding *p = &a->finding[i], *q = &b->finding[i];
		if (p->start != q->start || p->end != q->end || p->action != q->action ||
		    p->replacement_len != q->replacement_len)
			abort();
	}
}

static struct filter_set *set_of(uint8_t seed)
{
	static const char *const id[RULES] = {"c", "a", "f", "b", "e", "d"};
	static struct filter_set *known[256];
	if (known[seed])
		return known[seed];
	struct filter_rule rule[RULES];
	uint32_t state = seed * 2654435761u + 1;
	size_t n = seed % RULES + 1;
	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		rule_make(&rule[i], (uint8_t)(state >> 24), id[i]);
	}
	if (filter_set_build(&known[seed], rule, n, NULL) < 0)
		abort();
	return known[seed];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *mark = size > 2 && size < 4096 ? memchr(data + 1, 0xFF, size - 1) : NULL;
	if (!mark || mark == data + 1)
		return 0;
	const struct filter_set *set = set_of(data[0]);
	const uint8_t *text = mark + 1;
	size_t len = size - (size_t)(text - data);
	static const uint8_t bytewise[1] = {0};
	struct result whole = {0}, cut = {0}, single = {0};
	unsigned how = data[1] & (CUT | FILTER_JSON | FILTER_KEYS_STAY | FILTER_STEERED | FILTER_SHAPED);
	run(set, how, text, len, NULL, 0, &whole);
	run(set, how, text, len, data + 1, (size_t)(mark - data) - 1, &cut);
	run(set, how, text, len, bytewise, 1, &single);
	compare(&whole, &cut);
	compare(&whole, &single);
	free(whole.bytes);
	free(cut.bytes);
	free(single.bytes);
	return 0;
}
