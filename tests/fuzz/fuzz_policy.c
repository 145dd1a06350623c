/* A policy file, or a bundle: no input crashes; what compiles also loads, and to the same bytes. */
#include "policy/policy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Small ones: those that come with the program cost a thousand runs each. */
static int read_pack(void *ctx, const char *name, struct buf *out, struct err *e)
{
	static const char low[] = "[policy]\nname = \"low\"\nversion = 1\n"
				  "[[rule]]\nid = \"low/a\"\nphase = [\"output\"]\n"
				  "match = { literals = [\"a\", \"b\"] }\naction = \"redact\"\n"
				  "[[rule]]\nid = \"low/pan\"\nphase = [\"input\"]\n"
				  "match = { detector = \"pan\" }\naction = \"mask\"\n";
	static const char high[] = "[policy]\nname = \"high\"\nversion = 1\nextends = [\"low\"]\n"
				   "[[override]]\nrule = \"low/*\"\ncontext = \"alone\"\n";
	(void)ctx;
	if (strcmp(name, "low") != 0 && strcmp(name, "high") != 0)
		return err_set(e, ERR_NOTFOUND, "no such file");
	buf_add_text(out, *name == 'l' ? low : high);
	return buf_done(out, e);
}

static int read_text(void *ctx, const char *name, struct buf *out, struct err *e)
{
	(void)ctx;
	buf_add_text(out, "# words\nred\n");
	buf_add_text(out, name);
	return buf_done(out, e);
}

static void compiled(const struct policy *p)
{
	struct buf bundle = {0};
	struct policy_profile *x;
	if (policy_compile(p, &bundle, NULL) == 0) {
		if (policy_load(&x, bundle.bytes, bundle.len, NULL) < 0)
			abort();
		policy_profile_free(x);
	}
	buf_free(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_profile *x;
	struct policy_problems problems;
	struct policy *p;
	if (size > 16384)
		return 0;
	if (size >= 10 && memcmp(data, "HMPOLICY1\n", 10) == 0) {
		if (policy_load(&x, data, size, NULL) == 0)
			policy_profile_free(x);
		return 0;
	}
	static const struct policy_packs packs = { .read = read_pack, .read_text = read_text };
	int r = policy_parse(&p, (const char *)data, size, &packs, &problems, NULL);
	if ((r == 0) != (problems.count == 0))
		abort();
	if (r == 0)
		compiled(p);
	policy_free(p);
	policy_problems_free(&problems);
	return 0;
}
