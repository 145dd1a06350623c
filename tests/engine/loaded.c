#include "loaded.h"

#include "kernels/number.h"

#include <criterion/criterion.h>

static void thread_begin(void) { (void)number_mode_enter(); }

static int means_open(struct loaded *m, const struct loading *how, struct weights_order *o, struct err *e)
{
	TRY(kernels_pick(&m->kernels, NULL, false, e));
	TRY(pool_open(&m->pool, how->threads, thread_begin, e));
	*o = (struct weights_order){ .config = &m->config, .packing = how->packing, .quiet = true,
		                     .memory_max = how->memory_max, .pool = m->pool };
	const struct backend_order b = { .config = &m->config, .kernels = m->kernels, .pool = m->pool };
	return cpu_open(&m->backend, &b, e);
}

int loaded_open(struct loaded *m, const struct loading *how, struct source *src, struct err *e)
{
	struct weights_order o;
	int rc;
	*m = (struct loaded){ 0 };
	TRY(model_config_read(&m->config, src, e));
	TRY_OUT(means_open(m, how, &o, e));
	TRY_OUT(model_weights_load(&m->formats, &o, src, &m->backend->keeper, e));
	return 0;
out:
	loaded_close(m);
	return rc;
}

int loaded_invent(struct loaded *m, const struct loading *how, const char *shape, uint32_t layers,
                  uint64_t seed, struct err *e)
{
	struct weights_order o;
	int rc;
	*m = (struct loaded){ 0 };
	TRY(model_config_shape(&m->config, shape, layers, how->packing == MODEL_PACKING_STORED, e));
	TRY_OUT(means_open(m, how, &o, e));
	TRY_OUT(model_weights_invent(&m->formats, &o, seed, &m->backend->keeper, e));
	return 0;
out:
	loaded_close(m);
	return rc;
}

void loaded_close(struct loaded *m)
{
	if (m->backend)
		m->backend->close(m->backend);
	pool_close(m->pool);
	*m = (struct loaded){ 0 };
}

void loaded_folder(struct loaded *m, const char *dir, enum model_packing packing, unsigned threads)
{
	const struct loading how = { .packing = packing, .threads = threads };
	struct source *s;
	struct err e = { 0 };
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(loaded_open(m, &how, s, &e), 0, "%s: %s", dir, e.text);
	source_close(s);
}

struct digest loaded_choice(const struct loaded *m)
{
	return model_formats_choice(&m->formats, "f32", m->kernels->name, "canonical", NULL);
}
