/* Names and shapes of tensors, and a config: whatever they say, every unit vector of every block lies inside
 * its tensor, and every layer that a block names is one of the model. Input: lines. The first is config.json;
 * each other one is a tensor: its name, a space and its shape. */
#include "base/check.h"
#include "base/text.h"
#include "forks/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENSORS 400
#define VALUES (1u << 16) /* of one tensor: larger ones take too long here */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct file {
	struct source source;
	struct buf head;
	uint64_t bytes;
};

static int file_bytes(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	struct file *f = (struct file *)s;

	*bytes = f->head.len + f->bytes;
	return strcmp(name, "model.safetensors") == 0 ? 0 : err_set(e, ERR_NOTFOUND, "%s", name);
}

/* Data are the same few numbers over and over: heads may be equal. */
static int file_at(struct source *s, const char *name, uint64_t at, void *out, size_t len, struct err *e)
{
	struct file *f = (struct file *)s;
	uint8_t *to = out;

	if (strcmp(name, "model.safetensors") != 0 || at > f->head.len + f->bytes ||
	    len > f->head.len + f->bytes - at)
		return err_set(e, ERR_IO, "%s", name);
	for (size_t i = 0; i < len; i++)
		to[i] = at + i < f->head.len ? (uint8_t)f->head.bytes[at + i] : (uint8_t)((at + i) % 4 * 16);
	return 0;
}

static const char *file_name(struct source *s, size_t i)
{
	(void)s;
	return i == 0 ? "model.safetensors" : NULL;
}

static void file_close(struct source *s) { (void)s; }

static const struct source_ops ops = { .size = file_bytes, .read = file_at, .name = file_name,
				       .close = file_close };

/* The header of a file of the tensors that the lines name. */
static bool head_of(struct file *f, char *lines)
{
	struct buf json = { 0 };
	unsigned n = 0;

	buf_add_byte(&json, '{');
	for (char *line = strtok(lines, "\n"); line && n < TENSORS; line = strtok(NULL, "\n")) {
		char *at = strchr(line, ' ');
		uint64_t count = 1, shape[9];
		int rank = 0;

		while (at && rank < 8) {
			*at++ = '\0';
			shape[rank] = strtoull(at, &at, 10);
			if (shape[rank] > VALUES)
				break;
			count *= shape[rank++];
			if (count > VALUES)
				break;
			at = *at == ' ' ? at : NULL;
		}
		if (rank == 0 || at || count > VALUES)
			continue;
		buf_add_text(&json, n++ ? "," : "");
		text_json_string(&json, line, strlen(line));
		buf_printf(&json, ":{\"dtype\":\"F32\",\"shape\":[");
		for (int i = 0; i < rank; i++)
			buf_printf(&json, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
		buf_printf(&json, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)f->bytes,
			   (unsigned long long)(f->bytes + 4 * count));
		f->bytes += 4 * count;
	}
	buf_add_byte(&json, '}');
	buf_add_u64le(&f->head, json.len);
	buf_add_buf(&f->head, &json);
	buf_free(&json);
	return n > 0;
}

static void check_part(const struct role_part *p, uint64_t units)
{
	uint64_t last;

	check(p->value && p->value->floats && p->width > 0 && p->folds > 0 && units > 0);
	last = p->first + (units - 1) * p->step + (p->folds - 1) * p->fold;
	if (p->by_column)
		check(last < p->value->columns && p->row + p->width <= p->value->rows);
	else
		check(last < p->value->rows && p->column + p->width <= p->value->columns);
	check(!p->gain || (p->gain->rank == 1 && p->gain->columns == p->width));
}

static void check_roles(const struct roles *r)
{
	for (size_t i = 0; i < r->blocks; i++) {
		const struct role_block *b = &r->block[i];

		check(b->parts == 2 || b->parts == 3);
		check(b->component != FORK_BODY || b->layer < r->layers);
		check(b->name && b->kind < FORK_KINDS && b->component < FORK_COMPONENTS);
		check(i == 0 || r->block[i - 1].component <= b->component);
		for (uint32_t k = 0; k < b->parts; k++)
			check_part(&b->part[k], b->units);
	}
	for (uint32_t l = 0; l < r->layers; l++) {
		if (r->layer[l].query.value)
			check_part(&r->layer[l].query, r->layer[l].queries);
		if (r->layer[l].router.value)
			check_part(&r->layer[l].router, r->layer[l].experts);
	}
	if (r->embedding.value)
		check_part(&r->embedding, r->embedding.value->rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct file f = { .source = { .ops = &ops, .label = "fuzz" } };
	char *text = malloc(len + 1), *lines;
	struct model_values *v;
	struct err e = { 0 };
	struct roles r;
	json_t *config;

	check(text);
	memcpy(text, data, len);
	text[len] = '\0';
	lines = text + strcspn(text, "\n");
	config = json_loadb(text, (size_t)(lines - text), 0, NULL);
	if (*lines && head_of(&f, lines + 1) && model_values_open(&v, &f.source, config, &e) == 0) {
		check(fork_roles_find(v, config, &r, &e) == 0);
		check_roles(&r);
		fork_roles_free(&r);
		model_values_close(v);
	}
	json_decref(config);
	buf_free(&f.head);
	free(text);
	return 0;
}
