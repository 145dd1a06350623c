/* Run the tests written in the rules: each against its rule alone, whole and cut into pieces. */
#include "policy/rules.h"

#include <string.h>

struct outcome {
	struct buf output;
	size_t findings;
	int end;
};

static const size_t pieces[] = { 0, 1, 2, 3, 7 }; /* bytes; 0: whole */

static int scan(const struct filter_set *set, const char *text, size_t piece, struct outcome *o,
		struct err *e)
{
	struct filter_stream *f;
	struct cleared out;
	size_t len = strlen(text);
	TRY(filter_stream_open(&f, set, false, e));
	for (size_t at = 0; at < len; at += piece ? piece : len) {
		size_t n = piece && piece < len - at ? piece : len - at;
		o->end = filter_stream_push(f, text + at, n, &out, e);
		buf_add(&o->output, out.bytes, out.len);
	}
	o->end = filter_stream_end(f, &out, e);
	buf_add(&o->output, out.bytes, out.len);
	o->findings = filter_stream_record(f)->findings;
	filter_stream_close(f);
	return o->end < 0 ? o->end : buf_done(&o->output, e);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->end == b->end && a->findings == b->findings && a->output.len == b->output.len &&
	       (a->output.len == 0 || memcmp(a->output.bytes, b->output.bytes, a->output.len) == 0);
}

/* NULL: as expected. */
static int judge(const struct filter_set *set, const char *text, bool hit, const char **wrong,
		 struct err *e)
{
	struct outcome whole = { 0 };
	int r = scan(set, text, 0, &whole, e);
	*wrong = NULL;
	if (r == 0 && whole.end == FILTER_LIMIT)
		*wrong = "a work limit was reached";
	else if (r == 0 && hit && whole.findings == 0)
		*wrong = "expected a hit, found none";
	else if (r == 0 && !hit && whole.findings > 0)
		*wrong = "expected no hit, found one";
	for (size_t i = 1; r == 0 && !*wrong && i < sizeof pieces / sizeof *pieces; i++) {
		struct outcome cut = { 0 };
		r = scan(set, text, pieces[i], &cut, e);
		if (r == 0 && !same(&whole, &cut))
			*wrong = "the result changes when the text comes in pieces";
		buf_free(&cut.output);
	}
	buf_free(&whole.output);
	return r;
}

static int run_cases(const struct filter_set *set, const struct policy_rule *x, bool hit,
		     uint64_t *passed, json_t *failures, struct err *e)
{
	const struct strings *list = hit ? &x->hits : &x->misses;
	for (size_t i = 0; i < list->count; i++) {
		const char *wrong;
		TRY(judge(set, list->item[i], hit, &wrong, e));
		if (!wrong) {
			(*passed)++;
			continue;
		}
		json_t *o =
			json_pack("{s:s,s:s,s:s,s:s}", "rule", x->id, "test", hit ? "hit" : "miss",
				  "text", list->item[i], "problem", wrong);
		if (json_array_append_new(failures, o) < 0)
			return err_set(e, ERR_NOMEM, "out of memory for test results");
	}
	return 0;
}

/* A rule that an override changed has two forms: its pack's, of which its pack's tests are, and
 * what it has become, of which those of the override are. */
static int run_rule(const struct policy_rule *x, uint64_t *passed, json_t *failures, struct err *e)
{
	struct filter_rule rule = policy_rule_filter(x);
	struct filter_set *set;
	if (x->original)
		TRY(run_rule(x->original, passed, failures, e));
	if (x->off)
		return 0;
	TRY(filter_set_build(&set, &rule, 1, e));
	int r = run_cases(set, x, true, passed, failures, e);
	if (r == 0)
		r = run_cases(set, x, false, passed, failures, e);
	filter_set_free(set);
	return r;
}

int policy_test(const struct policy *p, uint64_t *passed, json_t **failures, struct err *e)
{
	*passed = 0;
	*failures = json_array();
	if (!*failures)
		return err_set(e, ERR_NOMEM, "out of memory for test results");
	for (size_t i = 0; i < p->rules; i++) {
		int r = run_rule(&p->rule[i], passed, *failures, e);
		if (r < 0) {
			json_decref(*failures);
			*failures = NULL;
			return r;
		}
	}
	return 0;
}
