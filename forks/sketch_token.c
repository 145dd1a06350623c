/* Tokens: which a sketch looks at, their embeddings, and what two sketches have in common.
 *
 * Half are those whose texts' hashes are the smallest, half those whose ids' hashes are: models
 * with the same vocabulary choose the same ones, models whose vocabularies overlap have many in
 * common, and so has a model that comes without texts, which chooses all by their ids. */
#include "forks/draws.h"
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS_LEAST 32     /* common texts, without which ids are believed instead */
#define IDS_MAX (1u << 24) /* ids that are looked at where there is no vocabulary */

/* Of the id, where texts are not known. */
static uint64_t id_hash(uint32_t id) { return sketch_mixed((id + 1) * 0x9e3779b97f4a7c15ull); }

struct column {
	uint64_t key, text; /* key: by which it is chosen; text: of the id where there is none */
	uint32_t id;
};

struct columns {
	struct column
		at[2 * SKETCH_TOKENS]; /* ascending by key: more than are needed, for what is */
	uint32_t count;                /* not finite is left out afterwards */
};

/* Keep the smallest keys; equal ones once. */
static void keep_smallest(struct columns *c, struct column new)
{
	uint32_t at = c->count, room = 2 * SKETCH_TOKENS;

	if (at == room && new.key >= c->at[at - 1].key)
		return;
	for (uint32_t i = 0; i < c->count; i++)
		if (c->at[i].key == new.key)
			return;
	at -= at == room;
	for (; at > 0 && c->at[at - 1].key > new.key; at--)
		c->at[at] = c->at[at - 1];
	c->at[at] = new;
	c->count += c->count < room;
}

static uint64_t embedding_rows(const struct role_part *p)
{
	uint64_t rows = p->value->rows;

	return rows <= p->first ? 0 : (rows - p->first + p->step - 1) / p->step;
}

static void add_column(struct columns *c, const struct column *new)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->at[i].id == new->id)
			return;
	if (c->count < 2 * SKETCH_TOKENS)
		c->at[c->count++] = *new;
}

/* In the order in which they are wanted: by text and by id in turn. */
static void choose(const struct fork_model *m, uint64_t rows, struct columns *out)
{
	struct columns text = { .count = 0 }, ids = { .count = 0 };

	for (size_t i = 0; i < m->tokens; i++) {
		uint64_t hash = m->token[i].hash;
		uint32_t id = m->token[i].id;

		if (id >= rows)
			continue;
		keep_smallest(&text, (struct column){ hash, hash, id });
		keep_smallest(&ids, (struct column){ id_hash(id), hash, id });
	}
	for (uint32_t id = 0; m->tokens == 0 && id < rows && id < IDS_MAX; id++)
		keep_smallest(&ids, (struct column){ id_hash(id), id_hash(id), id });
	out->count = 0;
	for (uint32_t i = 0; i < 2 * SKETCH_TOKENS; i++) {
		if (i < text.count)
			add_column(out, &text.at[i]);
		if (i < ids.count)
			add_column(out, &ids.at[i]);
	}
}

static bool row_finite(const float *x, uint64_t n)
{
	bool finite = true;

	for (uint64_t i = 0; i < n; i++)
		finite &= isfinite(x[i]) != 0;
	return finite;
}

/* The embeddings as [hidden][stride], less their mean over the tokens. */
static int embeddings_turn(struct basis *b, const float *row, struct err *e)
{
	b->stride = (b->tokens + 15) / 16 * 16;
	b->embedding = calloc((size_t)b->hidden * b->stride, sizeof *b->embedding);
	if (!b->embedding)
		return err_set(e, ERR_NOMEM, "out of memory for the embeddings of %u tokens",
			       b->tokens);
	for (uint64_t d = 0; d < b->hidden; d++) {
		double mean = 0;

		for (uint32_t t = 0; t < b->tokens; t++)
			mean += row[t * b->hidden + d];
		mean /= b->tokens;
		for (uint32_t t = 0; t < b->tokens; t++)
			b->embedding[d * b->stride + t] = (float)(row[t * b->hidden + d] - mean);
	}
	return 0;
}

struct wanted {
	uint64_t row;
	uint32_t rank; /* of its token */
};

static int by_row(const void *x, const void *y)
{
	const struct wanted *a = x, *b = y;

	return a->row < b->row ? -1 : a->row > b->row;
}

/* The rows of these tokens as out: [count][hidden], read front to back. */
static int rows_read(const struct basis *b, const struct fork_model *m, const struct role_part *p,
		     const struct columns *c, float *out, struct err *e)
{
	float *whole = malloc(p->value->columns * sizeof *whole);
	struct wanted want[2 * SKETCH_TOKENS];
	int rc = whole ? 0 : err_set(e, ERR_NOMEM, "out of memory for embeddings");

	for (uint32_t i = 0; i < c->count; i++)
		want[i] = (struct wanted){ p->first + c->at[i].id * p->step, i };
	qsort(want, c->count, sizeof *want, by_row);
	for (uint32_t i = 0; i < c->count && rc == 0; i++) {
		rc = model_values_read(m->values, p->value, want[i].row, 1, whole, e);
		if (rc == 0)
			memcpy(out + want[i].rank * b->hidden, whole + p->column,
			       b->hidden * sizeof *out);
	}
	free(whole);
	return rc;
}

struct text_rank {
	uint64_t text;
	uint32_t at;
};

static int by_text(const void *x, const void *y)
{
	const struct text_rank *a = x, *b = y;

	return a->text < b->text ? -1 : a->text > b->text;
}

/* The first of the columns that are finite, ascending by text: rank[tokens]. Two of one text are
 * one. */
static uint32_t columns_rank(const struct basis *b, const struct columns *c, const float *row,
			     struct text_rank *rank)
{
	uint32_t count = 0, kept = 0;

	for (uint32_t i = 0; i < c->count && count < SKETCH_TOKENS; i++)
		if (row_finite(row + i * b->hidden, b->hidden))
			rank[count++] = (struct text_rank){ c->at[i].text, i };
	qsort(rank, count, sizeof *rank, by_text);
	for (uint32_t i = 0; i < count; i++)
		if (kept == 0 || rank[i].text != rank[kept - 1].text)
			rank[kept++] = rank[i];
	return kept;
}

static int embeddings_read(struct basis *b, struct fork_sketch *s, const struct fork_model *m,
			   const struct role_part *p, struct err *e)
{
	struct text_rank rank[SKETCH_TOKENS];
	struct columns c;
	float *row, *sorted;
	int rc = 0;

	choose(m, embedding_rows(p), &c);
	row = calloc((size_t)c.count + 1, b->hidden * sizeof *row);
	sorted = calloc(SKETCH_TOKENS, b->hidden * sizeof *sorted);
	if (!row || !sorted)
		rc = err_set(e, ERR_NOMEM, "out of memory for embeddings");
	TRY_OUT(rc);
	rc = rows_read(b, m, p, &c, row, e);
	if (rc == ERR_INPUT || rc == ERR_UNSUPPORTED) { /* of this tensor alone: no tokens */
		c.count = 0;
		rc = 0;
	}
	TRY_OUT(rc);
	b->tokens = columns_rank(b, &c, row, rank);
	for (uint32_t i = 0; i < b->tokens; i++) {
		memcpy(sorted + i * b->hidden, row + rank[i].at * b->hidden,
		       b->hidden * sizeof *sorted);
		s->token[i] = rank[i].text;
		s->token_id[i] = c.at[rank[i].at].id;
	}
	if (b->tokens < SKETCH_TOKENS_MIN)
		b->tokens = 0;
	else
		rc = embeddings_turn(b, sorted, e);
	s->tokens = b->tokens;
	s->tokens_by_id = m->tokens == 0;
out:
	free(row);
	free(sorted);
	return rc;
}

static int buckets_open(struct basis *b, uint64_t width_max, struct err *e)
{
	const uint32_t key[2] = { (uint32_t)SKETCH_SEED, (uint32_t)(SKETCH_SEED >> 32) };

	_Static_assert(SKETCH_RAW <= BASIS_NEGATIVE, "a bucket and a sign fit one byte");
	b->width_max = width_max;
	b->bucket = malloc(width_max + 1);
	if (!b->bucket)
		return err_set(e, ERR_NOMEM, "out of memory for vectors of %llu dimensions",
			       (unsigned long long)width_max);
	for (uint64_t d = 0; d < width_max; d++) {
		uint32_t counter[4] = { (uint32_t)d, 0, 0, PHILOX_SKETCH }, word[4];

		philox_block(key, counter, word);
		b->bucket[d] = (uint8_t)(word[0] % SKETCH_RAW | (word[1] & 1 ? 0 : BASIS_NEGATIVE));
	}
	return 0;
}

int fork_basis_open(struct basis *b, struct fork_sketch *s, const struct fork_model *m,
		    const struct roles *r, uint64_t width_max, struct err *e)
{
	const struct role_part *p = &r->embedding;
	bool usable = p->value && p->value->floats && !p->by_column && p->step &&
		      r->hidden == p->width && r->hidden <= SKETCH_WIDTH_MAX &&
		      p->value->columns >= p->column + p->width && r->hidden > 0;

	*b = (struct basis){ .hidden = r->hidden };
	TRY(buckets_open(b, width_max, e));
	return usable ? embeddings_read(b, s, m, p, e) : 0;
}

void fork_basis_free(struct basis *b)
{
	free(b->bucket);
	free(b->embedding);
	*b = (struct basis){ 0 };
}

static void common_by_id(const struct fork_sketch *a, const struct fork_sketch *b,
			 struct fork_common *out)
{
	for (uint32_t i = 0; i < a->tokens; i++)
		for (uint32_t j = 0; j < b->tokens; j++)
			if (a->token_id[i] == b->token_id[j]) {
				out->a[out->count] = (uint8_t)i;
				out->b[out->count++] = (uint8_t)j;
				break;
			}
}

struct fork_common fork_sketch_common(const struct fork_sketch *a, const struct fork_sketch *b)
{
	struct fork_common out = { 0 }, ids = { 0 };

	for (uint32_t i = 0, j = 0; i < a->tokens && j < b->tokens;) {
		if (a->token[i] == b->token[j]) {
			out.a[out.count] = (uint8_t)i++;
			out.b[out.count++] = (uint8_t)j++;
		} else if (a->token[i] < b->token[j]) {
			i++;
		} else {
			j++;
		}
	}
	out.all = out.count == a->tokens && out.count == b->tokens;
	if (a->tokens_by_id == b->tokens_by_id && (out.all || out.count >= TEXTS_LEAST))
		return out;
	common_by_id(a, b, &ids);
	return a->tokens_by_id != b->tokens_by_id || ids.count > out.count ? ids : out;
}

void fork_sketch_restrict(const struct sketch_part *p, uint32_t kept, const uint8_t *at,
			  uint32_t count, int16_t *out)
{
	uint32_t width = (count + 15) / 16 * 16;

	memset(out, 0, (size_t)kept * width * sizeof *out);
	for (uint32_t u = 0; u < kept && count; u++) {
		const int16_t *row = p->token + (size_t)u * p->token_width;
		double v[SKETCH_TOKENS];
		int64_t sum = 0;

		for (uint32_t i = 0; i < count; i++)
			sum += row[at[i]];
		for (uint32_t i = 0; i < count; i++)
			v[i] = row[at[i]] - (double)sum / count;
		fork_unit_quantise(v, count, out + (size_t)u * width);
	}
}
