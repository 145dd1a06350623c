/* Texts of pieces that the views care for, in random cuts: every segmentation gives the result of
 * the whole text, in a text and in JSON, and no set holds more than it says.
 * Input: [seed of rules][how][cut bytes ...] 0xFF [pieces]: a byte below PIECES is a piece, another
 * itself. */
#include "filters/filters.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES 9
#define TEXT_MAX 8192

static const char *const piece[] = {
	"4111 1111 1111 1111",
	"4111",
	"1111",
	" 1111",
	"%34",
	"%31",
	"%C3%A9",
	"%2534",
	"&#52;",
	"&#x31;",
	"&nbsp;",
	"&amp;#49;",
	"&",
	"\\",
	"\\\\",
	"\\n",
	"\\u0034",
	"\\\\u0031",
	"\\ud835\\udfd2",
	"\\x31",
	"\\064",
	"\\\"",
	"**",
	"*",
	"_",
	"`",
	"~~",
	"<b>",
	"</b>",
	"<br>",
	"<span class=\"x\">",
	"<!-- ",
	"-->",
	"=34",
	"=C2=A0",
	"=\r\n",
	"=3D",
	"henryb@example.com",
	"henryb",
	"%40",
	"example",
	".com",
	"198.35.26.96",
	"DE89 3704 0044 0532 0130 00",
	"DE89",
	"3704",
	"IBAN ",
	"card ",
	"ssn: 219099998",
	"Project",
	"Larkspur",
	"\xC3\xA9",
	"\xE2\x80\x8B",
	"&#8203;",
	"\xE2\x80\x93",
	"\xD9\xA1",
	"NDExMSAxMTExIDExMTEgMTExMQ==",
	"NDExMTEx",
	"MTExMTExMTExMQ",
	"eCA0",
	"aGVucnliQGV4",
	"YW1wbGUuY29t",
	"34313131",
	"203131",
	"NAAxADEAMQAxADEAMQAx",
	"UHJvamVjdCBMYXJrc3B1cg",
	"iVBORw0KGgo",
	("ghp_0otc4"
	 "8uULMbghQeTB5FlcjAOYVa1KN277T8x"),
	"AKIA",
	"Z7VXQ2PNM4RT6WKD",
	"+49 30 1234567",
	"tel ",
	"\xF3\xA0\x81\x81",
	"\xE2\x80\xAE",
	"\xEF\xB8\x8F\xEF\xB8\x8F",
	"{\"a\":\"",
	"\",\"b\":[",
	"]}",
	"\":",
	"-----BEGIN PRIVATE KEY-----",
	"-----END PRIVATE KEY-----",
	"86 095 742 719",
	"tax id ",
	"abc12",
};
#define PIECES (sizeof piece / sizeof *piece)

static const char *const literal[] = { "Project Larkspur", "abab" };
static const char *const regexes[] = { "[0-9]{3,5}", "(?<![a-z])[a-z]{2,5}[0-9]{2}\\b",
				       "^card.{0,9}$" };
static const char *const detectors[] = {
	"pan",
	"iban",
	"email",
	"phone",
	"ip",
	"url",
	"us.ssn",
	"de.tax_id",
	"unicode.tags",
	"unicode.bidi",
	"unicode.selectors",
	"secret.github_pat",
	"secret.aws_access_key",
	"secret.private_key",
	"mac",
};
#define DETECTORS (sizeof detectors / sizeof *detectors)

struct result {
	char *bytes;
	size_t len;
	int end;
	struct filter_record record;
	struct filter_finding *finding;
};

static void rule_make(struct filter_rule *r, uint32_t seed, const char *id)
{
	static const enum filter_action actions[] = { FILTER_FLAG, FILTER_MASK, FILTER_REDACT,
						      FILTER_REPLACE, FILTER_BLOCK };
	*r = (struct filter_rule){ .id = id, .action = actions[seed % 32 ? seed % 4 : 4] };
	unsigned pick = seed / 32 % 32;
	if (seed & 1u << 20)
		r->decode = 1 + (seed >> 21) % (FILTER_DECODE_ALL + 1);
	if (pick < DETECTORS) {
		r->detector = detectors[pick];
		if (!filter_detector_known(r->detector))
			r->detector = "email";
	} else if (pick % 2) {
		r->regex = regexes[pick % 3];
	} else {
		r->literal = literal;
		r->literal_count = 2;
		r->fold = (enum filter_fold)(pick % 3);
		r->gap_max = pick % 5;
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

static void run(const struct filter_set *set, uint8_t how, const uint8_t *text, size_t len,
		const uint8_t *cuts, size_t count, struct result *r)
{
	struct filter_stream *f;
	struct cleared out;
	if (filter_stream_open(&f, set, (how & 1 ? FILTER_JSON : 0) | (how & 2 ? FILTER_SHADOW : 0),
			       NULL) < 0)
		abort();
	for (size_t at = 0, i = 0; at < len; i++) {
		size_t n = count ? cuts[i % count] % 16u + 1u : len;
		n = n < len - at ? n : len - at;
		r->end = filter_stream_push(f, text + at, n, &out, NULL);
		take(r, &out);
		at += n;
		if (r->end == FILTER_LIMIT)
			abort();
	}
	if (how & 4)
		filter_stream_cut(f);
	r->end = filter_stream_end(f, &out, NULL);
	take(r, &out);
	r->record = *filter_stream_record(f);
	r->finding = calloc(r->record.findings + 1, sizeof *r->finding);
	if (!r->finding || r->end == FILTER_LIMIT)
		abort();
	if (r->record.findings)
		memcpy(r->finding, r->record.finding, r->record.findings * sizeof *r->finding);
	filter_stream_close(f);
}

static void compare(const struct result *a, const struct result *b)
{
	const struct filter_record *x = &a->record, *y = &b->record;
	if (a->end != b->end || a->len != b->len || memcmp(a->bytes, b->bytes, a->len) != 0)
		abort();
	if (x->seen != y->seen || x->scanned != y->scanned || x->released != y->released ||
	    x->ill_formed != y->ill_formed || x->findings != y->findings ||
	    x->end_offset != y->end_offset || !digest_equal(&x->seen_digest, &y->seen_digest))
		abort();
	for (size_t i = 0; i < x->findings; i++) {
		const struct filter_finding *p = &a->finding[i], *q = &b->finding[i];
		if (p->start != q->start || p->end != q->end || p->action != q->action ||
		    p->replacement_len != q->replacement_len)
			abort();
	}
}

static struct filter_set *set_of(uint8_t seed)
{
	static const char *const id[RULES] = { "c", "a", "f", "b", "e", "d", "i", "h", "g" };
	static struct filter_set *known[256];
	if (known[seed])
		return known[seed];
	struct filter_rule rule[RULES];
	uint32_t state = seed * 2654435761u + 1;
	size_t n = seed % RULES + 1;
	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		rule_make(&rule[i], state >> 5, id[i]);
	}
	if (filter_set_build(&known[seed], rule, n, NULL) < 0)
		abort();
	return known[seed];
}

static size_t spell(char *text, const uint8_t *in, size_t size)
{
	size_t len = 0;
	for (size_t i = 0; i < size && len < TEXT_MAX - 128; i++) {
		if (in[i] >= PIECES) {
			text[len++] = (char)in[i];
			continue;
		}
		size_t n = strlen(piece[in[i]]);
		memcpy(text + len, piece[in[i]], n);
		len += n;
	}
	return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX];
	const uint8_t *mark = size > 3 && size < 1024 ? memchr(data + 2, 0xFF, size - 2) : NULL;
	if (!mark || mark == data + 2)
		return 0;
	const struct filter_set *set = set_of(data[0]);
	size_t len = spell(text, mark + 1, size - (size_t)(mark + 1 - data));
	const uint8_t *t = (const uint8_t *)text;
	static const uint8_t bytewise[1] = { 0 };
	struct result r[3] = { { 0 }, { 0 }, { 0 } };
	run(set, data[1], t, len, NULL, 0, &r[0]);
	run(set, data[1], t, len, data + 2, (size_t)(mark - data) - 2, &r[1]);
	run(set, data[1], t, len, bytewise, 1, &r[2]);
	compare(&r[0], &r[1]);
	compare(&r[0], &r[2]);
	for (int i = 0; i < 3; i++) {
		free(r[i].bytes);
		free(r[i].finding);
	}
	return 0;
}
