#include "support.h"

#include <criterion/criterion.h>

struct engine *open_model(const char *dir, const char *kernels, unsigned threads)
{
	struct engine_options o = { .threads = threads, .kernels = kernels, .quiet = true };
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(engine_open(&m, s, &o, &e), 0, "%s: %s", dir, e.text);
	source_close(s);
	return m;
}
