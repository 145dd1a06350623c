/* The persisted form of a sketch. All numbers little-endian; floats as their IEEE bits; a text is a
 * u32 of its bytes and these, UTF-8 without NUL.
 *
 *   16 bytes   "hallmark sketch\n"
 *   u32        SKETCH_VERSION
 *   u8         1: tokens are told apart by their ids
 *   u64        hidden
 *   u32        tokens; each: u64 hash, ascending, u32 id
 *   u32        layers; each: u8 has a matrix; then f32 of its lower triangle, row by row
 *   u32        tensors; each: text name, u8 component, text form, u8 rank, u64 a dimension,
 *              u64 bytes, u64 hash[2], u8 1: floats 2: finite 4: constant, u64 values_bad,
 *              f64 mean_square
 *   u32        blocks; each: text name, u8 kind, u8 component, u32 layer, u32 index, u64 units,
 *              u64 hidden, u32 kept, u32 first, u32 place of those from first on, u8 unfit,
 *              u32 cluster, f64 mean_square, u8 parts; each: u32 raw_width, u32 token_width,
 *              i16 raw[kept][raw_width], f32 norm[kept], and where token_width is not 0
 *              i16 token[kept][token_width], f32 token_norm[kept]
 *   text       notes
 *   u32        1 + calibrations, 0: not calibrated; each: u8 statistic, u8 kind, u64 units,
 *              u64 hidden, u64 pairs, u64 table_pairs, f64 ks_p, f64 below_05, f64 below_005,
 *              u8 passed, u64 seed, u8 reason (enum null_reason)
 *   32 bytes   SHA-256 of all before
 *
 * A dense model of 32 layers of 11,008 units, hidden 4,096, with 8 key-value heads takes 41 MB: of
 * them 11 for the MLPs and 29 for the heads. What does not fit together is refused: lists that are
 * not in order, places that are none, vectors longer than one, bytes too many or too few. */
#include "base/digest.h"
#include "base/text.h"
#include "forks/nulls.h"
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "hallmark sketch\n"
#define MAGIC_BYTES 16
#define DIGEST_BYTES 32
#define FLOATS 1
#define FINITE 2
#define CONSTANT 4

/* ---- writing ---- */

static void put_f32(struct buf *b, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	buf_add_u32le(b, bits);
}

static void put_f64(struct buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, 8);
	buf_add_u64le(b, bits);
}

static void put_byte(struct buf *b, unsigned v) { buf_add_byte(b, (unsigned char)v); }

static void put_text(struct buf *b, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	buf_add_u32le(b, (uint32_t)len);
	buf_add(b, text ? text : "", len);
}

static void put_vectors(struct buf *b, const int16_t *v, const float *norm, uint32_t kept,
			uint32_t width)
{
	for (size_t i = 0; i < (size_t)kept * width; i++)
		buf_add_u16le(b, (uint16_t)v[i]);
	for (uint32_t i = 0; i < kept; i++)
		put_f32(b, norm[i]);
}

static void put_block(struct buf *b, const struct sketch_block *o)
{
	put_text(b, o->name);
	put_byte(b, o->kind);
	put_byte(b, o->component);
	buf_add_u32le(b, o->layer);
	buf_add_u32le(b, o->index);
	buf_add_u64le(b, o->units);
	buf_add_u64le(b, o->hidden);
	buf_add_u32le(b, o->kept);
	buf_add_u32le(b, o->first);
	for (uint32_t i = o->first; i < o->kept; i++)
		buf_add_u32le(b, o->place[i]);
	put_byte(b, o->unfit);
	buf_add_u32le(b, o->cluster);
	put_f64(b, o->mean_square);
	put_byte(b, o->parts);
	for (uint32_t k = 0; k < o->parts; k++) {
		const struct sketch_part *p = &o->part[k];

		buf_add_u32le(b, p->raw_width);
		buf_add_u32le(b, p->token_width);
		put_vectors(b, p->raw, p->norm, o->kept, p->raw_width);
		if (p->token_width)
			put_vectors(b, p->token, p->token_norm, o->kept, p->token_width);
	}
}

static void put_tensor(struct buf *b, const struct sketch_tensor *t)
{
	put_text(b, t->name);
	put_byte(b, t->component);
	put_text(b, t->form);
	put_byte(b, (unsigned)t->rank);
	for (int i = 0; i < t->rank; i++)
		buf_add_u64le(b, t->shape[i]);
	buf_add_u64le(b, t->bytes);
	buf_add_u64le(b, t->hash[0]);
	buf_add_u64le(b, t->hash[1]);
	put_byte(b, (t->floats ? FLOATS : 0u) | (t->finite ? FINITE : 0u) |
			    (t->constant ? CONSTANT : 0u));
	buf_add_u64le(b, t->values_bad);
	put_f64(b, t->mean_square);
}

static void put_layers(struct buf *b, const struct fork_sketch *s)
{
	buf_add_u32le(b, s->layers);
	for (uint32_t l = 0; l < s->layers; l++) {
		const float *gram = s->layer ? s->layer[l].tokens : NULL;

		put_byte(b, gram != NULL);
		for (uint32_t i = 0; gram && i < s->tokens; i++)
			for (uint32_t k = 0; k <= i; k++)
				put_f32(b, gram[(size_t)i * s->tokens + k]);
	}
}

static unsigned reason_number(const char *reason)
{
	for (unsigned i = 0; reason && i < NULL_REASONS; i++)
		if (fork_null_reason(i) && strcmp(fork_null_reason(i), reason) == 0)
			return i;
	return NULL_PASSED;
}

static void put_calibrations(struct buf *b, const struct fork_calibrations *c)
{
	buf_add_u32le(b, c ? (uint32_t)c->count + 1 : 0);
	for (size_t i = 0; c && i < c->count; i++) {
		const struct fork_calibration *o = &c->at[i];

		put_byte(b, o->statistic);
		put_byte(b, o->kind);
		buf_add_u64le(b, o->units);
		buf_add_u64le(b, o->hidden);
		buf_add_u64le(b, o->pairs);
		buf_add_u64le(b, o->table_pairs);
		put_f64(b, o->ks_p);
		put_f64(b, o->below_05);
		put_f64(b, o->below_005);
		put_byte(b, o->passed);
		buf_add_u64le(b, o->seed);
		put_byte(b, reason_number(o->reason));
	}
}

int fork_sketch_write(const struct fork_sketch *s, struct buf *out, struct err *e)
{
	size_t begin = out->len;
	struct digest d;

	buf_add(out, MAGIC, MAGIC_BYTES);
	buf_add_u32le(out, SKETCH_VERSION);
	put_byte(out, s->tokens_by_id);
	buf_add_u64le(out, s->hidden);
	buf_add_u32le(out, s->tokens);
	for (uint32_t i = 0; i < s->tokens; i++) {
		buf_add_u64le(out, s->token[i]);
		buf_add_u32le(out, s->token_id[i]);
	}
	put_layers(out, s);
	buf_add_u32le(out, (uint32_t)s->tensors);
	for (size_t i = 0; i < s->tensors; i++)
		put_tensor(out, &s->tensor[i]);
	buf_add_u32le(out, (uint32_t)s->blocks);
	for (size_t i = 0; i < s->blocks; i++)
		put_block(out, &s->block[i]);
	put_text(out, s->notes);
	put_calibrations(out, s->calibrations);
	TRY(buf_done(out, e));
	d = digest_of(out->bytes + begin, out->len - begin);
	buf_add(out, d.bytes, DIGEST_BYTES);
	return buf_done(out, e);
}

/* ---- reading ---- */

/* The first complaint stays; after it every number reads as 0. */
struct reader {
	const unsigned char *begin, *at, *end;
	struct arena *arena;
	struct err *e;
	int rc;
};

static bool refuse(struct reader *r, const char *what)
{
	if (r->rc == 0)
		r->rc = err_set(r->e, ERR_INPUT, "sketch: byte %zu: %s", (size_t)(r->at - r->begin),
				what);
	return false;
}

static const unsigned char *get_bytes(struct reader *r, uint64_t n)
{
	const unsigned char *at = r->at;

	if (r->rc < 0 || n > (uint64_t)(r->end - r->at)) {
		refuse(r, "it ends too early");
		return NULL;
	}
	r->at += n;
	return at;
}

static uint64_t get_number(struct reader *r, unsigned bytes)
{
	const unsigned char *at = get_bytes(r, bytes);
	uint64_t v = 0;

	for (unsigned i = 0; at && i < bytes; i++)
		v |= (uint64_t)at[i] << 8 * i;
	return v;
}

static uint8_t get_u8(struct reader *r) { return (uint8_t)get_number(r, 1); }
static uint32_t get_u32(struct reader *r) { return (uint32_t)get_number(r, 4); }
static uint64_t get_u64(struct reader *r) { return get_number(r, 8); }

/* At most `most`. */
static uint32_t get_below(struct reader *r, unsigned bytes, uint32_t most, const char *what)
{
	uint64_t v = get_number(r, bytes);

	if (v <= most)
		return (uint32_t)v;
	refuse(r, what);
	return 0;
}

static double get_f64(struct reader *r)
{
	uint64_t bits = get_u64(r);
	double v;

	memcpy(&v, &bits, 8);
	if (!isfinite(v) || v < 0)
		refuse(r, "a number that is not finite, or below 0");
	return r->rc < 0 ? 0 : v;
}

static void *get_array(struct reader *r, uint64_t count, size_t size, size_t stored)
{
	void *p;

	if (r->rc == 0 && count > (uint64_t)(r->end - r->at) / stored)
		refuse(r, "a list of more than there is");
	if (r->rc < 0)
		return NULL;
	p = arena_array(r->arena, (size_t)count, size);
	if (!p)
		r->rc = plan_nomem(r->e);
	return p;
}

static const char *get_text(struct reader *r)
{
	uint32_t len = get_u32(r);
	const unsigned char *at = get_bytes(r, len);
	char *text;

	if (!at)
		return "";
	if (memchr(at, 0, len) || !text_utf8_valid(at, len)) {
		refuse(r, "a text that is none");
		return "";
	}
	text = arena_copy(r->arena, at, len);
	if (!text)
		r->rc = plan_nomem(r->e);
	return text ? text : "";
}

/* What norms and Gram matrices are made of. */
static float *get_floats(struct reader *r, uint64_t count, bool below_zero)
{
	float *v = get_array(r, count, sizeof *v, 4);

	for (uint64_t i = 0; v && i < count; i++) {
		uint32_t bits = get_u32(r);

		memcpy(&v[i], &bits, 4);
		if (!isfinite(v[i]) || (!below_zero && v[i] < 0))
			refuse(r, "a length that is none");
	}
	return v;
}

/* Unit vectors: what is longer would overflow sums. Rounding adds at most half a step a number. */
static int16_t *get_vectors(struct reader *r, uint32_t kept, uint32_t width)
{
	int16_t *v = get_array(r, (uint64_t)kept * width, sizeof *v, 2);

	for (uint32_t u = 0; v && u < kept && r->rc == 0; u++) {
		const unsigned char *at = get_bytes(r, 2 * (uint64_t)width);
		int64_t squares = 0;

		for (uint32_t i = 0; at && i < width; i++) {
			int16_t x = (int16_t)(uint16_t)(at[2 * i] | at[2 * i + 1] << 8);

			v[(size_t)u * width + i] = x;
			squares += (int64_t)x * x;
		}
		if (squares > SKETCH_ONE * SKETCH_ONE + 16 * SKETCH_ONE)
			refuse(r, "a vector that is longer than 1");
	}
	return v;
}

static void get_part(struct reader *r, const struct fork_sketch *s, uint32_t kept,
		     struct sketch_part *p)
{
	p->raw_width = get_below(r, 4, SKETCH_RAW, "wider vectors than there are");
	p->token_width = get_below(r, 4, SKETCH_TOKENS, "wider vectors than there are");
	if (p->raw_width == 0 || p->raw_width % 16 ||
	    (p->token_width && p->token_width != (s->tokens + 15) / 16 * 16))
		refuse(r, "vectors of a width that they cannot have");
	p->raw = get_vectors(r, kept, p->raw_width);
	p->norm = get_floats(r, kept, false);
	if (p->token_width == 0 || r->rc < 0)
		return;
	p->token = get_vectors(r, kept, p->token_width);
	p->token_norm = get_floats(r, kept, false);
}

static void get_places(struct reader *r, struct sketch_block *b)
{
	b->kept = get_below(r, 4, SKETCH_UNITS, "more units than are kept");
	b->first = get_below(r, 4, b->kept, "more first units than units");
	b->place = get_array(r, b->kept, sizeof *b->place, 1);
	if (b->kept == 0 || b->kept > b->units || b->units > UINT32_MAX)
		refuse(r, "another number of units than there are");
	for (uint32_t i = 0; i < b->kept && r->rc == 0; i++) {
		b->place[i] = i < b->first ? i : get_u32(r);
		if (b->place[i] >= b->units || (i && b->place[i] <= b->place[i - 1]))
			refuse(r, "places of units out of order");
	}
}

static int block_order(const struct sketch_block *a, const struct sketch_block *b)
{
	int order = fork_sketch_place_order(a, b);

	return order ? order : strcmp(a->name, b->name);
}

static void get_block(struct reader *r, const struct fork_sketch *s, struct sketch_block *b)
{
	b->name = get_text(r);
	b->kind = get_below(r, 1, FORK_KINDS - 1, "a kind of block that there is none of");
	b->component = get_below(r, 1, FORK_COMPONENTS - 1, "a component that there is none of");
	b->layer = get_u32(r);
	b->index = get_u32(r);
	b->units = get_u64(r);
	b->hidden = get_u64(r);
	if (b->component == FORK_BODY && b->layer >= s->layers)
		refuse(r, "a layer that there is none of");
	get_places(r, b);
	b->unfit = get_u8(r);
	b->cluster = get_u32(r);
	if (b->cluster > (size_t)(b - s->block))
		refuse(r, "a copy of a later block");
	b->mean_square = get_f64(r);
	b->parts = get_below(r, 1, ROLE_PARTS, "more parts than a block has");
	if (b->parts == 0)
		refuse(r, "a block without parts");
	for (uint32_t k = 0; k < b->parts && r->rc == 0; k++)
		get_part(r, s, b->kept, &b->part[k]);
}

static void get_tensor(struct reader *r, struct sketch_tensor *t)
{
	const char *form;
	uint8_t flags;

	t->name = get_text(r);
	t->component = get_below(r, 1, FORK_COMPONENTS - 1, "a component that there is none of");
	form = get_text(r);
	if (strlen(form) >= sizeof t->form)
		refuse(r, "a form with too long a name");
	else
		strcpy(t->form, form);
	t->rank = (int)get_below(r, 1, 8, "more dimensions than a tensor has");
	for (int i = 0; i < t->rank; i++)
		t->shape[i] = get_u64(r);
	t->bytes = get_u64(r);
	t->hash[0] = get_u64(r);
	t->hash[1] = get_u64(r);
	flags = (uint8_t)get_below(r, 1, FLOATS | FINITE | CONSTANT, "flags that mean nothing");
	t->floats = flags & FLOATS;
	t->finite = flags & FINITE;
	t->constant = flags & CONSTANT;
	t->values_bad = get_u64(r);
	t->mean_square = get_f64(r);
}

static void get_layers(struct reader *r, struct fork_sketch *s)
{
	uint64_t n = (uint64_t)s->tokens * (s->tokens + 1) / 2;

	s->layers = get_u32(r);
	s->layer = get_array(r, s->layers, sizeof *s->layer, 1);
	for (uint32_t l = 0; l < s->layers && r->rc == 0; l++) {
		const float *half = NULL;
		float *whole = NULL;

		if (get_below(r, 1, 1, "a matrix or none"))
			half = get_floats(r, n, true);
		if (half)
			whole = arena_array(r->arena, (size_t)s->tokens * s->tokens, sizeof *whole);
		if (half && !whole)
			r->rc = plan_nomem(r->e);
		for (uint32_t i = 0; whole && i < s->tokens; i++)
			for (uint32_t k = 0; k <= i; k++)
				whole[i * s->tokens + k] = whole[k * s->tokens + i] = *half++;
		s->layer[l].tokens = whole;
	}
}

static void get_calibrations(struct reader *r, struct fork_sketch *s)
{
	uint32_t count = get_u32(r);
	struct fork_calibrations *c;

	if (count-- == 0)
		return;
	s->calibrations = c = arena_alloc(r->arena, sizeof *c);
	if (!c) {
		r->rc = plan_nomem(r->e);
		return;
	}
	c->at = get_array(r, count, sizeof *c->at, 68);
	for (c->count = 0; c->count < count && r->rc == 0; c->count++) {
		struct fork_calibration *o = &c->at[c->count];

		o->statistic = get_below(r, 1, FORK_STATISTICS - 1, "a statistic unknown here");
		o->kind = get_below(r, 1, FORK_KINDS - 1, "a kind of block that there is none of");
		o->units = get_u64(r);
		o->hidden = get_u64(r);
		o->pairs = get_u64(r);
		o->table_pairs = get_u64(r);
		o->ks_p = get_f64(r);
		o->below_05 = get_f64(r);
		o->below_005 = get_f64(r);
		o->passed = get_below(r, 1, 1, "passed or not");
		o->seed = get_u64(r);
		o->reason = fork_null_reason(
			get_below(r, 1, NULL_REASONS - 1, "a reason unknown here"));
	}
}

static void get_tokens(struct reader *r, struct fork_sketch *s)
{
	s->tokens_by_id = get_below(r, 1, 1, "tokens by text or by id");
	s->hidden = get_u64(r);
	s->tokens = get_below(r, 4, SKETCH_TOKENS, "more tokens than are kept");
	for (uint32_t i = 0; i < s->tokens; i++) {
		s->token[i] = get_u64(r);
		s->token_id[i] = get_u32(r);
		if (i && s->token[i] <= s->token[i - 1])
			refuse(r, "tokens out of order");
	}
}

static void get_all(struct reader *r, struct fork_sketch *s)
{
	get_tokens(r, s);
	get_layers(r, s);
	s->tensors = get_u32(r);
	s->tensor = get_array(r, s->tensors, sizeof *s->tensor, 52);
	for (size_t i = 0; i < s->tensors && r->rc == 0; i++) {
		get_tensor(r, &s->tensor[i]);
		if (i && strcmp(s->tensor[i - 1].name, s->tensor[i].name) >= 0)
			refuse(r, "tensors out of order");
	}
	s->blocks = get_u32(r);
	s->block = get_array(r, s->blocks, sizeof *s->block, 60);
	for (size_t i = 0; i < s->blocks && r->rc == 0; i++) {
		get_block(r, s, &s->block[i]);
		if (i && block_order(&s->block[i - 1], &s->block[i]) > 0)
			refuse(r, "blocks out of order");
	}
	s->notes = (char *)(uintptr_t)get_text(r);
	get_calibrations(r, s);
	if (r->at != r->end)
		refuse(r, "more bytes than a sketch has");
}

/* Whether these are the bytes that some hallmark wrote, of the version that this one writes. */
static int envelope_check(const unsigned char *bytes, size_t len, struct err *e)
{
	struct digest d;

	if (len < MAGIC_BYTES + 4 + DIGEST_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
		return err_set(e, ERR_INPUT, "no sketch: it does not begin as one");
	if (bytes[16] != SKETCH_VERSION || bytes[17] || bytes[18] || bytes[19])
		return err_set(e, ERR_UNSUPPORTED, "a sketch of another version");
	d = digest_of(bytes, len - DIGEST_BYTES);
	if (memcmp(d.bytes, bytes + len - DIGEST_BYTES, DIGEST_BYTES) != 0)
		return err_set(e, ERR_INPUT, "a sketch that was damaged: its digest is another");
	return 0;
}

int fork_sketch_read(struct fork_sketch **out, const void *bytes, size_t len, struct err *e)
{
	const unsigned char *at = bytes;
	struct fork_sketch *s;
	struct reader r;

	*out = NULL;
	TRY(envelope_check(at, len, e));
	s = calloc(1, sizeof *s);
	if (!s)
		return plan_nomem(e);
	r = (struct reader){ .begin = at,
			     .at = at + MAGIC_BYTES + 4,
			     .end = at + len - DIGEST_BYTES,
			     .arena = &s->arena,
			     .e = e };
	get_all(&r, s);
	if (r.rc < 0) {
		fork_sketch_free(s);
		return r.rc;
	}
	*out = s;
	return 0;
}

void fork_sketch_free(struct fork_sketch *s)
{
	if (!s)
		return;
	arena_free(&s->arena);
	free(s);
}
