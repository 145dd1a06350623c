/* Packed weights: memory, and values back out. The layout is in matrix.h and layout.h. */
#include "kernels/matrix.h"
#include "kernels/layout.h"
#include "kernels/number.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t blocks(uint32_t n) { return ((size_t)n + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK; }

static size_t panels_bytes(const struct kernel_matrix *w)
{
	return kernel_panels(w) * w->panel_bytes;
}

/* Large matrices are mapped, so that the system gives pages as they are packed, and huge pages if
 * it has them; small ones come from the heap. */
static bool is_mapped(size_t bytes) { return bytes >= 2 * HUGE_PAGE; }

static size_t mapped_bytes(size_t bytes)
{
	return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

static void *map_aligned(size_t bytes)
{
	size_t len = mapped_bytes(bytes);
	unsigned char *at = mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	size_t before = (HUGE_PAGE - (uintptr_t)at % HUGE_PAGE) % HUGE_PAGE;
	if (before > 0)
		munmap(at, before);
	if (before < HUGE_PAGE)
		munmap(at + before + len, HUGE_PAGE - before);
	(void)madvise(at + before, len, MADV_HUGEPAGE); /* a hint: speed only */
	return at + before;
}

static void *panels_alloc(size_t bytes)
{
	if (is_mapped(bytes))
		return map_aligned(bytes);
	size_t room = (bytes + 63) / 64 * 64 + (bytes == 0 ? 64 : 0);
	void *at = aligned_alloc(64, room);
	if (at != NULL)
		memset(at, 0, room);
	return at;
}

/* Every field of w but its panels; allocates scales where the format has them. */
static int shape_set(struct kernel_matrix *w, enum kernel_format format, uint32_t rows,
		     uint32_t columns, struct err *e)
{
	*w = (struct kernel_matrix){ .format = format, .rows = rows, .columns = columns };
	w->panel_bytes = layout_panel_bytes(format, columns);
	if (format != KERNEL_FP8)
		return 0;
	w->scale = calloc(blocks(rows) * blocks(columns) + 1, sizeof *w->scale);
	return w->scale != NULL ? 0 : err_set(e, ERR_NOMEM, "scales of weights");
}

int kernel_matrix_alloc(struct kernel_matrix *w, enum kernel_format format, uint32_t rows,
			uint32_t columns, struct err *e)
{
	TRY(shape_set(w, format, rows, columns, e));
	size_t bytes = panels_bytes(w);
	w->panel = panels_alloc(bytes);
	if (w->panel == NULL) {
		kernel_matrix_free(w);
		return err_set(e, ERR_NOMEM, "weights of %zu bytes", bytes);
	}
	return 0;
}

void kernel_matrix_free(struct kernel_matrix *w)
{
	size_t bytes = panels_bytes(w);
	if (w->panel != NULL && !w->placed && is_mapped(bytes))
		munmap(w->panel, mapped_bytes(bytes));
	else if (!w->placed)
		free(w->panel);
	free(w->scale);
	*w = (struct kernel_matrix){ 0 };
}

/* ---- store ---- */

int kernel_store_open(struct kernel_store *s, uint64_t bytes, struct err *e)
{
	*s = (struct kernel_store){ .bytes = bytes > 0 ? bytes : 64 };
	s->at = map_aligned(s->bytes);
	if (s->at == NULL)
		return err_set(e, ERR_NOMEM, "weights of %llu bytes", (unsigned long long)bytes);
	return 0;
}

void kernel_store_close(struct kernel_store *s)
{
	if (s->at != NULL)
		munmap(s->at, mapped_bytes(s->bytes));
	*s = (struct kernel_store){ 0 };
}

static size_t place_bytes(size_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t kernel_store_bytes(enum kernel_format format, uint32_t rows, uint32_t columns)
{
	size_t panels = ((size_t)rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	return place_bytes(panels * layout_panel_bytes(format, columns));
}

int kernel_matrix_place(struct kernel_matrix *w, struct kernel_store *s, enum kernel_format format,
			uint32_t rows, uint32_t columns, struct err *e)
{
	TRY(shape_set(w, format, rows, columns, e));
	size_t bytes = place_bytes(panels_bytes(w));
	check(bytes <= s->bytes - s->used);
	w->panel = s->at + s->used;
	w->placed = true;
	s->used += bytes;
	return 0;
}

uint64_t kernel_format_bytes(enum kernel_format format, uint32_t rows, uint32_t columns)
{
	size_t panels = ((size_t)rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	size_t scales = format == KERNEL_FP8 ? blocks(rows) * blocks(columns) : 0;
	return (uint64_t)panels * layout_panel_bytes(format, columns) + 4 * scales;
}

uint64_t kernel_matrix_bytes(const struct kernel_matrix *w)
{
	return kernel_format_bytes(w->format, w->rows, w->columns);
}

/* Where value (row, k) of the simple formats lies. */
static unsigned char *place(const struct kernel_matrix *w, uint32_t row, uint32_t k)
{
	unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
	size_t lane = row % KERNEL_PANEL;
	if (w->format == KERNEL_BF16)
		return p + (k / 2) * (size_t)64 + 4 * lane + 2 * (k % 2);
	if (w->format == KERNEL_FP8)
		return p + layout_fp8(lane, k);
	return p + (k * (size_t)KERNEL_PANEL + lane) * (w->format == KERNEL_F32 ? 4 : 2);
}

const char *kernel_format_name(enum kernel_format f)
{
	static const char *const names[KERNEL_FORMATS] = { "f32", "bf16", "fp8",  "f16",
							   "q8",  "q4",   "mxfp4" };
	return names[f];
}

/* Both halves of a lane's words. */
static void bf16_row(const struct kernel_matrix *w, uint32_t row, float *out)
{
	const unsigned char *p = place(w, row, 0);
	for (uint32_t k = 0; k < w->columns; k++) {
		uint16_t half;
		memcpy(&half, p + k / 2 * (size_t)64 + 2 * (k % 2), 2);
		out[k] = number_from_bf16(half);
	}
}

void kernel_matrix_row(const struct kernel_matrix *w, uint32_t row, float *out)
{
	if (w->format == KERNEL_BF16) {
		bf16_row(w, row, out);
		return;
	}
	for (uint32_t k = 0; k < w->columns; k++)
		out[k] = kernel_matrix_at(w, row, k);
}

static float f16_at(const unsigned char *p)
{
	uint16_t half;
	memcpy(&half, p, 2);
	return number_from_f16(half);
}

static float grouped_at(const struct kernel_matrix *w, uint32_t row, uint32_t k)
{
	const unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
	size_t lane = row % KERNEL_PANEL;
	if (w->format == KERNEL_Q8)
		return (float)(p[layout_q8(lane, k)] - 128) * f16_at(p + layout_q8_scale(lane, k));
	if (w->format == KERNEL_Q4)
		return (float)((p[layout_q4(lane, k)] >> layout_shift(k) & 15) - 8) *
		       f16_at(p + layout_q4_scale(lane, k));
	uint8_t code = (uint8_t)(p[layout_nibble(lane, k)] >> layout_shift(k) & 15);
	return number_from_e2m1(code) *
	       number_from_e8m0(p[layout_mxfp4_scale(w->columns, lane, k)]);
}

float kernel_matrix_at(const struct kernel_matrix *w, uint32_t row, uint32_t column)
{
	float f;
	uint16_t half;
	if (w->format == KERNEL_Q8 || w->format == KERNEL_Q4 || w->format == KERNEL_MXFP4)
		return grouped_at(w, row, column);
	const unsigned char *p = place(w, row, column);
	if (w->format == KERNEL_F32) {
		memcpy(&f, p, 4);
		return f;
	}
	if (w->format == KERNEL_F16)
		return f16_at(p);
	if (w->format == KERNEL_BF16) {
		memcpy(&half, p, 2);
		return number_from_bf16(half);
	}
	return number_from_e4m3(*p) * w->scale[row / KERNEL_FP8_BLOCK * blocks(w->columns) +
					       column / KERNEL_FP8_BLOCK];
}
