#include "forks/stream.h"

#include "forks/dots.h"
#include "forks/rungs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_ROWS 1024  /* of b, evenly from all */
#define STREAM_SAME 0.999 /* cosine of rows that are the same but for rounding */
#define STREAM_LIKE 0.3   /* of parts of units that descend from each other */
#define STREAM_CROSSED 3  /* one or two may be copies within a model */
#define STREAM_AGREED 4   /* a quarter of the units: so much no coincidence of rows brings along */

/* Parts that are rows of what is stored. Columns are no stretch of a stream. */
enum stream_role { STREAM_GATE, STREAM_UP, STREAM_VALUE, STREAM_ROLES };

struct stream_row {
	const struct sketch_block *block;
	uint32_t unit; /* of the kept ones */
	const int16_t *v;
	double length;
	enum stream_role role;
	bool same[STREAM_ROLES];
};

static enum stream_role stream_role(const struct sketch_block *b, uint32_t part)
{
	if (b->kind == FORK_ATTENTION)
		return STREAM_VALUE;
	return b->parts == ROLE_PARTS && part == 0 ? STREAM_GATE : STREAM_UP;
}

static double stream_length(const int16_t *v, uint32_t width)
{
	int64_t squares = 0;

	for (uint32_t k = 0; k < width; k++)
		squares += (int64_t)v[k] * v[k];
	return sqrt((double)squares);
}

static double stream_cosine(const int16_t *x, const int16_t *y, uint32_t width)
{
	double lengths = stream_length(x, width) * stream_length(y, width);
	int64_t dot = 0;

	for (uint32_t k = 0; k < width; k++)
		dot += (int64_t)x[k] * y[k];
	return lengths > 0 ? (double)dot / lengths : 0;
}

static uint32_t stream_width(const struct sketch_part *x, const struct sketch_part *y)
{
	return x->raw_width < y->raw_width ? x->raw_width : y->raw_width;
}

/* ---- units that answer each other whole ---- */

/* exchanged: a's gate against b's up row, and its up row against b's gate. */
static bool stream_agree(const struct sketch_block *a, uint32_t i, const struct sketch_block *b,
			 uint32_t j, bool exchanged)
{
	if (a->parts != b->parts)
		return false;
	for (uint32_t k = 0; k < a->parts; k++) {
		const struct sketch_part *x = &a->part[exchanged && k < 2 ? 1 - k : k];
		const struct sketch_part *y = &b->part[k];
		const int16_t *v = x->raw + (size_t)i * x->raw_width;
		const int16_t *w = y->raw + (size_t)j * y->raw_width;
		double raw = fabs(stream_cosine(v, w, stream_width(x, y))), token = 0;

		if (x->token && y->token && x->token_width == y->token_width)
			token = fabs(stream_cosine(x->token + (size_t)i * x->token_width,
						   y->token + (size_t)j * y->token_width,
						   x->token_width));
		if (fmax(raw, token) < STREAM_LIKE)
			return false;
	}
	return true;
}

static uint64_t stream_units_of(const struct fork_sketch *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->blocks; i++)
		n += s->block[i].component == FORK_BODY ? s->block[i].kept : 0;
	return n;
}

static void stream_count_units(const struct fork_sketch *a, const struct fork_sketch *b,
			       const struct rung_pair *pair, size_t pairs, uint32_t *const *unit,
			       struct fork_stream *out)
{
	uint64_t of_a = stream_units_of(a), of_b = stream_units_of(b);

	out->units = of_a < of_b ? of_a : of_b; /* units that were appended prove nothing */
	for (size_t p = 0; p < pairs; p++) {
		const struct sketch_block *x = &a->block[pair[p].a], *y = &b->block[pair[p].b];

		for (uint32_t j = 0; j < y->kept; j++) {
			uint32_t i =
				unit && unit[p] ? unit[p][j] : fork_sketch_unit_at(x, y->place[j]);

			out->agreed += i < x->kept && stream_agree(x, i, y, j, false);
		}
	}
}

/* ---- rows under other roles ---- */

/* The width over which rows of both are compared: the narrowest of any. */
static uint32_t stream_narrowest(const struct fork_sketch *s, uint32_t least)
{
	for (size_t i = 0; i < s->blocks; i++)
		for (uint32_t k = 0; k + 1 < s->block[i].parts; k++)
			if (s->block[i].component == FORK_BODY &&
			    s->block[i].part[k].raw_width < least)
				least = s->block[i].part[k].raw_width;
	return least;
}

static uint64_t stream_rows_of(const struct fork_sketch *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->blocks; i++)
		if (s->block[i].component == FORK_BODY)
			n += (uint64_t)s->block[i].kept * (s->block[i].parts - 1);
	return n;
}

/* Every step-th row of b's body. */
static uint32_t stream_choose(const struct fork_sketch *b, uint32_t width, struct stream_row *row)
{
	uint64_t step = (stream_rows_of(b) / STREAM_ROWS + 1) | 1,
		 at = 0; /* odd: no power of two */
	uint32_t rows = 0;

	for (size_t i = 0; i < b->blocks; i++) {
		const struct sketch_block *x = &b->block[i];

		for (uint32_t k = 0; x->component == FORK_BODY && k + 1 < x->parts; k++)
			for (uint32_t j = 0; j < x->kept; j++, at++) {
				const int16_t *v =
					x->part[k].raw + (size_t)j * x->part[k].raw_width;
				double length = stream_length(v, width);

				if (at % step == 0 && length > 0 && rows < STREAM_ROWS)
					row[rows++] = (struct stream_row){
						.block = x,
						.unit = j,
						.v = v,
						.length = length,
						.role = stream_role(x, k),
					};
			}
	}
	return rows;
}

/* A unit of a whose gate and up rows were only exchanged counts as found under its own role. */
static void stream_found(const struct sketch_block *a, uint32_t i, enum stream_role role,
			 struct stream_row *row)
{
	bool whole = role != row->role && a->parts == ROLE_PARTS &&
		     stream_agree(a, i, row->block, row->unit, true);

	row->same[whole ? row->role : role] = true;
}

/* Look all chosen rows up among those of one part of a block of a. */
static void stream_compare(const struct sketch_block *a, uint32_t part, uint32_t width,
			   const int16_t *packed, struct stream_row *row, uint32_t rows,
			   int32_t *dot)
{
	const struct sketch_part *p = &a->part[part];
	const struct dots_side x = { p->raw, a->kept, p->raw_width }, y = { packed, rows, width };

	fork_dots(&x, &y, width, dot);
	for (uint32_t i = 0; i < a->kept; i++) {
		double length = stream_length(p->raw + (size_t)i * p->raw_width, width);

		for (uint32_t j = 0; j < rows; j++)
			if (dot[(size_t)i * rows + j] >= STREAM_SAME * length * row[j].length &&
			    length > 0)
				stream_found(a, i, stream_role(a, part), &row[j]);
	}
}

static int stream_count_rows(const struct fork_sketch *a, const struct fork_sketch *b,
			     struct fork_stream *out, struct err *e)
{
	uint32_t width = stream_narrowest(b, stream_narrowest(a, SKETCH_RAW)), rows;
	struct stream_row *row = calloc(STREAM_ROWS, sizeof *row);
	int16_t *packed = calloc((size_t)STREAM_ROWS * SKETCH_RAW, sizeof *packed);
	int32_t *dot = calloc((size_t)SKETCH_UNITS * STREAM_ROWS, sizeof *dot);
	int rc = 0;

	if (!row || !packed || !dot)
		TRY_OUT(err_set(e, ERR_NOMEM, "out of memory for %u rows", STREAM_ROWS));
	rows = stream_choose(b, width, row);
	for (uint32_t j = 0; j < rows; j++)
		memcpy(packed + (size_t)j * width, row[j].v, width * sizeof *packed);
	for (size_t i = 0; i < a->blocks; i++) {
		const struct sketch_block *x = &a->block[i];

		for (uint32_t k = 0; x->component == FORK_BODY && k + 1 < x->parts; k++)
			stream_compare(x, k, width, packed, row, rows, dot);
	}
	out->looked = rows;
	for (uint32_t j = 0; j < rows; j++) {
		bool other = false;

		for (int r = 0; r < STREAM_ROLES; r++)
			other |= row[j].same[r] && r != (int)row[j].role;
		out->crossed += other && !row[j].same[row[j].role];
	}
out:
	free(row);
	free(packed);
	free(dot);
	return rc;
}

int fork_stream_look(const struct fork_sketch *a, const struct fork_sketch *b,
		     const struct rung_pair *pair, size_t pairs, uint32_t *const *unit,
		     struct fork_stream *out, struct err *e)
{
	*out = (struct fork_stream){ 0 };
	stream_count_units(a, b, pair, pairs, unit, out);
	if (STREAM_AGREED * out->agreed >= out->units)
		return 0;
	TRY(stream_count_rows(a, b, out, e));
	out->found = out->crossed >= STREAM_CROSSED;
	return 0;
}
