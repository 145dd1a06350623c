/* The forms that there are, and the table of which one is chosen. */
#include "kernels/choice.h"
#include "kernels/device_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NARROW PRODUCT_FORM_NARROW
#define LARGE PRODUCT_FORM_LARGE
#define HEAD_LINES 4
#define FILE_NAME "libhallmark_cuda.choice"
#define FILE_BYTES (64u << 10) /* of a file: as many lines as there may be */

static const struct {
	const char *name;
	struct product_form form;
} products[] = {
	{ "auto", { 0 } },
	{ "narrow", { .kind = NARROW } },
	{ "narrow-one", { .kind = NARROW, .blocks = 1 } },
	{ "large-16", { .kind = LARGE, .rows = 16, .stages = 4 } },
	{ "large-32", { .kind = LARGE, .rows = 32, .stages = 3 } },
	{ "large-32-deep", { .kind = LARGE, .rows = 32, .stages = 4 } },
	{ "large-64-flat", { .kind = LARGE, .rows = 64, .stages = 2 } },
	{ "large-64", { .kind = LARGE, .rows = 64, .stages = 3 } },
	{ "cublas", { .kind = PRODUCT_FORM_CUBLAS } },
};

static const struct {
	const char *name;
	struct attend_form form;
} attends[] = {
	{ "auto", { 0 } },
	{ "queries-8", { .queries = 8 } },
	{ "queries-16", { .queries = 16 } },
	{ "stages-2", { .stages = 2 } },
	{ "stages-3", { .stages = 3 } },
	{ "alone", { .alone = 1 } },
	{ "cut-1", { .cut = 1 } },
	{ "cut-16", { .cut = 16 } },
};

/* By reasoning, until it is measured: experts of a pass have few rows each, so their weights are
 * what takes the time, up to about 16 rows. What has many is limited by matrix units. From which
 * rows on cuBLAS pays: docs/scaling.md. */
static const struct device_choice_line built_in[] = {
	{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 1, 16 },
	{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 5, 32 },
	{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 7, UINT32_MAX },
	{ DEVICE_product, KERNEL_FP8, DEVICE_EXPERTS, 1, 16 },
	{ DEVICE_product, KERNEL_FP8, DEVICE_EXPERTS, 5, 32 },
	{ DEVICE_product, KERNEL_FP8, DEVICE_EXPERTS, 7, UINT32_MAX },
	{ DEVICE_product, KERNEL_Q8, DEVICE_EXPERTS, 1, 16 },
	{ DEVICE_product, KERNEL_Q4, DEVICE_EXPERTS, 1, 16 },
	{ DEVICE_product, KERNEL_MXFP4, DEVICE_EXPERTS, 1, 16 },
	{ DEVICE_product, KERNEL_BF16, DEVICE_FAST, 0, 512 },
	{ DEVICE_product, KERNEL_BF16, DEVICE_FAST, 8, UINT32_MAX },
	{ DEVICE_product, KERNEL_FP8, DEVICE_FAST, 0, 512 },
	{ DEVICE_product, KERNEL_FP8, DEVICE_FAST, 8, UINT32_MAX },
	{ DEVICE_product, KERNEL_Q8, DEVICE_FAST, 0, 512 },
	{ DEVICE_product, KERNEL_Q8, DEVICE_FAST, 8, UINT32_MAX },
	{ DEVICE_product, KERNEL_Q4, DEVICE_FAST, 0, 512 },
	{ DEVICE_product, KERNEL_Q4, DEVICE_FAST, 8, UINT32_MAX },
	{ DEVICE_product, KERNEL_MXFP4, DEVICE_FAST, 0, 512 },
	{ DEVICE_product, KERNEL_MXFP4, DEVICE_FAST, 8, UINT32_MAX },
};

static const char *const classes[DEVICE_CLASSES] = { "experts", "dense", "heads", "latent",
						     "fast" };
static const char *const caches[] = { [KERNEL_CACHE_F32] = "f32", [KERNEL_CACHE_BF16] = "bf16" };

/* ---- forms ---- */

uint32_t device_forms(enum device_operation o)
{
	return o == DEVICE_product  ? sizeof products / sizeof *products
	       : o == DEVICE_attend ? sizeof attends / sizeof *attends
				    : 0;
}

const char *device_form_name(enum device_operation o, uint32_t form)
{
	if (form >= device_forms(o))
		return NULL;
	return o == DEVICE_product ? products[form].name : attends[form].name;
}

struct product_form device_product_form(uint32_t form)
{
	return products[form < device_forms(DEVICE_product) ? form : 0].form;
}

struct attend_form device_attend_form(uint32_t form)
{
	return attends[form < device_forms(DEVICE_attend) ? form : 0].form;
}

uint64_t device_forms_digest(void)
{
	static const enum device_operation both[] = { DEVICE_product, DEVICE_attend };
	uint64_t digest = 14695981039346656037u; /* FNV-1a */
	for (size_t i = 0; i < 2; i++) {
		for (uint32_t f = 0; f < device_forms(both[i]); f++) {
			for (const char *c = device_form_name(both[i], f);; c++) {
				digest = (digest ^ (unsigned char)*c) * 1099511628211u;
				if (!*c)
					break;
			}
		}
	}
	return digest;
}

/* ---- tables ---- */

void device_choice_built_in(uint32_t capability, struct device_choice *out)
{
	out->lines = 0;
	snprintf(out->said, sizeof out->said, "built in");
	if (capability < 90) /* less shared memory: as the library thinks best */
		return;
	out->lines = sizeof built_in / sizeof *built_in;
	memcpy(out->line, built_in, sizeof built_in);
}

static const char *format_name(const struct device_choice_line *line)
{
	return line->operation == DEVICE_attend
		       ? caches[line->format]
		       : kernel_format_name((enum kernel_format)line->format);
}

int device_choice_head(char *out, size_t room, const struct device_facts *facts)
{
	return snprintf(out, room,
			"hallmark cuda choice 1\ndevice %s\ncapability %u\nlibrary %d %016llx\n",
			facts->name, facts->capability, DEVICE_TABLE_VERSION,
			(unsigned long long)device_forms_digest());
}

int device_choice_write(char *out, size_t room, const struct device_choice_line *line)
{
	return snprintf(out, room, "%s %s %s %u %s\n",
			line->operation == DEVICE_product ? "product" : "attend", format_name(line),
			classes[line->shapes], line->rows,
			device_form_name((enum device_operation)line->operation, line->form));
}

/* The number of a word in a list of them; -1: it is not there. */
static int number_of(const char *word, uint32_t count, const char *(*name)(uint32_t i))
{
	for (uint32_t i = 0; i < count; i++) {
		const char *n = name(i);
		if (n && strcmp(word, n) == 0)
			return (int)i;
	}
	return -1;
}

static const char *class_name(uint32_t i) { return classes[i]; }
static const char *cache_name(uint32_t i) { return caches[i]; }
static const char *weights_name(uint32_t i) { return kernel_format_name((enum kernel_format)i); }
static const char *product_name(uint32_t i) { return device_form_name(DEVICE_product, i); }
static const char *attend_name(uint32_t i) { return device_form_name(DEVICE_attend, i); }

static bool line_parse(const char *text, struct device_choice_line *out)
{
	char operation[16], format[16], shapes[16], form[32];
	unsigned rows;
	if (sscanf(text, "%15s %15s %15s %u %31s", operation, format, shapes, &rows, form) != 5)
		return false;
	bool attend = strcmp(operation, "attend") == 0;
	if (!attend && strcmp(operation, "product") != 0)
		return false;
	int f = attend ? number_of(format, sizeof caches / sizeof *caches, cache_name)
		       : number_of(format, KERNEL_FORMATS, weights_name);
	int s = number_of(shapes, DEVICE_CLASSES, class_name);
	int n = attend ? number_of(form, device_forms(DEVICE_attend), attend_name)
		       : number_of(form, device_forms(DEVICE_product), product_name);
	if (!attend && n > 0 &&
	    (products[n].form.kind == PRODUCT_FORM_CUBLAS) != (s == DEVICE_FAST))
		return false;
	*out = (struct device_choice_line){ attend ? DEVICE_attend : DEVICE_product, (uint8_t)f,
					    (uint8_t)s, (uint8_t)n, rows };
	return f >= 0 && s >= 0 && n >= 0;
}

/* The file's head must be, byte for byte, the one that this device and library would write. */
static int head_check(const char *text, const struct device_facts *facts, size_t *len,
		      struct err *e)
{
	char head[400];
	*len = (size_t)device_choice_head(head, sizeof head, facts);
	if (*len < sizeof head && strncmp(text, head, *len) == 0)
		return 0;
	static const char *const what[HEAD_LINES] = { "is no table of choices of this version",
						      "is of another device",
						      "is of another compute capability",
						      "is of another library" };
	const char *want = head;
	for (int i = 0; i < HEAD_LINES; i++) {
		size_t n = strcspn(want, "\n"), has = strcspn(text, "\n");
		if (n != has || strncmp(want, text, n) != 0)
			return err_set(e, i == 0 ? ERR_INPUT : ERR_UNSUPPORTED,
				       "%s: \"%.*s\", not \"%.*s\"", what[i],
				       (int)(has < 80 ? has : 80), text, (int)n, want);
		want += n + 1;
		text += text[has] ? has + 1 : has;
	}
	return err_set(e, ERR_INPUT, "ends within its head");
}

int device_choice_parse(const char *text, const struct device_facts *facts,
			struct device_choice *out, struct err *e)
{
	size_t len;
	uint32_t number = HEAD_LINES, lines = 0;
	TRY(head_check(text, facts, &len, e));
	struct device_choice_line *line = malloc(sizeof out->line);
	if (!line)
		return err_set(e, ERR_NOMEM, "table of choices");
	for (text += len; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		char copy[120];
		number++;
		snprintf(copy, sizeof copy, "%.*s", (int)strcspn(text, "\n"), text);
		if (copy[strspn(copy, " \t\r")] == '\0' || *copy == '#')
			continue;
		if (lines == DEVICE_CHOICES || !line_parse(copy, &line[lines])) {
			free(line);
			return err_set(e, ERR_INPUT, "line %u: \"%.60s\" is no choice", number,
				       copy);
		}
		lines++;
	}
	memcpy(out->line, line, lines * sizeof *line);
	out->lines = lines;
	free(line);
	return 0;
}

/* HALLMARK_CUDA_CHOICE, or the file beside the library; false: there is none. */
static bool file_find(const char *library, char *path, size_t room)
{
	const char *named = getenv("HALLMARK_CUDA_CHOICE");
	if (named && *named)
		return (size_t)snprintf(path, room, "%s", named) < room;
	const char *slash = strrchr(library, '/');
	int folder = slash ? (int)(slash - library) + 1 : 0;
	return (size_t)snprintf(path, room, "%.*s" FILE_NAME, folder, library) < room &&
	       access(path, R_OK) == 0;
}

static int file_read(const char *path, char *text, struct err *e)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return err_errno(e, "cannot be read");
	size_t len = fread(text, 1, FILE_BYTES, f);
	bool wrong = ferror(f) != 0;
	(void)fclose(f);
	if (wrong || len == FILE_BYTES)
		return err_set(e, wrong ? ERR_IO : ERR_INPUT,
			       wrong ? "cannot be read" : "is too long");
	text[len] = '\0';
	return 0;
}

void device_choice_open(const char *library, const struct device_facts *facts,
			struct device_choice *out)
{
	char path[4096];
	struct err e = { 0 };
	device_choice_built_in(facts->capability, out);
	if (!file_find(library, path, sizeof path))
		return;
	char *text = malloc(FILE_BYTES);
	int rc = text ? file_read(path, text, &e) : err_set(&e, ERR_NOMEM, "no memory for it");
	if (rc == 0)
		rc = device_choice_parse(text, facts, out, &e);
	free(text);
	if (rc == 0)
		snprintf(out->said, sizeof out->said, "%.250s", path);
	else
		snprintf(out->said, sizeof out->said, "built in: %.90s %.190s", path, e.text);
}

uint32_t device_choice_find(const struct device_choice *c, enum device_operation o, uint8_t format,
			    enum device_class shapes, uint32_t rows)
{
	const struct device_choice_line *best = NULL;
	for (uint32_t i = 0; i < c->lines; i++) {
		const struct device_choice_line *l = &c->line[i];
		if (l->operation != o || l->format != format || l->shapes != shapes ||
		    l->rows < rows)
			continue;
		best = !best || l->rows < best->rows ? l : best;
	}
	return best ? best->form : 0;
}

bool device_choice_cublas(const struct device_choice *c, enum kernel_format format, uint32_t rows)
{
	bool any = false;
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		uint32_t form =
			device_choice_find(c, DEVICE_product, (uint8_t)f, DEVICE_FAST, rows);
		if (format == KERNEL_FORMATS || (int)format == f)
			any |= products[form].form.kind == PRODUCT_FORM_CUBLAS;
	}
	return any;
}
