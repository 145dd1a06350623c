/* What parity functions share: random numbers, memory on both sides, comparisons. */
#include "tests/gpu/parity.h"
#include "base/check.h"
#include "kernels/number.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xff
#define GUARD 256 /* bytes on both sides of a buffer; under the emulator pages without access are there */

#define PARITY_ROW(name) { #name, parity_##name },
const struct parity_function parity_all[] = { PARITY_ALL(PARITY_ROW) };
const size_t parity_count = sizeof parity_all / sizeof parity_all[0];

struct parity_owned {
	struct parity_owned *next;
	void *host;
	struct device_buffer device;
	struct kernel_matrix matrix;
};

/* ---- words ---- */

static void say_va(struct parity *p, const char *before, const char *fmt, va_list args, const char *after)
{
	char words[300], text[700];
	if (p->say == NULL)
		return;
	vsnprintf(words, sizeof words, fmt, args);
	snprintf(text, sizeof text, "%s%s: %s%s", before, p->name, words, after);
	p->say(p->with, text);
}

static void verdict(struct parity *p, bool holds, const char *fmt, va_list args, const char *after)
{
	p->checks++;
	p->failures += !holds;
	if (!holds || p->verbose)
		say_va(p, holds ? "ok    " : "WRONG ", fmt, args, after);
}

void parity_true(struct parity *p, bool holds, const char *what, ...)
{
	va_list args;
	va_start(args, what);
	verdict(p, holds, what, args, "");
	va_end(args);
}

int parity_step(struct parity *p, enum device_operation o, const void *args)
{
	const struct device_step step = { o, args };
	struct device_steps *l;
	int rc = device_steps_open(p->stream, &step, 1, DEVICE_STEPS_KERNEL, &l, &p->err);
	if (rc == ERR_UNSUPPORTED)
		return device_run(p->stream, o, args, &p->err);
	if (rc < 0)
		return rc;
	rc = device_steps_run(l, &p->err);
	device_steps_close(l);
	return rc;
}

bool parity_failed(struct parity *p, const char *what)
{
	if (p->rc == 0)
		return false;
	if (p->err.text[0] != '\0')
		parity_true(p, false, "%s: %s", what, p->err.text);
	p->err.text[0] = '\0'; /* said */
	return true;
}

/* ---- a function ---- */

static struct parity_owned *own(struct parity *p)
{
	struct parity_owned *o = calloc(1, sizeof *o);
	check(o != NULL);
	o->next = p->owned;
	p->owned = o;
	return o;
}

uint32_t parity_call(struct parity *p, const struct parity_function *f)
{
	uint32_t before = p->failures, checks = p->checks;
	uint64_t seed = p->seed;
	p->name = f->name;
	for (const char *c = f->name; *c != '\0'; c++)
		p->seed = (p->seed ^ (unsigned char)*c) * 0x100000001b3u;
	f->run(p);
	if (p->checks == checks)
		parity_true(p, false, "compared nothing");
	if (p->rc == 0)
		p->rc = device_wait(p->stream, &p->err);
	parity_failed(p, "at the end");
	while (p->owned != NULL) {
		struct parity_owned *o = p->owned;
		p->owned = o->next;
		device_free(&o->device);
		kernel_matrix_free(&o->matrix);
		free(o->host);
		free(o);
	}
	p->seed = seed;
	return p->failures - before;
}

/* ---- random numbers ---- */

static uint32_t draw(struct parity *p)
{
	p->seed = p->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(p->seed >> 32);
}

uint32_t parity_below(struct parity *p, uint32_t n)
{
	check(n > 0);
	return (uint32_t)((uint64_t)draw(p) * n >> 32);
}

uint32_t parity_pick(const struct parity *p, uint32_t small, uint32_t large)
{
	return p->large ? large : small;
}

uint32_t parity_size(struct parity *p, uint32_t small, uint32_t large)
{
	uint32_t most = parity_pick(p, small, large), bits = 1;
	while (most >> bits != 0)
		bits++;
	return 1 + parity_below(p, most >> parity_below(p, bits));
}

float parity_noise(struct parity *p) { return (float)(int32_t)draw(p) * 0x1p-31f; }

/* The sum of twelve has variance 1. */
float parity_normal(struct parity *p)
{
	float sum = 0;
	for (int i = 0; i < 6; i++) {
		uint32_t two = draw(p);
		sum += (float)(two >> 16) * 0x1p-16f + (float)(two & 0xffff) * 0x1p-16f;
	}
	return sum - 6;
}

/* ---- memory ---- */

void *parity_host(struct parity *p, size_t bytes)
{
	struct parity_owned *o = own(p);
	o->host = calloc(bytes > 0 ? bytes : 1, 1);
	check(o->host != NULL);
	return o->host;
}

static struct parity_buffer make(struct parity *p, const char *what, size_t bytes)
{
	struct parity_buffer b = { .what = what, .bytes = bytes, .host = parity_host(p, bytes) };
	size_t guard = p->large ? GUARD : 0;
	if (p->rc == 0)
		p->rc = device_alloc(p->device, (bytes > 0 ? bytes : 1) + 2 * guard, &b.whole, &p->err);
	if (!parity_failed(p, what) && guard > 0)
		p->rc = device_fill(p->stream, &b.whole, POISON, &p->err);
	if (!parity_failed(p, what)) {
		own(p)->device = b.whole;
		b.at = (char *)b.whole.at + guard;
	}
	return b;
}

void parity_upload(struct parity *p, struct parity_buffer *b)
{
	if (p->rc == 0)
		p->rc = device_upload(p->stream, &b->whole, p->large ? GUARD : 0, b->host, b->bytes, &p->err);
	if (p->rc == 0)
		p->rc = device_wait(p->stream, &p->err); /* the twin may change now */
	parity_failed(p, b->what);
}

void parity_poison(struct parity *p, struct parity_buffer *b)
{
	memset(b->host, POISON, b->bytes);
	if (p->rc == 0)
		p->rc = device_fill(p->stream, &b->whole, POISON, &p->err);
	parity_failed(p, b->what);
}

struct parity_buffer parity_input(struct parity *p, const char *what, const void *from, size_t bytes)
{
	struct parity_buffer b = make(p, what, bytes);
	if (bytes > 0)
		memcpy(b.host, from, bytes);
	parity_upload(p, &b);
	return b;
}

struct parity_buffer parity_f32(struct parity *p, const char *what, size_t n, float deviation)
{
	struct parity_buffer b = make(p, what, n * sizeof(float));
	float *v = b.host;
	for (size_t i = 0; i < n; i++)
		v[i] = deviation * parity_normal(p);
	parity_upload(p, &b);
	return b;
}

struct parity_buffer parity_bf16(struct parity *p, const char *what, size_t n, float deviation)
{
	struct parity_buffer b = make(p, what, n * sizeof(uint16_t));
	uint16_t *v = b.host;
	for (size_t i = 0; i < n; i++)
		v[i] = number_to_bf16(deviation * parity_normal(p));
	parity_upload(p, &b);
	return b;
}

struct parity_buffer parity_output(struct parity *p, const char *what, size_t bytes)
{
	struct parity_buffer b = make(p, what, bytes);
	parity_poison(p, &b);
	return b;
}

struct parity_buffer parity_zeros(struct parity *p, const char *what, size_t bytes)
{
	struct parity_buffer b = make(p, what, bytes);
	parity_upload(p, &b);
	return b;
}

static bool all_poison(const unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (at[i] != POISON)
			return false;
	}
	return true;
}

void parity_fetch(struct parity *p, struct parity_buffer *b)
{
	unsigned char guard[2 * GUARD];
	size_t before = p->large ? GUARD : 0;
	if (p->rc == 0)
		p->rc = device_download(p->stream, b->host, &b->whole, before, b->bytes, &p->err);
	if (p->rc == 0 && before > 0)
		p->rc = device_download(p->stream, guard, &b->whole, 0, GUARD, &p->err);
	if (p->rc == 0 && before > 0)
		p->rc = device_download(p->stream, guard + GUARD, &b->whole, b->whole.bytes - GUARD, GUARD,
					&p->err);
	if (p->rc == 0)
		p->rc = device_wait(p->stream, &p->err);
	if (!parity_failed(p, b->what) && before > 0 && !all_poison(guard, sizeof guard))
		parity_true(p, false, "%s: written before its beginning or beyond its end", b->what);
	for (size_t i = 0; i < b->bytes; i++)
		p->digest = (p->digest ^ ((const unsigned char *)b->host)[i]) * 0x100000001b3u;
}

void parity_untouched(struct parity *p, const struct parity_buffer *b, size_t from, size_t to)
{
	check(from <= to && to <= b->bytes);
	parity_true(p, all_poison((const unsigned char *)b->host + from, to - from),
		    "%s: bytes %zu to %zu are not the operation's to write", b->what, from, to);
}

/* ---- matrices ---- */

static void pack_mxfp4(struct parity *p, struct kernel_matrix *w)
{
	size_t groups = w->columns / KERNEL_GROUP, n = groups * w->rows;
	unsigned char *block = parity_host(p, 16 * n), *scale = parity_host(p, n);
	for (size_t i = 0; i < 16 * n; i++)
		block[i] = (unsigned char)parity_below(p, 256);
	for (size_t i = 0; i < n; i++)
		scale[i] = (unsigned char)(120 + parity_below(p, 6));
	const struct kernel_mxfp4_rows from = { block, scale, 16 * groups, groups };
	check(kernels_at(0)->pack_mxfp4(w, 0, w->rows, &from) == (uint64_t)w->rows * w->columns);
}

/* Codes below NaN, of both signs; a scale for each block. */
static void make_fp8(struct parity *p, struct kernel_matrix *w, unsigned char *code, float deviation)
{
	size_t blocks = (size_t)((w->rows + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK) *
			((w->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK);
	for (size_t i = 0; i < (size_t)w->rows * w->columns; i++)
		code[i] = (unsigned char)(parity_below(p, 0x7f) | (parity_below(p, 2) << 7));
	for (size_t i = 0; i < blocks; i++)
		w->scale[i] = deviation * (1.5f + parity_noise(p)) / 128;
}

struct kernel_matrix *parity_matrix(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t columns,
				    float deviation)
{
	struct parity_owned *o = own(p);
	struct kernel_matrix *w = &o->matrix;
	size_t n = (size_t)rows * columns;
	check(kernel_matrix_alloc(w, f, rows, columns, &p->err) == 0);
	if (f == KERNEL_MXFP4) {
		pack_mxfp4(p, w);
		return w;
	}
	float *v = parity_host(p, n * sizeof *v);
	struct kernel_stored_rows from = { .stored = KERNEL_FROM_F32,
					   .value = v,
					   .stride_bytes = sizeof *v * (size_t)columns };
	if (f == KERNEL_FP8) {
		make_fp8(p, w, (unsigned char *)v, deviation);
		from.stored = KERNEL_FROM_E4M3;
		from.stride_bytes = columns;
	} else {
		for (size_t i = 0; i < n; i++)
			v[i] = deviation * parity_normal(p);
	}
	check(kernels_at(0)->pack(w, 0, rows, &from) == n);
	return w;
}

struct device_matrix parity_device_matrix(struct parity *p, const struct kernel_matrix *w)
{
	size_t bytes = fragment_panel_bytes(w->format, w->columns);
	size_t blocks = (size_t)((w->rows + 127) / 128) * ((w->columns + 127) / 128);
	struct device_matrix d = { .panel_bytes = bytes,
				   .rows = w->rows,
				   .columns = w->columns,
				   .format = w->format };
	void *panels = parity_host(p, kernel_panels(w) * bytes);
	fragment_pack(w, 0, kernel_panels(w), panels);
	d.at = parity_input(p, "weights", panels, kernel_panels(w) * bytes).at;
	if (w->format == KERNEL_FP8)
		d.scale = parity_input(p, "scales", w->scale, 4 * blocks).at;
	return d;
}

/* ---- comparing ---- */

double parity_error(const float *got, const double *truth, size_t n)
{
	double squares = 0, most = 0;
	for (size_t i = 0; i < n; i++) {
		double error = fabs((double)got[i] - truth[i]);
		squares += truth[i] * truth[i];
		if (!(error <= most)) /* a NaN stays */
			most = error;
		if (isnan(most))
			return most;
	}
	double mean = n > 0 ? sqrt(squares / (double)n) : 0;
	return most / (mean > 0 ? mean : 1);
}

void parity_expect(struct parity *p, double error, double bound, const char *what, ...)
{
	char after[80];
	va_list args;
	snprintf(after, sizeof after, ": error %.3g, at most %.3g", error, bound);
	va_start(args, what);
	verdict(p, error <= bound, what, args, after);
	va_end(args);
}

void parity_equal(struct parity *p, const void *got, const void *want, size_t bytes, const char *what, ...)
{
	char after[100] = "";
	const unsigned char *a = got, *b = want;
	size_t i = 0;
	va_list args;
	while (i < bytes && a[i] == b[i])
		i++;
	if (i < bytes)
		snprintf(after, sizeof after, ": of %zu bytes byte %zu differs: %02x, expected %02x", bytes,
			 i, a[i], b[i]);
	va_start(args, what);
	verdict(p, i == bytes, what, args, after);
	va_end(args);
}
