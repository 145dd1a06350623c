#include "model/values_in.h"

#include <stdlib.h>
#include <string.h>

#define STEP 256u /* values: whole blocks of every type */

/* ---- as stored ---- */

/* n values whose bytes are at the end of out's own memory. What is written never overtakes what is
 * still to be read: a value takes at most the four bytes that it becomes. */
static void widen_in_place(enum model_dtype type, size_t n, float *out)
{
	unsigned char step[STEP * 4];
	size_t stored = (size_t)model_dtype_bytes(type, STEP),
	       all = (size_t)model_dtype_bytes(type, n);
	const unsigned char *raw = (const unsigned char *)out + n * sizeof *out - all;
	for (size_t i = 0; i + STEP <= n; i += STEP, raw += stored) {
		memcpy(step, raw, stored);
		model_dtype_widen(type, step, STEP, out + i);
	}
	size_t rest = n % STEP;
	memcpy(step, raw, (size_t)model_dtype_bytes(type, rest));
	model_dtype_widen(type, step, rest, out + n - rest);
}

/* Rows of the value as rows of t, whose last dimensions of 1 the value has not. */
static int stored_read(struct model_values *v, const struct value_item *it, uint64_t row,
		       uint64_t rows, void *out, struct err *e)
{
	const struct model_tensor *t = it->stored[0];
	uint64_t last = t->rank > 0 ? t->shape[t->rank - 1] : 1;
	uint64_t each = last > 0 ? it->value.columns / last : 1;
	return model_tensors_bytes(v->tensors, t, row * each, rows * each, out, e);
}

/* F64, which out has no room for. */
static int wide_read(struct model_values *v, const struct value_item *it, uint64_t row,
		     uint64_t rows, float *out, struct err *e)
{
	const struct model_tensor *t = it->stored[0];
	size_t n = (size_t)(rows * it->value.columns);
	unsigned char *raw = malloc(n * 8 + 1);
	if (!raw)
		return err_set(e, ERR_NOMEM, "tensor %s", t->name);
	int rc = stored_read(v, it, row, rows, raw, e);
	if (rc == 0)
		model_dtype_widen(t->dtype, raw, n, out);
	free(raw);
	return rc;
}

static int plain_read(struct model_values *v, const struct value_item *it, uint64_t row,
		      uint64_t rows, float *out, struct err *e)
{
	const struct model_tensor *t = it->stored[0];
	size_t n = (size_t)(rows * it->value.columns);
	if (t->dtype == MODEL_F64)
		return wide_read(v, it, row, rows, out, e);
	size_t stored = (size_t)model_dtype_bytes(t->dtype, n);
	TRY(stored_read(v, it, row, rows, (unsigned char *)out + n * sizeof *out - stored, e));
	if (t->dtype != MODEL_F32)
		widen_in_place(t->dtype, n, out);
	return 0;
}

/* ---- in codes ---- */

/* Rows of one matrix. */
static int rows_decode(struct model_values *v, const struct value_kept *k, uint32_t row, uint32_t n,
		       float *out, struct err *e)
{
	const struct model_tensor *t = k->item->stored[0];
	size_t stored = model_coding_row_bytes(&k->coding);
	if (k->item->turned) {
		model_coding_columns(&k->coding, k->codes, row, n, out);
		return 0;
	}
	if (stored == 0) {
		model_coding_rows(&k->coding, k->codes, row, n, out);
		return 0;
	}
	/* Into the end of out, where each row but the last is decoded below what is still needed.
	 */
	bool in_place = n > 1 && stored <= k->coding.columns;
	size_t all = n * stored;
	unsigned char *last = malloc(in_place ? stored + 1 : all + 1),
		      *codes = in_place ? (unsigned char *)(out + (size_t)n * k->coding.columns) -
						  all
					: last;
	if (!last)
		return err_set(e, ERR_NOMEM, "tensor %s", t->name);
	uint64_t at = (k->matrix * k->coding.rows + row) * stored;
	int rc = source_read(v->tensors->source, t->file, t->begin + at, codes, all, e);
	uint32_t done = in_place ? n - 1 : 0;
	if (rc == 0 && in_place) {
		memcpy(last, codes + done * stored, stored);
		model_coding_rows(&k->coding, codes, row, done, out);
	}
	if (rc == 0)
		model_coding_rows(&k->coding, last, row + done, n - done,
				  out + (size_t)done * k->coding.columns);
	free(last);
	return rc;
}

static int coded_read(struct model_values *v, const struct value_item *it, uint64_t row,
		      uint64_t rows, float *out, struct err *e)
{
	uint64_t each = it->value.rows / it->matrices;
	while (rows > 0) {
		struct value_kept *k;
		uint64_t in = row % each, n = each - in < rows ? each - in : rows;
		TRY(model_values_take(v, it, row / each, &k, e));
		int rc = rows_decode(v, k, (uint32_t)in, (uint32_t)n, out, e);
		model_values_give(v, k);
		TRY(rc);
		row += n;
		rows -= n;
		out += n * it->value.columns;
	}
	return 0;
}

/* ---- whole ---- */

int model_values_open(struct model_values **out, struct source *src, const json_t *config,
		      struct err *e)
{
	struct model_values *v = *out = calloc(1, sizeof *v);
	int rc;
	if (!v)
		return err_set(e, ERR_NOMEM, "values");
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	v->source = src;
	TRY_OUT(model_values_files(&v->tensors, src, &v->notes, e));
	TRY_OUT(model_values_gather(v, config, e));
	TRY_OUT(buf_done(&v->notes, e));
	return 0;
out:
	model_values_close(v);
	*out = NULL;
	return rc;
}

void model_values_close(struct model_values *v)
{
	if (!v)
		return;
	model_values_drop(v);
	model_tensors_close(v->tensors);
	free(v->item);
	buf_free(&v->notes);
	arena_free(&v->arena);
	pthread_cond_destroy(&v->changed);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

size_t model_values_count(const struct model_values *v) { return v->count; }

const struct model_value *model_values_at(const struct model_values *v, size_t i)
{
	return i < v->count ? &v->item[i].value : NULL;
}

const struct model_value *model_values_find(const struct model_values *v, const char *name)
{
	size_t lo = 0, hi = v->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(name, v->item[mid].value.name);
		if (order == 0)
			return &v->item[mid].value;
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

uint64_t model_value_bytes(const struct model_value *w)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < w->parts; i++)
		bytes += w->stored[i]->bytes;
	return bytes;
}

struct source *model_values_source(const struct model_values *v) { return v->source; }

const char *model_values_notes(const struct model_values *v)
{
	return v->notes.bytes ? v->notes.bytes : "";
}

int model_values_read(struct model_values *v, const struct model_value *w, uint64_t row,
		      uint64_t rows, float *out, struct err *e)
{
	const struct value_item *it = (const struct value_item *)w;
	size_t bytes;
	if (!w->floats)
		return err_set(e, ERR_UNSUPPORTED, "tensor %s has no values: %s", w->name, w->form);
	if (row > w->rows || rows > w->rows - row ||
	    __builtin_mul_overflow(rows, w->columns * sizeof *out, &bytes))
		return err_set(e, ERR_INPUT, "tensor %s: rows %llu+%llu of %llu", w->name,
			       (unsigned long long)row, (unsigned long long)rows,
			       (unsigned long long)w->rows);
	if (bytes == 0)
		return 0;
	if (it->under)
		return model_values_adapted(v, it, row, rows, out, e);
	return it->coded ? coded_read(v, it, row, rows, out, e)
			 : plain_read(v, it, row, rows, out, e);
}
