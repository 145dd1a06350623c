#include "support.h"

#include "plain_backend.h"
#include "recalling_backend.h"

#include <criterion/criterion.h>

const struct backend_kind backends[BACKENDS + 1] = {
	{ "cpu", cpu_open, true },
	{ "plain backend", plain_open, false },
	{ "recalling backend", recalling_open, true },
};

struct engine *open_model_with(const char *dir, struct engine_options o, backend_opener *open)
{
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	o.quiet = true;
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(engine_open_with(&m, s, &o, open, &e), 0, "%s: %s", dir, e.text);
	source_close(s);
	return m;
}

struct engine *open_model(const char *dir, const char *kernels, unsigned threads)
{
	return open_model_with(dir, (struct engine_options){ .threads = threads, .kernels = kernels }, cpu_open);
}

int constrain(struct engine_constraint **out, const struct engine *m, enum grammar_kind kind,
	      const char *text, size_t len, struct err *e)
{
	return engine_constraint_open(
		out, m, &(struct grammar_text){ .kind = kind, .text = text, .len = len }, e);
}
