/* Opening and closing a model, and the public functions that delegate to language.c. */
#include "engine/engine_in.h"

#include "base/limits.h"
#include "base/machine.h"
#include "kernels/device.h"
#include "kernels/number.h"
#include "model/adapter.h"
#include "model/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every computing thread has IEEE's default rounding and denormals. */
static void thread_begin(void) { (void)number_mode_enter(); }

static void text_facts(struct engine_facts *f, const struct language_facts *t,
		       const struct model_config *c)
{
	f->tokenizer = t->tokenizer;
	f->chat_template = t->chat_template;
	f->tokens_real = t->tokens_real < c->vocab ? t->tokens_real : c->vocab;
	f->token_bytes_max = t->token_bytes_max;
	if ((f->eos_count == 0 || c->eos_assumed) && t->eos_id < c->vocab) {
		f->eos[0] = t->eos_id;
		f->eos_count = 1;
	}
	if (f->bos == UINT32_MAX)
		f->bos = t->bos_id;
}

static const char *const cache_names[KERNEL_CACHES] = { "f32", "bf16", "int8" };

static void facts_set(struct engine *m, const struct model_formats *f, enum kernel_cache cache)
{
	const struct model_config *c = &m->config;
	m->facts = (struct engine_facts){
		.model_type = c->model_type,
		.vocab = c->vocab,
		.tokens_real = c->vocab,
		.layers = c->layers,
		.hidden = c->hidden,
		.context_max = c->context_max,
		.eos_count = c->eos_count,
		.bos = c->bos,
		.weights = model_formats_name(f),
		.device = m->backend->device,
		.device_name = m->backend->device_name,
		.kernel_set = m->backend->set,
		.cache = cache_names[cache],
		.numerics = m->backend->numerics,
		.regime = m->backend->regime,
		.threads = pool_threads(m->pool),
		.config = c->digest,
		.weight_bytes = m->backend->weight_bytes,
		.moe_layers = model_moe_layers(c),
		.experts = c->gate.experts,
		.experts_per_token = c->gate.top_k,
		.generation = &c->generation,
	};
	memcpy(m->facts.eos, c->eos, sizeof c->eos);
	m->facts.choice = model_formats_choice(f, m->facts.cache, m->facts.kernel_set,
					       m->facts.numerics, m->backend->layout);
	if (m->text != NULL)
		text_facts(&m->facts, language_info(m->text), c);
}

int engine_means(const struct engine_options *o, struct engine_means *out, struct err *e)
{
	const struct kernels *k;
	if (o->device != ENGINE_CPU) {
		int rc = cuda_means(o->gpu, o->fast, out, e);
		if (rc == 0 || o->device == ENGINE_CUDA)
			return rc;
	}
	TRY(kernels_pick(&k, o->kernels, o->fast, e));
	snprintf(out->set, sizeof out->set, "%s", k->name);
	snprintf(out->regime, sizeof out->regime, "%s", k->regime);
	return 0;
}

/* Kernels and threads. A GPU's numerics are its own: draws have one form. */
static int means_open(struct engine *m, const struct engine_options *o, bool fast, struct err *e)
{
	unsigned threads = o->threads > 0 ? o->threads : machine_cores();
	TRY(kernels_pick(&m->kernels, o->kernels, fast, e));
	m->pool_is_others = o->with != NULL;
	if (o->with) {
		m->pool = o->with->pool;
		return 0;
	}
	return pool_open(&m->pool, threads < LIMIT_THREADS ? threads : LIMIT_THREADS, thread_begin,
			 e);
}

static int notes_join(struct engine *m, struct err *e)
{
	buf_add_text(&m->notes, m->config.notes);
	if (m->text != NULL)
		buf_add_text(&m->notes, language_info(m->text)->notes);
	if (m->states != NULL)
		buf_printf(&m->notes,
			   "recurrent layers: %.1f MB of state for each conversation, memory for "
			   "%u states beside %llu pages of %d tokens (%.1f MB each)\n",
			   (double)m->backend->state_bytes / 1e6, state_pool_bound(m->states),
			   (unsigned long long)cache_pool_bound(m->pages), KERNEL_PAGE,
			   (double)m->backend->page_bytes / 1e6);
	m->facts.notes = m->notes.bytes ? m->notes.bytes : "";
	return buf_done(&m->notes, e);
}

/* An adapter is merged into the weights as they are read. */
static int weights_load(struct engine *m, struct model_formats *formats, struct source *src,
			struct source *adapter, struct weights_order order, struct err *e)
{
	struct model_adapter *a = NULL;
	struct model_keeper *keeper = &m->backend->keeper;
	if (adapter)
		TRY(model_adapter_open(&a, adapter, src->label, true, e));
	order.adapter = a;
	int rc = model_weights_load(formats, &order, src, keeper, e);
	if (rc == 0 && a)
		buf_add_text(&m->notes, a->notes);
	model_adapter_close(a);
	return rc;
}

/* Text, weights from src, or random ones if that is NULL. */
static int parts_open(struct engine *m, struct source *src, uint64_t seed,
		      const struct engine_options *o, backend_opener *open, struct err *e)
{
	const struct backend_order backend = { .config = &m->config,
					       .kernels = m->kernels,
					       .pool = m->pool,
					       .fast = o->fast,
					       .which = o->gpu,
					       .cache = o->cache == ENGINE_CACHE_BF16
								? KERNEL_CACHE_BF16
							: o->cache == ENGINE_CACHE_INT8
								? KERNEL_CACHE_INT8
								: KERNEL_CACHE_F32 };
	TRY(open(&m->backend, &backend, e));
	const struct weights_order order = {
		.config = &m->config,
		.packing = o->weights,
		.memory_max = o->memory_max,
		.quiet = o->quiet,
		.pool = m->pool,
	};
	struct model_formats formats;
	if (src != NULL) {
		TRY(language_open(&m->text, src, e));
		TRY(weights_load(m, &formats, src, o->adapter, order, e));
	} else {
		TRY(model_weights_invent(&formats, &order, seed, &m->backend->keeper, e));
	}
	facts_set(m, &formats, backend.cache);
	TRY(aside_open(&m->aside, 0, NULL, e));
	TRY(scheduler_open(m, o, e));
	return notes_join(m, e);
}

static int engine_new(struct engine **out, struct err *e)
{
	struct engine *m = *out = calloc(1, sizeof *m);
	if (m == NULL)
		return err_set(e, ERR_NOMEM, "model");
	return 0;
}

int engine_open_with(struct engine **out, struct source *src, const struct engine_options *o,
		     backend_opener *open, struct err *e)
{
	struct source *gguf = NULL;
	int rc;
	TRY(engine_new(out, e));
	TRY_OUT(model_gguf_folder(&gguf, src, e));
	struct source *from = gguf ? gguf : src;
	TRY_OUT(model_config_read(&(*out)->config, from, e));
	TRY_OUT(means_open(*out, o, o->fast && open != cuda_open, e));
	TRY_OUT(parts_open(*out, from, 0, o, open, e));
out:
	source_close(gguf);
	if (rc == 0)
		return 0;
	engine_close(*out);
	*out = NULL;
	return src->label == NULL ? rc : err_prefix(e, "%s", src->label);
}

/* ---- where ---- */

/* What is opened: a folder, or of a config random weights. */
struct subject {
	struct source *src;
	const struct model_config *invented;
	uint64_t seed;
};

static int subject_open(struct engine **out, const struct subject *s,
			const struct engine_options *o, backend_opener *open, struct err *e)
{
	return s->src != NULL ? engine_open_with(out, s->src, o, open, e)
			      : engine_open_invented(out, s->invented, s->seed, o, open, e);
}

static int note_add(struct engine *m, struct err *e, const char *where, const char *why)
{
	buf_printf(&m->notes, "computes on %s%s%s\n", where, *why ? ": " : "", why);
	m->facts.notes = m->notes.bytes ? m->notes.bytes : "";
	return buf_done(&m->notes, e);
}

/* On the CPU in place of a GPU, and why not on that. */
static int instead_open(struct engine **out, const struct subject *s,
			const struct engine_options *o, const char *why, struct err *e)
{
	const char *label = s->src ? s->src->label : NULL;
	size_t len = label ? strlen(label) : 0;
	if (len > 0 && strncmp(why, label, len) == 0 && strncmp(why + len, ": ", 2) == 0)
		why += len + 2; /* it is no fault of the model */
	TRY(subject_open(out, s, o, cpu_open, e));
	return note_add(*out, e, "the CPU", why);
}

/* A GPU that was asked for by name is never replaced. Without one in sight, nothing is said of
 * it. */
static int where_open(struct engine **out, const struct subject *s, const struct engine_options *o,
		      struct err *e)
{
	struct err why = { 0 };
	bool only = o->device == ENGINE_CUDA, asked = o->device != ENGINE_AUTO;
	if (o->device == ENGINE_CPU || (!asked && !device_expected()))
		return subject_open(out, s, o, cpu_open, e);
	int rc = subject_open(out, s, o, cuda_open, &why);
	if (rc == 0)
		return only ? 0 : note_add(*out, e, engine_info(*out)->device_name, "");
	if (!only && (rc == ERR_UNAVAILABLE || rc == ERR_UNSUPPORTED))
		return instead_open(out, s, o, why.text, e);
	if (e != NULL)
		*e = why;
	return rc;
}

int engine_open(struct engine **out, struct source *src, const struct engine_options *o,
		struct err *e)
{
	return where_open(out, &(struct subject){ .src = src }, o, e);
}

int engine_check(struct source *src, struct err *e)
{
	struct language *text = NULL;
	struct model_adapter *a = NULL;
	if (model_adapter_is(src)) {
		TRY(model_adapter_open(&a, src, NULL, false, e));
		model_adapter_close(a);
		return 0;
	}
	struct source *gguf = NULL;
	struct model_config *c = calloc(1, sizeof *c);
	int rc = c ? model_gguf_folder(&gguf, src, e) : err_set(e, ERR_NOMEM, "model");
	struct source *from = gguf ? gguf : src;
	if (rc == 0)
		rc = model_config_read(c, from, e);
	if (rc == 0)
		rc = model_weights_check(c, from, e);
	if (rc == 0)
		rc = language_open(&text, from, e);
	language_close(text);
	source_close(gguf);
	free(c);
	return rc;
}

int engine_open_invented(struct engine **out, const struct model_config *c, uint64_t seed,
			 const struct engine_options *o, backend_opener *open, struct err *e)
{
	int rc;
	TRY(engine_new(out, e));
	(*out)->config = *c;
	TRY_OUT(means_open(*out, o, o->fast && open != cuda_open, e));
	TRY_OUT(parts_open(*out, NULL, seed, o, open, e));
	return 0;
out:
	engine_close(*out);
	*out = NULL;
	return rc;
}

int engine_open_synthetic(struct engine **out, const char *shape, uint32_t layers, uint64_t seed,
			  const struct engine_options *o, struct err *e)
{
	bool as_is = o->weights == MODEL_PACKING_STORED;
	struct model_config *c = calloc(1, sizeof *c);
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "model");
	int rc = model_config_shape(c, shape, layers, as_is, e);
	if (rc == 0)
		rc = where_open(out, &(struct subject){ .invented = c, .seed = seed }, o, e);
	free(c);
	return rc < 0 ? err_prefix(e, "%s", shape) : 0;
}

void engine_close(struct engine *m)
{
	if (m == NULL)
		return;
	scheduler_close(m);
	aside_close(m->aside);
	if (m->backend)
		m->backend->close(m->backend);
	if (!m->pool_is_others)
		pool_close(m->pool);
	engine_pass_free(&m->pass);
	language_close(m->text);
	buf_free(&m->notes);
	free(m);
}

const struct engine_facts *engine_info(const struct engine *m) { return &m->facts; }

/* ---- text ---- */

static int text_needed(const struct engine *m, struct err *e)
{
	return m->text != NULL
		       ? 0
		       : err_set(e, ERR_UNSUPPORTED, "the model's folder has no tokenizer.json");
}

int engine_encode(const struct engine *m, const char *text, size_t len, bool special, bool post,
		  struct token_ids *out, struct err *e)
{
	TRY(text_needed(m, e));
	return language_encode(m->text, text, len, special, post, out, e);
}

int engine_decode(const struct engine *m, const uint32_t *id, size_t count, bool skip_special,
		  struct buf *out, struct err *e)
{
	TRY(text_needed(m, e));
	return language_decode(m->text, id, count, skip_special, out, e);
}

int engine_chat_encode(const struct engine *m, const struct engine_chat *c, struct buf *text,
		       struct token_ids *ids, struct err *e)
{
	TRY(text_needed(m, e));
	return language_chat(m->text, c, text, ids, e);
}

struct reply_family engine_reply_family(const struct engine *m)
{
	return m->text ? language_family(m->text) : (struct reply_family){ 0 };
}

/* A control token that the reader of this family gets to see, and that ends nothing. */
static bool is_marker(const struct engine *m, enum reply_syntax s,
		      const struct tokenizer_control *c)
{
	bool good = !c->special || reply_syntax_markers(s);
	for (uint32_t i = 0; i < m->facts.eos_count; i++)
		good = good && m->facts.eos[i] != c->id;
	return good;
}

/* Appends to out, an array of struct reply_marker; the strings are the tokenizer's. */
static int markers_collect(const struct engine *m, enum reply_syntax s, struct buf *out,
			   struct err *e)
{
	const struct tokenizer *t = language_tokenizer(m->text);
	struct tokenizer_control c;
	for (size_t at = 0; (at = tokenizer_control(t, at, &c)) > 0;)
		if (is_marker(m, s, &c))
			buf_add(out, &(struct reply_marker){ c.bytes, c.len },
				sizeof(struct reply_marker));
	return buf_done(out, e);
}

int engine_frame_grammar(const struct engine *m, struct reply_frame f, struct buf *out,
			 struct err *e)
{
	struct buf list = { 0 };
	int rc = m->text ? markers_collect(m, f.syntax, &list, e) : 0;
	const struct reply_markers markers = {
		(const struct reply_marker *)(const void *)list.bytes,
		list.len / sizeof(struct reply_marker)
	};
	f.markers = &markers;
	if (rc == 0)
		rc = reply_frame_grammar(&f, out, e);
	buf_free(&list);
	return rc;
}
