/* Sketches of models in files: whatever they are stored as, by however many threads. */
#include "drawn.h"
#include "tests/shared/memory.h"

#include "base/pool.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG                                                                     \
	"{\"model_type\":\"llama\",\"hidden_size\":%u,\"num_attention_heads\":%u," \
	"\"num_key_value_heads\":%u,\"head_dim\":%u,\"num_hidden_layers\":%u}"

/* A model of so many layers, all of whose values are exact in BF16. */
struct shape {
	uint32_t layers, experts, hidden, units, heads, keys, head, tokens;
};

enum form { AS_F32, AS_BF16, FUSED_BF16 };

struct made {
	struct memory_source memory;
	struct buf header, data;
	enum form form;
	const struct shape *shape;
	uint64_t order;  /* of units and experts; 0: as drawn */
	const char *bad; /* what a NaN's tensor ends with; or NULL */
	float gain;      /* one value of each norm, whose others are 1; 0: no norms */
	json_t *config;
	struct model_values *values;
	struct fork_model model;
};

static float drawn_value(uint64_t tensor, uint64_t row, uint64_t column)
{
	uint64_t state = (tensor * 1000003 + row) * 1000003 + column;
	double scale = 0.01 * (1 + (double)(row % 7)); /* rows of unequal length */
	float v = (float)(scale * (drawn_uniform(&state) - 0.5));
	uint32_t bits;

	memcpy(&bits, &v, 4);
	bits &= 0xffff0000u;
	memcpy(&v, &bits, 4);
	return v;
}

static void put(struct made *m, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	if (m->form == AS_F32)
		buf_add_u32le(&m->data, bits);
	else
		buf_add_u16le(&m->data, (uint16_t)(bits >> 16));
}

/* rows 0: of one dimension. */
static void begin_tensor(struct made *m, const char *name, uint64_t rows, uint64_t columns)
{
	size_t bytes = (rows ? rows : 1) * columns * (m->form == AS_F32 ? 4 : 2);

	buf_printf(&m->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", m->header.len ? "," : "{",
		   name, m->form == AS_F32 ? "F32" : "BF16");
	if (rows)
		buf_printf(&m->header, "%llu,", (unsigned long long)rows);
	buf_printf(&m->header, "%llu],\"data_offsets\":[%zu,%zu]}", (unsigned long long)columns,
		   m->data.len, m->data.len + bytes);
}

/* Unit u of the model is unit moved(u) of the file. */
static uint64_t moved(const struct made *m, uint64_t u, uint64_t count)
{
	return m->order ? (u + m->order) % count : u;
}

static void add_matrix(struct made *m, const char *name, uint64_t id, uint64_t rows,
		       uint64_t columns, int along)
{
	size_t len = strlen(name);
	bool bad =
		m->bad && len >= strlen(m->bad) && strcmp(name + len - strlen(m->bad), m->bad) == 0;

	begin_tensor(m, name, rows, columns);
	for (uint64_t r = 0; r < rows; r++)
		for (uint64_t c = 0; c < columns; c++) {
			uint64_t row = along == 0 ? moved(m, r, rows) : r;
			uint64_t column = along == 1 ? moved(m, c, columns) : c;

			/* the unit comes first: a column is scaled as the row is */
			put(m, bad && r == 2 && c == 3 ? NAN
			       : along == 1            ? drawn_value(id, column, row)
						       : drawn_value(id, row, column));
		}
}

static void add_network(struct made *m, const char *stem, uint64_t id)
{
	const struct shape *s = m->shape;
	char name[260];

	if (m->form == FUSED_BF16) {
		snprintf(name, sizeof name, "%s.gate_up_proj.weight", stem);
		begin_tensor(m, name, 2 * (uint64_t)s->units, s->hidden);
		for (uint64_t r = 0; r < 2 * (uint64_t)s->units; r++)
			for (uint64_t c = 0; c < s->hidden; c++)
				put(m, drawn_value(id + r / s->units, r % s->units, c));
	} else {
		snprintf(name, sizeof name, "%s.gate_proj.weight", stem);
		add_matrix(m, name, id, s->units, s->hidden, 0);
		snprintf(name, sizeof name, "%s.up_proj.weight", stem);
		add_matrix(m, name, id + 1, s->units, s->hidden, 0);
	}
	snprintf(name, sizeof name, "%s.down_proj.weight", stem);
	add_matrix(m, name, id + 2, s->hidden, s->units, 1);
}

static void add_layer(struct made *m, uint32_t layer)
{
	static const char *const matrix[] = { "q", "k", "v", "o" };
	const struct shape *s = m->shape;
	char name[200];

	for (uint32_t x = 0; x < (s->experts ? s->experts : 1); x++) {
		uint64_t from = s->experts ? moved(m, x, s->experts) : 0;

		snprintf(name, sizeof name,
			 s->experts ? "model.layers.%u.mlp.experts.%u" : "model.layers.%u.mlp",
			 layer, x);
		add_network(m, name, 1000 * (uint64_t)layer + 10 * from + 100);
	}
	if (m->gain != 0) {
		snprintf(name, sizeof name, "model.layers.%u.post_attention_layernorm.weight",
			 layer);
		begin_tensor(m, name, 0, s->hidden);
		for (uint64_t c = 0; c < s->hidden; c++)
			put(m, c == 3 ? m->gain : 1);
	}
	for (uint64_t i = 0; s->heads && i < 4; i++) {
		uint64_t out = (i == 0 || i == 3 ? s->heads : s->keys) * (uint64_t)s->head;

		snprintf(name, sizeof name, "model.layers.%u.self_attn.%s_proj.weight", layer,
			 matrix[i]);
		add_matrix(m, name, 1000 * (uint64_t)layer + i, i == 3 ? s->hidden : out,
			   i == 3 ? out : s->hidden, -1);
	}
}

static void made_open(struct made *m, const struct shape *s, enum form form)
{
	struct err e = { 0 };
	char config[400];

	m->shape = s;
	m->form = form;
	memory_init(&m->memory);
	if (s->tokens)
		add_matrix(m, "model.embed_tokens.weight", 7, s->tokens, s->hidden, -1);
	for (uint32_t l = 0; l < s->layers; l++)
		add_layer(m, l);
	buf_add_byte(&m->header, '}');
	blob_add(memory_add(&m->memory, "model.safetensors"), m->header.bytes, m->data.bytes,
		 m->data.len);
	snprintf(config, sizeof config, CONFIG, s->hidden, s->heads, s->keys, s->head, s->layers);
	m->config = json_loads(config, 0, NULL);
	cr_assert_eq(model_values_open(&m->values, &m->memory.source, m->config, &e), 0, "%s",
		     e.text);
	m->model = (struct fork_model){ .values = m->values, .config = m->config };
}

static void made_close(struct made *m)
{
	model_values_close(m->values);
	json_decref(m->config);
	memory_free(&m->memory);
	buf_free(&m->header);
	buf_free(&m->data);
}

static struct fork_sketch *sketch_of(struct made *m)
{
	struct fork_sketch *s;
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_make(&s, &m->model, &e), 0, "%s", e.text);
	return s;
}

static const struct shape dense = { 2, 0, 160, 700, 4, 2, 32, 60 };
static const struct shape experts = { 2, 6, 96, 150, 0, 0, 0, 40 };

static bool same_part(const struct sketch_part *a, const struct sketch_part *b, uint32_t kept)
{
	return a->raw_width == b->raw_width && a->token_width == b->token_width &&
	       memcmp(a->raw, b->raw, (size_t)kept * a->raw_width * 2) == 0 &&
	       memcmp(a->norm, b->norm, kept * sizeof(float)) == 0 &&
	       (!a->token_width ||
		(memcmp(a->token, b->token, (size_t)kept * a->token_width * 2) == 0 &&
		 memcmp(a->token_norm, b->token_norm, kept * sizeof(float)) == 0));
}

static bool same_block(const struct sketch_block *a, const struct sketch_block *b)
{
	bool same = a->kind == b->kind && a->layer == b->layer && a->index == b->index &&
		    a->units == b->units && a->kept == b->kept && a->first == b->first &&
		    a->parts == b->parts &&
		    memcmp(a->place, b->place, a->kept * sizeof *a->place) == 0;

	for (uint32_t k = 0; same && k < a->parts; k++)
		same = same_part(&a->part[k], &b->part[k], a->kept);
	return same;
}

static void assert_same_blocks(const struct fork_sketch *a, const struct fork_sketch *b)
{
	cr_assert_eq(a->blocks, b->blocks);
	for (size_t i = 0; i < a->blocks; i++)
		cr_assert(same_block(&a->block[i], &b->block[i]), "%s", a->block[i].name);
	cr_assert_eq(a->layers, b->layers);
	for (uint32_t l = 0; l < a->layers; l++)
		cr_assert(!a->layer[l].tokens == !b->layer[l].tokens &&
			  (!a->layer[l].tokens ||
			   memcmp(a->layer[l].tokens, b->layer[l].tokens,
				  a->tokens * a->tokens * sizeof(float)) == 0));
}

Test(fork_sketch_make, a_model_has_its_blocks_and_tensors)
{
	struct made m = { 0 };
	struct fork_sketch *s;

	made_open(&m, &dense, AS_BF16);
	s = sketch_of(&m);
	cr_assert_eq(s->tensors, 2 * 7 + 1);
	cr_assert_eq(s->blocks, 2 * (1 + 2), "%s", s->notes); /* networks and key-value heads */
	cr_assert_eq(s->tokens, 60);
	cr_assert(s->tokens_by_id);
	cr_assert_eq(s->layers, 2);
	cr_assert(s->layer[1].tokens);
	for (size_t i = 0; i < s->blocks; i++) {
		const struct sketch_block *b = &s->block[i];
		bool network = b->kind == FORK_DENSE;

		cr_assert_eq(b->units, network ? 700 : 32);
		cr_assert_eq(b->kept, network ? 256 : 32);
		cr_assert_eq(b->first, network ? 128 : 32);
		cr_assert_eq(b->part[0].raw_width, 128);
		cr_assert_eq(b->part[0].token_width, 64);
		cr_assert_gt(b->mean_square, 0);
	}
	fork_sketch_free(s);
	made_close(&m);
}

Test(fork_sketch_make, the_container_changes_nothing)
{
	struct made f32 = { 0 }, bf16 = { 0 };
	struct fork_sketch *a, *b;

	made_open(&f32, &dense, AS_F32);
	made_open(&bf16, &dense, AS_BF16);
	a = sketch_of(&f32);
	b = sketch_of(&bf16);
	assert_same_blocks(a, b);
	for (size_t i = 0; i < a->tensors; i++) {
		cr_assert(a->tensor[i].hash[0] == b->tensor[i].hash[0] &&
			  a->tensor[i].hash[1] == b->tensor[i].hash[1]);
		cr_assert(a->tensor[i].finite && a->tensor[i].floats && !a->tensor[i].constant);
		cr_assert_eq(a->tensor[i].bytes, 2 * b->tensor[i].bytes);
	}
	fork_sketch_free(a);
	fork_sketch_free(b);
	made_close(&f32);
	made_close(&bf16);
}

Test(fork_sketch_make, fused_and_split_have_the_same_vectors)
{
	static const struct shape *const shape[] = { &dense, &experts };

	for (size_t i = 0; i < 2; i++) {
		struct made split = { 0 }, fused = { 0 };
		struct fork_sketch *a, *b;

		made_open(&split, shape[i], AS_BF16);
		made_open(&fused, shape[i], FUSED_BF16);
		a = sketch_of(&split);
		b = sketch_of(&fused);
		cr_assert_gt(a->blocks, 0);
		assert_same_blocks(a, b);
		fork_sketch_free(a);
		fork_sketch_free(b);
		made_close(&split);
		made_close(&fused);
	}
}

static void assert_threads_agree(const struct shape *shape)
{
	static const unsigned threads[] = { 1, 2, 5 };
	struct made m = { 0 };
	struct fork_sketch *s;
	struct buf a = { 0 };
	struct err e = { 0 };

	made_open(&m, shape, AS_BF16);
	s = sketch_of(&m);
	cr_assert_eq(fork_sketch_write(s, &a, &e), 0);
	fork_sketch_free(s);
	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		struct buf b = { 0 };

		cr_assert_eq(pool_open(&m.model.pool, threads[i], NULL, &e), 0);
		s = sketch_of(&m);
		cr_assert_eq(fork_sketch_write(s, &b, &e), 0);
		cr_assert(a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0, "%u threads",
			  threads[i]);
		fork_sketch_free(s);
		buf_free(&b);
		pool_close(m.model.pool);
	}
	buf_free(&a);
	made_close(&m);
}

Test(fork_sketch_make, threads_change_no_byte)
{
	static const struct shape large = { 1, 0, 64, 270000, 0, 0, 0, 40 }; /* matrices are cut */

	assert_threads_agree(&dense);
	assert_threads_agree(&large);
}

/* Whether unit u of b is a kept one of a, by its first part. */
static bool has_unit(const struct sketch_block *a, const struct sketch_block *b, uint32_t u)
{
	uint32_t width = a->part[0].raw_width;

	for (uint32_t i = 0; i < a->kept; i++)
		if (memcmp(a->part[0].raw + (size_t)i * width, b->part[0].raw + (size_t)u * width,
			   width * sizeof(int16_t)) == 0)
			return true;
	return false;
}

Test(fork_sketch_make, another_order_does_not_hide_the_largest_units)
{
	struct made plain = { 0 }, turned = { .order = 333 };
	struct fork_sketch *a, *b;

	made_open(&plain, &dense, AS_BF16);
	made_open(&turned, &dense, AS_BF16);
	a = sketch_of(&plain);
	b = sketch_of(&turned);
	for (size_t i = 0; i < a->blocks; i++) {
		uint32_t found = 0;

		if (a->block[i].kind != FORK_DENSE)
			continue;
		for (uint32_t u = 0; u < b->block[i].kept; u++)
			found += has_unit(&a->block[i], &b->block[i], u);
		/* the 128 largest of all at least */
		cr_assert_geq(found, 128, "%s: %u", a->block[i].name, found);
	}
	fork_sketch_free(a);
	fork_sketch_free(b);
	made_close(&plain);
	made_close(&turned);
}

Test(fork_sketch_make, another_order_does_not_hide_the_largest_experts)
{
	static const struct shape many = { 33, 12, 32, 20, 0, 0, 0, 0 };
	struct made plain = { 0 }, turned = { .order = 5 };
	struct fork_sketch *a, *b;
	uint32_t found = 0;

	made_open(&plain, &many, AS_BF16);
	made_open(&turned, &many, AS_BF16);
	a = sketch_of(&plain);
	b = sketch_of(&turned);
	cr_assert_eq(a->blocks, 33 * SKETCH_LAYER);
	cr_assert_eq(b->blocks, 33 * SKETCH_LAYER);
	for (size_t i = 0; i < SKETCH_LAYER; i++)
		for (size_t k = 0; k < SKETCH_LAYER; k++)
			found += has_unit(&a->block[i], &b->block[k], 0);
	cr_assert_geq(found, SKETCH_LAYER / 2);
	fork_sketch_free(a);
	fork_sketch_free(b);
	made_close(&plain);
	made_close(&turned);
}

Test(fork_sketch_make, what_is_not_finite_is_left_out_and_named)
{
	static const struct {
		const char *bad, *named;
		uint32_t layer;
	} row[] = {
		{ "layers.1.mlp.gate_proj.weight", "model.layers.1.mlp", 1 },
		{ "layers.0.mlp.down_proj.weight", "model.layers.0.mlp", 0 },
		{ "layers.0.mlp.up_proj.weight", "model.layers.0.mlp", 0 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct made m = { .bad = row[i].bad };
		struct fork_sketch *s;
		uint64_t bad = 0;

		made_open(&m, &dense, AS_BF16);
		s = sketch_of(&m);
		cr_assert_eq(s->blocks, 5, "%s: %s", row[i].bad, s->notes);
		for (size_t k = 0; k < s->blocks; k++)
			cr_assert(s->block[k].kind != FORK_DENSE ||
				  s->block[k].layer != row[i].layer);
		cr_assert(strstr(s->notes, row[i].named), "%s", s->notes);
		cr_assert(strstr(s->notes, row[i].bad), "%s", s->notes);
		for (size_t k = 0; k < s->tensors; k++) {
			bad += s->tensor[k].values_bad;
			cr_assert_eq(s->tensor[k].finite, s->tensor[k].values_bad == 0);
			cr_assert(isfinite(s->tensor[k].mean_square));
		}
		cr_assert_eq(bad, 1);
		fork_sketch_free(s);
		made_close(&m);
	}
}

/* One value of a norm would hide every block that it goes before. */
Test(fork_sketch_make, a_gain_that_is_not_finite_leaves_nothing_out)
{
	struct made one = { .gain = 1 }, two = { .gain = 2 }, bad = { .gain = INFINITY };
	struct fork_sketch *s, *doubled, *t;

	made_open(&one, &dense, AS_BF16);
	made_open(&two, &dense, AS_BF16);
	made_open(&bad, &dense, AS_BF16);
	s = sketch_of(&one);
	doubled = sketch_of(&two);
	t = sketch_of(&bad);
	assert_same_blocks(s, t);
	cr_assert(doubled->block[0].part[0].norm[0] != s->block[0].part[0].norm[0]);
	cr_assert(strstr(t->notes, "post_attention_layernorm.weight"), "%s", t->notes);
	fork_sketch_free(s);
	fork_sketch_free(doubled);
	fork_sketch_free(t);
	made_close(&one);
	made_close(&two);
	made_close(&bad);
}

Test(fork_sketch_make, awkward_shapes_are_sketches_too)
{
	static const struct shape shapes[] = {
		{ 0, 0, 8, 8, 0, 0, 0, 3 },       /* an embedding of three tokens alone */
		{ 1, 0, 1, 16, 0, 0, 0, 9 },      /* hidden 1 */
		{ 1, 0, 200000, 16, 0, 0, 0, 8 }, /* rows longer than a panel */
		{ 1, 0, 8, 15, 0, 0, 0, 0 },      /* too few units; no embeddings */
		{ 1, 300, 16, 16, 0, 0, 0, 0 },   /* more experts than are kept */
		{ 3, 0, 8, 257, 0, 0, 0, 20 },    /* a unit more than is kept */
	};

	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct made m = { 0 };
		struct fork_sketch *s, *again;
		struct buf b = { 0 };
		struct err e = { 0 };

		made_open(&m, &shapes[i], AS_BF16);
		s = sketch_of(&m);
		cr_assert_leq(s->blocks, 256);
		cr_assert_eq(fork_sketch_write(s, &b, &e), 0);
		cr_assert_eq(fork_sketch_read(&again, b.bytes, b.len, &e), 0, "row %zu: %s", i,
			     e.text);
		fork_sketch_free(again);
		buf_free(&b);
		fork_sketch_free(s);
		made_close(&m);
	}
}

/* ---- reading that fails ---- */

struct failing {
	struct source source; /* first: the ops cast back */
	struct source *under;
	uint64_t reads, fails_at;
	int code;
};

static int failing_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
			struct err *e)
{
	struct failing *f = (struct failing *)s;

	if (++f->reads == f->fails_at)
		return err_set(e, f->code, "no byte %llu of %s", (unsigned long long)offset, name);
	return source_read(f->under, name, offset, out, len, e);
}

static int failing_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	return source_size(((struct failing *)s)->under, name, bytes, e);
}

static const char *failing_name(struct source *s, size_t i)
{
	return source_name(((struct failing *)s)->under, i);
}

static void failing_close(struct source *s) { (void)s; }

static const struct source_ops failing_ops = {
	.size = failing_size, .read = failing_read, .name = failing_name, .close = failing_close
};

Test(fork_sketch_make, a_read_that_fails_ends_it_with_the_reason)
{
	static const int codes[] = { ERR_IO, ERR_VERIFY };
	struct made m = { 0 };
	struct failing f = { { &failing_ops, "failing", false }, NULL, 0, 0, 0 };
	struct fork_sketch *s;
	struct err e = { 0 };
	uint64_t all;

	made_open(&m, &experts, AS_BF16);
	model_values_close(m.values);
	f.under = &m.memory.source;
	cr_assert_eq(model_values_open(&m.values, &f.source, m.config, &e), 0, "%s", e.text);
	m.model.values = m.values;
	f.reads = 0;
	fork_sketch_free(sketch_of(&m));
	all = f.reads;
	cr_assert_gt(all, 100);
	for (uint64_t at = 1; at <= all; at += 1 + all / 60) {
		int rc;

		f.reads = 0;
		f.fails_at = at;
		f.code = codes[at % 2];
		rc = fork_sketch_make(&s, &m.model, &e);
		cr_assert_eq(rc, f.code, "read %llu: %d", (unsigned long long)at, rc);
		cr_assert_null(s);
		cr_assert(strstr(e.text, "no byte"), "%s", e.text);
	}
	made_close(&m);
}

/* As codes that contradict themselves are: of one tensor alone. */
Test(fork_sketch_make, a_tensor_that_cannot_be_read_ends_nothing)
{
	struct made m = { 0 };
	struct failing f = { { &failing_ops, "failing", false }, NULL, 0, 0, ERR_INPUT };
	struct fork_sketch *s;
	struct err e = { 0 };
	uint64_t all;
	size_t whole;

	made_open(&m, &experts, AS_BF16);
	model_values_close(m.values);
	f.under = &m.memory.source;
	cr_assert_eq(model_values_open(&m.values, &f.source, m.config, &e), 0, "%s", e.text);
	m.model.values = m.values;
	f.reads = 0;
	s = sketch_of(&m);
	whole = s->blocks;
	fork_sketch_free(s);
	all = f.reads;
	for (uint64_t at = 1; at <= all; at += 1 + all / 60) {
		f.reads = 0;
		f.fails_at = at;
		cr_assert_eq(fork_sketch_make(&s, &m.model, &e), 0, "read %llu: %s",
			     (unsigned long long)at, e.text);
		cr_assert_eq(s->tensors, 2 * 6 * 3 + 1);
		cr_assert(s->tokens == 0 || strstr(s->notes, "no byte"), "%s", s->notes);
		cr_assert_leq(s->blocks, whole);
		fork_sketch_free(s);
	}
	made_close(&m);
}

static void add_progress(void *ctx, uint64_t bytes) { *(uint64_t *)ctx += bytes; }

Test(fork_sketch_make, progress_is_of_all_bytes)
{
	struct made m = { 0 };
	uint64_t done = 0;

	made_open(&m, &dense, AS_BF16);
	m.model.progress = add_progress;
	m.model.progress_ctx = &done;
	fork_sketch_free(sketch_of(&m));
	cr_assert_leq(done, m.data.len);
	cr_assert_geq(done, m.data.len - 200); /* a byte may be lost to each panel */
	made_close(&m);
}
