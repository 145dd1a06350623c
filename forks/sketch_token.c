/* Tokens: which a sketch looks at, their embeddings, and what two sketches have in common.
 *
 * The tokens whose hashes are the smallest are chosen, so that models with the same vocabulary
 * choose the same ones, and models whose vocabularies overlap choose many in common. */
#include "forks/draws.h"
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX (1u << 24) /* ids that are looked at where there is no vocabulary */

/* Of the id, where texts are not known: splitmix64. */
static uint64_t id_hash(uint32_t id)
{
	uint64_t z = (id + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Keep the `room` smallest hashes, ascending; equal ones once. */
static void keep_smallest(struct fork_token *kept, uint32_t *count, uint32_t room, uint64_t hash,
			  uint32_t id)
{
	uint32_t at = *count;

	if (at == room && hash >= kept[at - 1].hash)
		return;
	for (uint32_t i = 0; i < *count; i++)
		if (kept[i].hash == hash)
			return;
	at -= at == room;
	for (; at > 0 && kept[at - 1].hash > hash; at--)
		kept[at] = kept[at - 1];
	kept[at] = (struct fork_token){ hash, id };
	*count += *count < room;
}

static uint64_t embedding_rows(const struct role_part *p)
{
	uint64_t rows = p->value->rows;

	return rows <= p->first ? 0 : (rows - p->first + p->step - 1) / p->step;
}

/* Some more than are needed: what is not finite is left out afterwards. */
static uint32_t choose(const struct fork_model *m, uint64_t rows, struct fork_token *kept,
		       uint32_t room)
{
	uint32_t count = 0;

	for (size_t i = 0; i < m->tokens; i++)
		if (m->token[i].id < rows)
			keep_smallest(kept, &count, room, m->token[i].hash, m->token[i].id);
	for (uint32_t id = 0; m->tokens == 0 && id < rows && id < IDS_MAX; id++)
		keep_smallest(kept, &count, room, id_hash(id), id);
	return count;
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
	uint32_t rank; /* of its token's hash */
};

static int by_row(const void *x, const void *y)
{
	const struct wanted *a = x, *b = y;

	return a->row < b->row ? -1 : a->row > b->row;
}

/* The rows of count tokens as out: [count][hidden], read front to back. */
static int rows_read(const struct basis *b, const struct fork_model *m, const struct role_part *p,
		     const struct fork_token *token, uint32_t count, float *out, struct err *e)
{
	float *whole = malloc(p->value->columns * sizeof *whole);
	struct wanted want[2 * SKETCH_TOKENS];
	int rc = whole ? 0 : err_set(e, ERR_NOMEM, "out of memory for embeddings");

	for (uint32_t i = 0; i < count; i++)
		want[i] = (struct wanted){ p->first + token[i].id * p->step, i };
	qsort(want, count, sizeof *want, by_row);
	for (uint32_t i = 0; i < count && rc == 0; i++) {
		rc = model_values_read(m->values, p->value, want[i].row, 1, whole, e);
		if (rc == 0)
			memcpy(out + want[i].rank * b->hidden, whole + p->column,
			       b->hidden * sizeof *out);
	}
	free(whole);
	return rc;
}

static int embeddings_read(struct basis *b, struct fork_sketch *s, const struct fork_model *m,
			   const struct role_part *p, struct err *e)
{
	struct fork_token kept[2 * SKETCH_TOKENS];
	uint32_t count = choose(m, embedding_rows(p), kept, 2 * SKETCH_TOKENS);
	float *row = calloc((size_t)count + 1, b->hidden * sizeof *row);
	int rc = row ? 0 : err_set(e, ERR_NOMEM, "out of memory for embeddings");

	TRY_OUT(rc);
	TRY_OUT(rows_read(b, m, p, kept, count, row, e));
	for (uint32_t i = 0; i < count && b->tokens < SKETCH_TOKENS; i++) {
		float *from = row + i * b->hidden;

		if (!row_finite(from, b->hidden))
			continue;
		memmove(row + b->tokens * b->hidden, from, b->hidden * sizeof *from);
		s->token[b->tokens++] = kept[i].hash;
	}
	if (b->tokens < SKETCH_TOKENS_MIN)
		b->tokens = 0;
	else
		rc = embeddings_turn(b, row, e);
	s->tokens = b->tokens;
	s->tokens_by_id = m->tokens == 0;
out:
	free(row);
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

struct fork_common fork_sketch_common(const struct fork_sketch *a, const struct fork_sketch *b)
{
	struct fork_common out = { 0 };

	if (a->tokens_by_id != b->tokens_by_id)
		return out;
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
	return out;
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
