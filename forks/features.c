/* Tensor names that make a block, with L the layer and E the expert (docs/formats.md, "Fork
 * statistics"):
 *   layers.L.mlp.{gate,up,down}_proj.weight                   dense MLP
 *   layers.L.mlp.shared_expert[s].{gate,up,down}_proj.weight  shared MLP
 *   layers.L.mlp.experts.E.{gate,up,down}_proj.weight         expert
 *   layers.L.block_sparse_moe.experts.E.{w1,w3,w2}.weight     expert (Mixtral)
 * each after any prefix that ends in '.'; gate and up are [units][hidden], down is
 * [hidden][units]. */
#include "forks/features.h"

#include "base/check.h"
#include "base/text.h"
#include "forks/draws.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PANEL_ROWS 64u
#define NAME_ROOM 512 /* longer tensor names are no block */

static const char *const block_suffix[][3] = {
	{ ".gate_proj.weight", ".up_proj.weight", ".down_proj.weight" },
	{ ".w1.weight", ".w3.weight", ".w2.weight" },
};

/* A decimal number at *s that ends at `end`, which is stepped over. */
static bool take_number(const char **s, char end, uint32_t *out)
{
	const char *p = *s;
	uint64_t v;

	while (*p >= '0' && *p <= '9')
		p++;
	if (*p != end || p - *s > 7 || text_parse_u64(*s, (size_t)(p - *s), &v) < 0)
		return false;
	*out = (uint32_t)v;
	*s = p + (end != '\0');
	return true;
}

/* Layer, expert and kind of a stem; *rest is what follows "layers.L.". */
static bool stem_parse(const char *stem, struct site *s, const char **rest)
{
	const char *p = stem, *next;

	for (next = strstr(p, "layers."); next; next = strstr(next + 1, "layers."))
		p = next;
	if (strncmp(p, "layers.", 7) != 0 || (p > stem && p[-1] != '.'))
		return false;
	p += 7;
	if (!take_number(&p, '.', &s->layer))
		return false;
	*rest = p;
	s->expert = UINT32_MAX;
	s->shared = strcmp(p, "mlp.shared_experts") == 0 || strcmp(p, "mlp.shared_expert") == 0;
	if (s->shared || strcmp(p, "mlp") == 0)
		return true;
	if (text_starts(p, "mlp.experts."))
		p += strlen("mlp.experts.");
	else if (text_starts(p, "block_sparse_moe.experts."))
		p += strlen("block_sparse_moe.experts.");
	else
		return false;
	return take_number(&p, '\0', &s->expert);
}

static const struct model_tensor *find_beside(const struct model_tensors *t, const char *stem,
					      size_t len, const char *suffix)
{
	char name[NAME_ROOM + 64];

	memcpy(name, stem, len);
	strcpy(name + len, suffix);
	return model_tensors_find(t, name);
}

/* A matrix of a type with float values. */
static bool is_shape(const struct model_tensor *t, uint64_t rows, uint64_t columns)
{
	return t && t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns &&
	       (t->dtype == MODEL_BF16 || t->dtype == MODEL_F8_E4M3 || t->dtype == MODEL_F16 ||
		t->dtype == MODEL_F32 || t->dtype == MODEL_F64 || model_dtype_block(t->dtype) > 2);
}

/* Find the other tensors of a block by its gate; a contradiction leaves units 0. */
static void site_fill(const struct model_tensors *t, struct site *s, const char *const suffix[3],
		      size_t layer_len)
{
	size_t len = strlen(s->stem);

	s->up = find_beside(t, s->stem, len, suffix[1]);
	s->down = find_beside(t, s->stem, len, suffix[2]);
	s->norm = find_beside(t, s->stem, layer_len, "pre_feedforward_layernorm.weight");
	if (!s->norm)
		s->norm = find_beside(t, s->stem, layer_len, "post_attention_layernorm.weight");
	s->units = s->hidden = 0;
	if (!is_shape(s->gate, s->gate->shape[0], s->gate->shape[1]) ||
	    !is_shape(s->up, s->gate->shape[0], s->gate->shape[1]) ||
	    !is_shape(s->down, s->gate->shape[1], s->gate->shape[0]))
		return;
	s->units = s->gate->shape[0];
	s->hidden = s->gate->shape[1];
	if (s->norm && (s->norm->rank != 1 || s->norm->shape[0] != s->hidden))
		s->norm = NULL;
}

/* 1 if the tensor is the gate of a block, which *s then describes. */
static int site_of(const struct model_tensors *t, const struct model_tensor *w, struct arena *arena,
		   struct site *s)
{
	size_t len = strlen(w->name);

	for (size_t i = 0; i < sizeof(block_suffix) / sizeof(*block_suffix); i++) {
		const char *rest, *suffix = block_suffix[i][0];
		char *stem;

		if (len >= NAME_ROOM || !text_ends(w->name, suffix))
			continue;
		stem = arena_copy(arena, w->name, len - strlen(suffix));
		if (!stem)
			return ERR_NOMEM;
		if (!stem_parse(stem, s, &rest))
			return 0;
		s->stem = stem;
		s->gate = w;
		site_fill(t, s, block_suffix[i], (size_t)(rest - stem));
		return 1;
	}
	return 0;
}

int fork_site_order(const struct site *a, const struct site *b)
{
	/* UINT32_MAX + 1 wraps to 0: MLPs come before experts */
	uint32_t x = a->expert + 1, y = b->expert + 1;

	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (x != y)
		return x < y ? -1 : 1;
	if (a->shared != b->shared)
		return a->shared ? 1 : -1;
	return strcmp(a->stem, b->stem);
}

static int site_compare(const void *a, const void *b) { return fork_site_order(a, b); }

bool fork_site_usable(const struct site *s)
{
	return s->units >= FEATURE_UNITS_MIN && s->hidden > 0;
}

int fork_sites_find(const struct model_tensors *t, struct sites *out, struct err *e)
{
	size_t room = model_tensors_count(t);

	*out = (struct sites){ 0 };
	out->at = calloc(room + 1, sizeof(*out->at));
	if (!out->at)
		return err_set(e, ERR_NOMEM, "out of memory for the blocks of %zu tensors", room);
	for (size_t i = 0; i < room; i++) {
		int found = site_of(t, model_tensors_at(t, i), &out->arena, &out->at[out->count]);

		if (found < 0) {
			fork_sites_free(out);
			return err_set(e, found, "out of memory for the blocks of %zu tensors",
				       room);
		}
		out->count += (size_t)found;
	}
	qsort(out->at, out->count, sizeof(*out->at), site_compare);
	return 0;
}

void fork_sites_free(struct sites *s)
{
	arena_free(&s->arena);
	free(s->at);
	s->at = NULL;
	s->count = 0;
}

int fork_features_alloc(struct features *f, uint32_t units, uint32_t part, struct err *e)
{
	f->units = units;
	f->stride = (units + 7) / 8 * 8;
	f->part = part;
	f->v = calloc((size_t)f->stride * 3 * part, sizeof(float));
	if (!f->v)
		return err_set(e, ERR_NOMEM, "out of memory for the features of %u units", units);
	return 0;
}

void fork_features_free(struct features *f)
{
	free(f->v);
	f->v = NULL;
}

/* Buffers for loading one block. */
struct load {
	const struct fork_model *m;
	const struct site *s;
	struct features *f;
	float *panel, *gain;
	uint32_t *bucket; /* residual dimension -> feature dimension */
	float *sign;      /* and its sign; without a sketch the identity and +1 */
	double *squares;  /* [units] squared norms of the down columns */
};

static void load_free(struct load *l)
{
	free(l->panel);
	free(l->gain);
	free(l->bucket);
	free(l->sign);
	free(l->squares);
}

static void sketch_fill(struct load *l)
{
	const uint32_t key[2] = { (uint32_t)FEATURE_SKETCH_SEED,
				  (uint32_t)(FEATURE_SKETCH_SEED >> 32) };
	bool exact = l->s->hidden <= FEATURE_EXACT_MAX;

	for (uint32_t d = 0; d < l->s->hidden; d++) {
		uint32_t counter[4] = { d, 0, 0, PHILOX_SKETCH }, word[4];

		philox_block(key, counter, word);
		l->bucket[d] = exact ? d : word[0] % FEATURE_SKETCH_WIDTH;
		l->sign[d] = exact || word[1] & 1 ? 1 : -1;
	}
}

static int load_open(struct load *l, struct err *e)
{
	size_t hidden = l->s->hidden, widest = hidden > l->s->units ? hidden : l->s->units;

	l->panel = calloc(PANEL_ROWS * widest, sizeof(float));
	l->gain = calloc(hidden, sizeof(float));
	l->bucket = calloc(hidden, sizeof(*l->bucket));
	l->sign = calloc(hidden, sizeof(*l->sign));
	l->squares = calloc(l->f->units, sizeof(*l->squares));
	if (!l->panel || !l->gain || !l->bucket || !l->sign || !l->squares)
		return err_set(e, ERR_NOMEM, "out of memory for a panel of %zu columns", widest);
	sketch_fill(l);
	for (size_t d = 0; d < hidden; d++)
		l->gain[d] = 1;
	return l->s->norm ? model_tensors_read(l->m->tensors, l->s->norm, 0, 1, l->gain, e) : 0;
}

/* Add a row of gate or up, multiplied by the norm's gain, as the features of `unit` from
 * `dimension` on. */
static void add_row(const struct load *l, const float *row, uint32_t unit, uint32_t dimension)
{
	float *out = l->f->v + (size_t)dimension * l->f->stride + unit;
	double squares = 0, scale;

	for (size_t d = 0; d < l->s->hidden; d++)
		squares += (double)row[d] * l->gain[d] * row[d] * l->gain[d];
	if (squares == 0)
		return;
	scale = 1 / sqrt(squares);
	for (size_t d = 0; d < l->s->hidden; d++)
		out[(size_t)l->bucket[d] * l->f->stride] +=
			(float)((double)row[d] * l->gain[d] * l->sign[d] * scale);
}

static int load_rows(const struct load *l, const struct model_tensor *w, uint32_t dimension,
		     struct err *e)
{
	for (uint32_t row = 0; row < l->f->units; row += PANEL_ROWS) {
		uint32_t rows = l->f->units - row < PANEL_ROWS ? l->f->units - row : PANEL_ROWS;

		TRY(model_tensors_read(l->m->tensors, w, row, rows, l->panel, e));
		for (uint32_t r = 0; r < rows; r++)
			add_row(l, l->panel + (size_t)r * l->s->hidden, row + r, dimension);
	}
	return 0;
}

/* Add the columns of down: row d of the matrix is one feature dimension of all units. They are
 * normalised at the end, when the norms are known. */
static int load_columns(const struct load *l, uint32_t dimension, struct err *e)
{
	struct features *f = l->f;

	for (uint64_t row = 0; row < l->s->hidden; row += PANEL_ROWS) {
		uint64_t rows = l->s->hidden - row < PANEL_ROWS ? l->s->hidden - row : PANEL_ROWS;

		TRY(model_tensors_read(l->m->tensors, l->s->down, row, rows, l->panel, e));
		for (uint64_t r = 0; r < rows; r++) {
			const float *in = l->panel + r * l->s->units;
			float *out = f->v + ((size_t)dimension + l->bucket[row + r]) * f->stride;

			for (uint32_t u = 0; u < f->units; u++) {
				out[u] += in[u] * l->sign[row + r];
				l->squares[u] += (double)in[u] * (double)in[u];
			}
		}
	}
	for (uint32_t d = dimension; d < dimension + f->part; d++)
		for (uint32_t u = 0; u < f->units; u++)
			if (l->squares[u] > 0)
				f->v[(size_t)d * f->stride + u] =
					(float)(f->v[(size_t)d * f->stride + u] /
						sqrt(l->squares[u]));
	return 0;
}

int fork_features_load(const struct fork_model *m, const struct site *s, struct features *out,
		       struct err *e)
{
	uint32_t units = (uint32_t)(s->units < FEATURE_UNITS_MAX ? s->units : FEATURE_UNITS_MAX);
	uint32_t part =
		(uint32_t)(s->hidden <= FEATURE_EXACT_MAX ? s->hidden : FEATURE_SKETCH_WIDTH);
	struct load l = { .m = m, .s = s, .f = out };
	int r;

	check(fork_site_usable(s));
	r = fork_features_alloc(out, units, part, e);
	if (r == 0)
		r = load_open(&l, e);
	if (r == 0)
		r = load_rows(&l, s->gate, 0, e);
	if (r == 0)
		r = load_rows(&l, s->up, part, e);
	if (r == 0)
		r = load_columns(&l, 2 * part, e);
	load_free(&l);
	if (r < 0)
		fork_features_free(out);
	return r;
}
