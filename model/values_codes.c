/* Values that are stored in codes, by the names of the formats (codes.c) and some more that no plan
 * needs. What a config does not say the shapes of the tensors do: [rows, columns], the bits of a
 * code and the blocks that share a scale. Of stacks of matrices, [matrices, rows, columns], each
 * has its own part of what lies beside the codes, or all share it. */
#include "model/values_in.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCALES (CODES_ANY_FLOAT | CODES_TYPE(F8_E8M0))
#define BLOCK_NUMBERS 16 /* bytes of 32 codes of gpt-oss */

/* clang-format off */
static const struct code_rule more[] = {
	{ QUANT_NONE, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale_inv", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "scale_weight", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "scale", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E5M2, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale_inv", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E5M2, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "weight_scale", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_F8_E5M2, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "scale_weight", SCALES, true } } },
	{ QUANT_NONE, "weight", MODEL_I8, CODE_BYTES, false, 8,
	  { [PART_SCALE] = { "scale", SCALES, true } } },
	{ QUANT_NONE, "weight_packed", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "weight_scale", CODES_TYPE(U8) | CODES_TYPE(F8_E8M0), true } } },
	/* stacks, which are named without ".weight" */
	{ QUANT_NONE, "", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "_scale_inv", SCALES, true } } },
	{ QUANT_NONE, "", MODEL_F8_E4M3, CODE_FLOATS, true, 8,
	  { [PART_SCALE] = { "_scale", SCALES, true } } },
	{ QUANT_NONE, "", MODEL_I8, CODE_BYTES, false, 8,
	  { [PART_SCALE] = { "_scale", SCALES, true } } },
	{ QUANT_NONE, "_blocks", MODEL_U8, CODE_E2M1, true, 4,
	  { [PART_SCALE] = { "_scales", CODES_TYPE(U8), true } } },
};
/* clang-format on */

static const struct code_rule *rule_at(size_t i)
{
	size_t first = 0;
	while (i >= first && model_codes_at(first))
		first++;
	return i < first                                ? model_codes_at(i)
	       : i - first < sizeof more / sizeof *more ? &more[i - first]
							: NULL;
}

/* Codes at work: the tensors as found, and as they are of the first matrix. */
struct decoding {
	struct model_values *v;
	const struct code_rule *rule;
	struct codes_place at;
	struct model_quant own; /* what the shapes say, where no config does */
	struct model_codes found;
	struct model_tensor codes, beside[CODING_PARTS];
	struct model_codes one;
	uint64_t matrices;
	bool stacked, each[CODING_PARTS];
	uint32_t rows, columns;
	unsigned bits;
};

/* ---- one matrix of a stack ---- */

/* blocks: [matrices, rows, groups, 16] is [matrices, rows, bytes]. */
static bool codes_flatten(struct decoding *d)
{
	struct model_tensor *t = &d->codes;
	*t = *d->found.codes;
	if (strcmp(d->rule->suffix, "_blocks") == 0) {
		if (t->rank != 4 || t->shape[3] != BLOCK_NUMBERS)
			return false;
		t->shape[2] *= BLOCK_NUMBERS;
		t->rank = 3;
	}
	d->stacked = t->rank == 3;
	d->matrices = d->stacked ? t->shape[0] : 1;
	return (t->rank == 2 || d->stacked) && d->matrices > 0;
}

static struct model_tensor first_of(const struct model_tensor *t, uint64_t matrices)
{
	struct model_tensor one = *t;
	one.rank--;
	memmove(one.shape, one.shape + 1, (size_t)one.rank * sizeof one.shape[0]);
	one.bytes /= matrices;
	return one;
}

static bool first_take(struct decoding *d)
{
	if (!codes_flatten(d))
		return false;
	if (d->stacked)
		d->codes = first_of(&d->codes, d->matrices);
	d->one.codes = &d->codes;
	for (int p = 0; p < CODING_PARTS; p++) {
		const struct model_tensor *t = d->found.beside[p];
		if (!t)
			continue;
		d->each[p] = d->stacked && t->rank > 0 && t->shape[0] == d->matrices;
		d->beside[p] = d->each[p] ? first_of(t, d->matrices) : *t;
		d->one.beside[p] = &d->beside[p];
	}
	return true;
}

/* ---- shapes ---- */

/* The whole of a small tensor; malloc'ed. */
static int small_read(struct decoding *d, enum coding_part p, struct coding_bytes *out,
		      struct err *e)
{
	const struct model_tensor *t = d->one.beside[p];
	if (t->bytes > MIB(1))
		return err_set(e, ERR_INPUT, "%s: tensor %s has %llu bytes", t->file, t->name,
			       (unsigned long long)t->bytes);
	unsigned char *bytes = calloc((size_t)t->bytes + 1, 1);
	*out = (struct coding_bytes){ t, bytes };
	if (!bytes)
		return err_set(e, ERR_NOMEM, "tensor %s", t->name);
	return source_read(d->v->tensors->source, t->file, t->begin, bytes, (size_t)t->bytes, e);
}

/* What weight_shape says; model_coding_open checks that it is so. */
static uint64_t told_columns(struct decoding *d, struct err *e)
{
	struct coding_bytes p = { NULL, NULL };
	int64_t wide[2] = { 0, 0 };
	int32_t narrow[2] = { 0, 0 };
	const struct model_tensor *t = d->one.beside[PART_SHAPE];
	bool is_wide = t->dtype == MODEL_I64;
	if (t->bytes == (is_wide ? sizeof wide : sizeof narrow) &&
	    small_read(d, PART_SHAPE, &p, e) == 0) {
		memcpy(is_wide ? (void *)wide : (void *)narrow, p.bytes, (size_t)t->bytes);
		wide[1] = is_wide ? wide[1] : narrow[1];
	}
	free((void *)(uintptr_t)p.bytes);
	return wide[1] > 0 ? (uint64_t)wide[1] : 0;
}

static bool table_shape(struct decoding *d, uint64_t *rows, uint64_t *columns, struct err *e)
{
	struct coding_bytes p = { NULL, NULL };
	uint32_t r = 0, c = 0;
	int rc = small_read(d, PART_STATE, &p, e);
	if (rc == 0)
		rc = model_coding_table_shape(&p, &r, &c, e);
	free((void *)(uintptr_t)p.bytes);
	*rows = r;
	*columns = c;
	return rc == 0;
}

/* Bits of codes of which `words` words hold n, and no more if any do; 0: none do. */
static unsigned bits_of(uint64_t n, uint64_t words)
{
	unsigned found = 0;
	for (unsigned bits = 8; bits >= 2; bits /= 2) {
		if (n * bits == words * 32)
			return bits;
		if ((n * bits + 31) / 32 == words)
			found = bits;
	}
	return found;
}

static bool shape_find(struct decoding *d, struct err *e)
{
	const struct model_tensor *t = &d->codes, *zero = d->one.beside[PART_ZERO];
	uint64_t rows = t->shape[0], columns = t->shape[1];
	d->bits = d->rule->bits ? d->rule->bits : 8;
	switch (d->rule->form) {
	case CODE_FIELDS:
		columns = told_columns(d, e);
		d->bits = columns <= UINT32_MAX ? bits_of(columns, t->shape[1]) : 0;
		break;
	case CODE_E2M1:
		columns *= 2;
		break;
	case CODE_TABLE:
		if (!table_shape(d, &rows, &columns, e))
			return false;
		break;
	case CODE_GPTQ:
		rows = t->shape[1];
		d->bits = zero->rank == 2 && rows <= UINT32_MAX ? bits_of(rows, zero->shape[1]) : 0;
		columns = d->bits ? t->shape[0] * 32 / d->bits : 0;
		break;
	case CODE_AWQ:
		rows = t->shape[1] * 8;
		columns = t->shape[0];
		break;
	default:
		break;
	}
	d->rows = (uint32_t)rows;
	d->columns = (uint32_t)columns;
	return d->bits > 0 && rows > 0 && columns > 0 && rows <= UINT32_MAX &&
	       columns <= UINT32_MAX;
}

/* The size of blocks of which k cover n: a power of two, else all alike; 0 where none is. */
static uint32_t block_of(uint64_t n, uint64_t k)
{
	if (k == 1)
		return (uint32_t)n;
	for (uint32_t size = 8; k > 0 && size <= 1u << 20; size *= 2)
		if ((n + size - 1) / size == k)
			return size;
	return k > 0 && n % k == 0 ? (uint32_t)(n / k) : 0;
}

/* As the shape of the scales has it; zero points and order are there if their tensors are. */
static bool group_guess(const struct decoding *d, struct model_quant *q)
{
	const struct model_tensor *s = d->one.beside[PART_SCALE];
	bool turned = d->rule->form == CODE_GPTQ || d->rule->form == CODE_AWQ;
	uint64_t down = s->rank > 0 ? s->shape[0] : 1, across = s->rank > 1 ? s->shape[1] : 1;
	struct model_quant_group *g = &q->group[0];
	if (d->rule->form == CODE_TABLE)
		return true; /* of stretches of values, whatever the rows are */
	*g = (struct model_quant_group){ .is_float = d->rule->is_float,
					 .symmetric = true,
					 .bits = d->bits,
					 .block_rows = block_of(d->rows, turned ? across : down),
					 .block_columns =
						 block_of(d->columns, turned ? down : across) };
	q->groups = 1;
	return s->rank <= 2 && g->block_rows > 0 && g->block_columns > 0;
}

/* ---- a value ---- */

static void form_write(const struct decoding *d, char *out, size_t room)
{
	const struct model_tensor *scale = d->one.beside[PART_SCALE];
	const char *end =
		strrchr(d->rule->part[PART_STATE].suffix ? d->rule->part[PART_STATE].suffix : "",
			'_');
	switch (d->rule->form) {
	case CODE_FIELDS:
		snprintf(out, room, "packed integers of %u bits", d->bits);
		break;
	case CODE_E2M1:
		snprintf(out, room, "%s", scale->dtype == MODEL_F8_E4M3 ? "NVFP4" : "MXFP4");
		break;
	case CODE_TABLE:
		snprintf(out, room, "bitsandbytes %s", end ? end + 1 : "");
		break;
	case CODE_GPTQ:
	case CODE_AWQ:
		snprintf(out, room, "%s of %u bits", d->rule->form == CODE_GPTQ ? "GPTQ" : "AWQ",
			 d->bits);
		break;
	default:
		snprintf(out, room, "%s with scales", model_dtype_name(d->rule->type));
		break;
	}
}

static int name_set(struct decoding *d, struct value_item *it, struct err *e)
{
	const char *suffix = d->rule->suffix;
	bool plain = *suffix == '\0' || *suffix == '_';
	size_t stem = (size_t)d->at.stem, n = plain ? 0 : strlen("weight");
	char *name = arena_alloc(&d->v->arena, stem + n + 1);
	if (!name)
		return err_set(e, ERR_NOMEM, "list of values");
	memcpy(name, d->at.name, stem);
	memcpy(name + stem, "weight", n);
	it->value.name = name;
	return 0;
}

static void item_set(struct decoding *d, struct value_item *it)
{
	struct model_value *w = &it->value;
	it->coded = true;
	it->coding = d->one.coding;
	it->matrices = d->matrices;
	it->turned = strcmp(d->rule->suffix, "_blocks") == 0;
	it->stored[0] = d->found.codes;
	w->parts = 1;
	for (int p = 0; p < CODING_PARTS; p++) {
		it->beside[p] = d->found.beside[p];
		it->each[p] = d->each[p];
		if (it->beside[p])
			it->stored[w->parts++] = it->beside[p];
	}
	if (d->stacked)
		w->shape[w->rank++] = d->matrices;
	w->shape[w->rank++] = it->turned ? d->columns : d->rows;
	w->shape[w->rank++] = it->turned ? d->rows : d->columns;
	w->floats = true;
	form_write(d, w->form, sizeof w->form);
}

/* 1, 0 as model_values_codes, by one rule. */
static int rule_try(struct decoding *d, const struct model_quant *quant, struct value_item *it,
		    struct err *why)
{
	d->own = (struct model_quant){ .method = d->rule->method, .zero_less_one = true };
	if (quant->method == QUANT_GPTQ)
		d->own.zero_less_one = quant->zero_less_one;
	if (!model_codes_whole(&d->at, d->rule) ||
	    model_codes_parts(&d->at, d->rule, &d->found) < 0 || !first_take(d) ||
	    !shape_find(d, why))
		return 0;
	d->at.quant = quant;
	bool told = quant->method == d->rule->method && quant->groups > 0 &&
		    model_codes_set(&d->at, d->rule, d->rows, d->columns, &d->one) == 0;
	d->at.quant = &d->own;
	if (!told && (!group_guess(d, &d->own) ||
		      model_codes_set(&d->at, d->rule, d->rows, d->columns, &d->one) < 0))
		return 0;
	TRY(name_set(d, it, why));
	item_set(d, it);
	return 1;
}

int model_values_codes(struct model_values *v, const struct model_quant *quant,
		       const struct model_tensor *t, struct value_item *it, struct err *why)
{
	const struct code_rule *rule;
	*it = (struct value_item){ 0 };
	for (size_t i = 0; (rule = rule_at(i)) != NULL; i++) {
		size_t n = strlen(t->name), end = strlen(rule->suffix);
		bool after_dot = *rule->suffix == '\0' || *rule->suffix == '_' || n == end ||
				 (n > end && t->name[n - end - 1] == '.');
		if (t->dtype != rule->type || !text_ends(t->name, rule->suffix) || !after_dot)
			continue;
		struct decoding d = { .v = v,
				      .rule = rule,
				      .at = { .tensors = v->tensors,
					      .quant = quant,
					      .name = t->name,
					      .stem = (int)(n - end),
					      .e = why },
				      .found = { .codes = t } };
		int rc = rule_try(&d, quant, it, why);
		if (rc != 0)
			return rc;
	}
	return 0;
}
