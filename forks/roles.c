/* From names and shapes to blocks:
 *
 *   names -> pieces, sorted by stack, layer and holder
 *   stacks -> which is the body; how wide its residual stream is
 *   layer after layer: norms and router first, then each holder's network or attention
 *   blocks in order
 *
 * Names and shapes are untrusted: what contradicts itself is left out, and a note says so. */
#include "forks/roles_in.h"

#include "base/check.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TOWER_MOST 4 /* a tower that is so many times the body is none */

void fork_role_note(struct role_finder *f, const char *fmt, ...)
{
	char line[2 * ROLE_NAME_BYTES], clean[4 * ROLE_NAME_BYTES];
	va_list args;
	int n;

	if (f->noted++ >= ROLE_NOTES_MAX)
		return;
	va_start(args, fmt);
	n = vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	text_escape(clean, sizeof clean, line, strlen(line), false);
	buf_printf(&f->notes, "%s\n", clean);
}

void fork_role_left_out(struct role_finder *f, const struct role_place *l,
			const struct model_value *v, const char *why)
{
	struct role_reason *r = f->reason, *end = r + f->reasons;

	if (l->component == FORK_TOWER)
		return;
	while (r < end && (r->stack != l->stack || r->why != why))
		r++;
	if (r == end) {
		if (f->reasons == ROLE_REASONS)
			return;
		f->reasons++;
		*r = (struct role_reason){ .stack = l->stack, .why = why, .name = v->name };
	}
	r->count++;
}

static void tell_reasons(struct role_finder *f)
{
	for (size_t i = 0; i < f->reasons; i++) {
		const struct role_reason *r = &f->reason[i];

		if (r->count == 1)
			fork_role_note(f, "%s and what belongs to it: left out, for %s", r->name,
				       r->why);
		else
			fork_role_note(f, "%s and %zu more of its stack: left out, for %s", r->name,
				       r->count - 1, r->why);
	}
	if (f->blocks == 0)
		fork_role_note(f, "no network and no attention is found by names or shapes");
}

bool fork_role_view(const struct model_value *v, struct role_view *out)
{
	*out = (struct role_view){ .value = v, .batch = 1 };
	if (!v->floats || v->rank < 2 || v->rank > 3 || v->rows == 0 || v->columns == 0)
		return false;
	out->columns = v->columns;
	out->rows = v->shape[v->rank - 2];
	if (out->rows == 0 || v->rows % out->rows != 0)
		return false;
	out->batch = v->rows / out->rows;
	return true;
}

int fork_role_block(struct role_finder *f, const struct role_place *l, enum fork_kind kind,
		    uint32_t index, struct role_block **out)
{
	*out = NULL;
	if (f->blocks >= ROLE_BLOCKS_MAX) {
		if (f->blocks++ == ROLE_BLOCKS_MAX)
			fork_role_note(f, "more than %u blocks: the others are left out",
				       ROLE_BLOCKS_MAX);
		f->blocks = ROLE_BLOCKS_MAX;
		return 0;
	}
	if (f->blocks == f->room) {
		size_t room = f->room ? 2 * f->room : 256;
		struct role_block *grown = realloc(f->block, room * sizeof *grown);

		if (!grown)
			return err_set(f->e, ERR_NOMEM, "out of memory for %zu blocks", room);
		f->block = grown;
		f->room = room;
	}
	*out = &f->block[f->blocks++];
	memset(*out, 0, sizeof **out);
	(*out)->kind = kind;
	(*out)->component = l->component;
	(*out)->layer = l->layer;
	(*out)->index = index;
	return 0;
}

const char *fork_role_common(struct arena *a, const struct model_value *const *v, size_t count)
{
	size_t len = strlen(v[0]->name);

	for (size_t i = 1; i < count; i++) {
		size_t n = 0;

		while (n < len && v[0]->name[n] == v[i]->name[n])
			n++;
		len = n;
	}
	while (len > 0 && v[0]->name[len - 1] != '.' && v[0]->name[len - 1] != '_' &&
	       v[0]->name[len - 1] != '/')
		len--;
	return arena_copy(a, v[0]->name, len > 0 ? len - 1 : 0);
}

void fork_role_gain(const struct role_place *l, struct role_part *p, const struct model_value *w)
{
	if (!w || p->width != l->stack->hidden)
		return;
	p->gain = w;
	p->gain_plus_one = l->stack->config->plus_one && w->made != MODEL_COMPLETE;
}

/* Pieces */

static int by_number(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int holder_order(const struct role_piece *a, const struct role_piece *b)
{
	int o = by_number(a->kind, b->kind);

	o = o ? o : by_number(a->index, b->index);
	return o ? o : strcmp(a->holder, b->holder);
}

static int layer_order(const struct role_piece *a, const struct role_piece *b)
{
	int o = by_number(a->layer == ROLE_NONE, b->layer == ROLE_NONE);

	o = o ? o : strcmp(a->stack, b->stack);
	return o ? o : by_number(a->layer, b->layer);
}

static int piece_order(const void *x, const void *y)
{
	const struct role_piece *a = x, *b = y;
	int o = layer_order(a, b);

	o = o ? o : holder_order(a, b);
	return o ? o : by_number(a->at, b->at);
}

/* A network of no layer is a layer of its own: "midlayer" of midlayer.mlp.gate_proj. */
static int settle(struct role_finder *f, struct role_piece *p)
{
	const char *dot = strrchr(p->holder, '.');

	if (p->layer != ROLE_NONE && p->slot == SLOT_END && p->value->rank == 1)
		p->slot = SLOT_NORM_IN; /* "norm" of a layer that has one */
	if (p->layer != ROLE_NONE || p->slot >= SLOT_EMBEDDING || !*p->holder)
		return 0;
	p->stack = arena_copy(&f->out->arena, p->holder,
			      dot ? (size_t)(dot - p->holder) : strlen(p->holder));
	p->layer = 0;
	p->loose = true;
	return p->stack ? 0 : ERR_NOMEM;
}

static int parse_names(struct role_finder *f, bool anywhere, bool *layers)
{
	size_t count = model_values_count(f->values);

	*layers = false;
	for (size_t i = 0; i < count; i++) {
		struct role_piece *p = &f->piece[i];

		*p = (struct role_piece){ .value = model_values_at(f->values, i), .at = i };
		if (fork_role_name(p->value->name, anywhere, &f->out->arena, p) < 0 ||
		    settle(f, p) < 0)
			return err_set(f->e, ERR_NOMEM,
				       "out of memory for the roles of %zu tensors", count);
		*layers = *layers || p->layer != ROLE_NONE;
		if (p->slot == SLOT_FREQUENCIES && p->value->rank == 1 && !f->frequencies)
			f->frequencies = p->value;
	}
	return 0;
}

static int find_pieces(struct role_finder *f)
{
	size_t count = model_values_count(f->values);
	bool layers;

	f->piece = calloc(count + 1, sizeof *f->piece);
	f->stack = calloc(count + 1, sizeof *f->stack);
	f->out->component = arena_array(&f->out->arena, count + 1, sizeof *f->out->component);
	if (!f->piece || !f->stack || !f->out->component)
		return err_set(f->e, ERR_NOMEM, "out of memory for the roles of %zu tensors",
			       count);
	f->pieces = count;
	TRY(parse_names(f, false, &layers));
	if (!layers)
		TRY(parse_names(f, true, &layers));
	qsort(f->piece, f->pieces, sizeof *f->piece, piece_order);
	return 0;
}

/* Stacks */

static uint64_t weights_of(const struct model_value *v)
{
	uint64_t n;

	return __builtin_mul_overflow(v->rows, v->columns, &n) ? UINT64_MAX / 4 : n;
}

static void find_stacks(struct role_finder *f)
{
	struct role_stack *s = NULL;
	uint32_t last = 0; /* layer that has a matrix */

	for (size_t i = 0; i < f->pieces && f->piece[i].layer != ROLE_NONE; i++) {
		struct role_piece *p = &f->piece[i];
		bool audio;

		check(p->stack);
		if (!s || strcmp(s->prefix, p->stack) != 0) {
			s = &f->stack[f->stacks++];
			s->prefix = p->stack;
			s->piece = p;
			s->component = fork_role_component(s->prefix, &audio);
			s->config = &f->config[s->component == FORK_TOWER ? 1 + audio : 0];
		}
		s->pieces++;
		f->out->component[p->at] = s->component; /* also of a stack without blocks */
		s->loose = s->loose || p->loose;
		if (p->value->rank >= 2) {
			s->groups += s->matrices == 0 || last != p->layer;
			s->matrices++;
			last = p->layer;
		}
		if (s->layers <= p->layer)
			s->layers = p->layer + 1;
		if (p->value->rank >= 2 && s->weights < UINT64_MAX / 2)
			s->weights += weights_of(p->value) / 2;
	}
}

/* Layers before single networks; encoders, then decoders, then the others, larger ones first. */
static int stack_order(const void *x, const void *y)
{
	const struct role_stack *a = x, *b = y;
	bool ea = strstr(a->prefix, "encoder") != NULL, eb = strstr(b->prefix, "encoder") != NULL;
	bool da = strstr(a->prefix, "decoder") != NULL, db = strstr(b->prefix, "decoder") != NULL;
	int o = by_number(a->component, b->component);

	o = o ? o : by_number(a->loose, b->loose);
	o = o ? o : ea && db ? -1 : da && eb ? 1 : by_number(b->weights, a->weights);
	return o ? o : strcmp(a->prefix, b->prefix);
}

static bool is_text(const char *prefix)
{
	check(prefix);
	return strstr(prefix, "language_model") || strstr(prefix, "text_model") ||
	       strstr(prefix, "llm.") || strstr(prefix, "decoder");
}

/* Beside layers that say that they are of text, the others are of something else. */
static void part_texts(struct role_finder *f)
{
	bool text = false, audio;

	for (size_t i = 0; i < f->stacks; i++)
		text = text ||
		       (f->stack[i].component == FORK_BODY && !f->stack[i].loose &&
			is_text(f->stack[i].prefix) && !strstr(f->stack[i].prefix, "decoder"));
	for (size_t i = 0; i < f->stacks && text; i++)
		if (f->stack[i].component == FORK_BODY && !is_text(f->stack[i].prefix) &&
		    fork_role_component(f->stack[i].prefix, &audio) == FORK_BODY)
			f->stack[i].component = FORK_TOWER;
}

#define LAYER_LEAST 3 /* matrices of a layer of a model */

/* A model is one whatever its stacks are called: without a body the largest stack is it, and
 * layers many times larger than the body are no tower beside it. */
static void choose_body(struct role_finder *f)
{
	struct role_stack *largest = NULL;
	uint64_t body = 0;

	part_texts(f);
	for (size_t i = 0; i < f->stacks; i++) {
		struct role_stack *s = &f->stack[i];
		bool layers = s->groups > 0 && s->matrices / s->groups >= LAYER_LEAST && !s->loose;

		if (s->component == FORK_BODY)
			body = body > s->weights ? body : s->weights;
		else if (layers && (!largest || s->weights > largest->weights))
			largest = s;
	}
	for (size_t i = 0; i < f->stacks && body == 0 && !largest; i++)
		largest = &f->stack[i];
	if (!largest || (body > 0 && largest->weights / TOWER_MOST <= body))
		return;
	fork_role_note(f, "%s: judged as the body of the model, for nothing else is as large",
		       largest->prefix);
	largest->component = FORK_BODY;
	largest->config = &f->config[0];
}

/* How many matrices of the stack have a side of that many. */
static size_t sides_count(const struct role_stack *s, uint64_t width)
{
	size_t n = 0;

	for (size_t i = 0; i < s->pieces; i++) {
		const struct model_value *v = s->piece[i].value;

		n += v->rank >= 2 && (v->columns == width || v->shape[v->rank - 2] == width);
	}
	return n;
}

/* Vectors of that length but biases: norms. */
static size_t norms_count(const struct role_stack *s, uint64_t width)
{
	size_t n = 0;

	for (size_t i = 0; i < s->pieces; i++)
		n += s->piece[i].value->rank == 1 && s->piece[i].value->columns == width &&
		     !text_ends(s->piece[i].value->name, "bias");
	return n;
}

/* The width that most matrices share. Of two that as many do: the one of norms, else the one that
 * inputs of a network's first matrix have. */
static uint64_t width_shared(const struct role_stack *s)
{
	uint64_t tried[ROLE_WIDTHS], best = 0;
	size_t n = 0, most = 0, norms = 0;

	for (size_t i = 0; i < s->pieces && n < ROLE_WIDTHS; i++) {
		const struct model_value *v = s->piece[i].value;
		bool down = s->piece[i].slot == SLOT_DOWN || s->piece[i].slot == SLOT_O;

		for (int k = 0; k < 2 && v->rank >= 2 && n < ROLE_WIDTHS; k++) {
			uint64_t w = (k == 0) == !down ? v->columns : v->shape[v->rank - 2];
			size_t count, with;
			bool seen = false;

			for (size_t j = 0; j < n; j++)
				seen = seen || tried[j] == w;
			if (seen)
				continue;
			tried[n++] = w;
			count = sides_count(s, w);
			with = norms_count(s, w);
			if (count > most || (count == most && with > norms)) {
				best = w;
				most = count;
				norms = with;
			}
		}
	}
	return best;
}

/* Widths of matrices of no layer, an embedding's first: each may be the stream's. */
static void find_widths(struct role_finder *f)
{
	for (int named = 1; named >= 0; named--)
		for (size_t i = f->pieces; i > 0 && f->piece[i - 1].layer == ROLE_NONE; i--) {
			const struct role_piece *p = &f->piece[i - 1];
			bool seen = false;

			if (p->value->rank != 2 || (p->slot == SLOT_EMBEDDING) != named)
				continue;
			for (size_t k = 0; k < f->widths; k++)
				seen = seen || f->width[k] == p->value->columns;
			if (!seen && f->widths < ROLE_WIDTHS)
				f->width[f->widths++] = p->value->columns;
			if (named)
				f->widths_named = f->widths;
		}
}

/* The residual width of a stack: that of an embedding if some matrices have it, of another matrix
 * of no layer if half of them do, or of the config; else what most share. */
static void find_width(struct role_finder *f, struct role_stack *s)
{
	size_t half = (s->matrices + 1) / 2, some = (s->matrices + 3) / 4;

	if (half == 0)
		return;
	for (size_t i = 0; i < f->widths && s->component != FORK_TOWER; i++)
		if (sides_count(s, f->width[i]) >= (i < f->widths_named ? some : half)) {
			s->hidden = f->width[i];
			return;
		}
	if (s->config->hidden > 0 && sides_count(s, s->config->hidden) >= some)
		s->hidden = s->config->hidden;
	else
		s->hidden = width_shared(s);
}

/* Layers */

#define DRAFTS_MOST 4

/* Draft layers are the last ones, behind those of the model, and carry a projection of two streams
 * into one. */
static bool is_draft(const struct role_stack *s, const struct role_piece *p, size_t count)
{
	if (p->layer == 0 || p->layer < s->config->layers || p->layer + DRAFTS_MOST < s->layers)
		return false;
	for (size_t i = 0; i < count; i++)
		if (p[i].slot == SLOT_DRAFT)
			return true;
	return false;
}

static size_t layer_pieces(const struct role_stack *s, size_t at)
{
	size_t n = 1;

	while (at + n < s->pieces && s->piece[at + n].layer == s->piece[at].layer)
		n++;
	return n;
}

/* What belongs to the layer and not to one holder. */
static void layer_facts(struct role_finder *f, struct role_place *l)
{
	for (size_t i = 0; i < l->pieces; i++) {
		const struct role_piece *p = &l->piece[i];
		const struct model_value *v = p->value;
		uint32_t half = p->sub == 1;

		f->out->component[p->at] = l->component;
		if (p->slot >= SLOT_NORM_IN && p->slot <= SLOT_NORM_EXPERTS && v->rank == 1 &&
		    v->floats && v->columns == l->stack->hidden && !l->norm[p->slot][half])
			l->norm[p->slot][half] = v;
		if (p->slot == SLOT_HEAD_NORM && v->rank >= 1 && v->rank <= 2 && !l->head_norm)
			l->head_norm = v;
		if (p->slot == SLOT_ROUTER && v->rank == 2 && v->floats && v->rows > 0 &&
		    !l->router && v->columns == l->stack->hidden)
			l->router = v;
		l->wide = l->wide || strstr(v->name, "h_to_4h");
		l->biased = l->biased || (p->slot == SLOT_IN_BIAS && v->rank == 2);
	}
}

static void layer_router(struct role_finder *f, const struct role_place *l)
{
	struct role_layer *o;

	if (!l->router || l->component != FORK_BODY || !l->experts_found)
		return;
	o = &f->out->layer[l->layer];
	o->router = (struct role_part){
		.value = l->router, .step = 1, .folds = 1, .width = l->router->columns
	};
	o->experts = l->router->rows;
	fork_role_gain(l, &o->router,
		       l->norm[SLOT_NORM_FFN][0] ? l->norm[SLOT_NORM_FFN][0]
						 : l->norm[SLOT_NORM_AFTER_ATTENTION][0]);
}

/* Shared networks without experts are the layer's only one. */
static void layer_settle(struct role_finder *f, const struct role_place *l, size_t first)
{
	for (size_t i = first; i < f->blocks && !l->experts_found; i++)
		if (f->block[i].kind == FORK_SHARED)
			f->block[i].kind = FORK_DENSE;
}

static int layer_blocks(struct role_finder *f, struct role_place *l)
{
	size_t first = f->blocks;
	bool networks = false;

	layer_facts(f, l);
	for (size_t i = 0, n; i < l->pieces; i += n) {
		const struct role_piece *p = &l->piece[i];

		for (n = 1; i + n < l->pieces && holder_order(p, p + n) == 0;)
			n++;
		if (p->kind >= HOLDER_ATTENTION)
			TRY(fork_role_attention(f, l, p, n));
		else
			TRY(fork_role_mlp(f, l, p, n));
	}
	for (size_t i = first; i < f->blocks; i++)
		networks = networks || f->block[i].kind != FORK_ATTENTION;
	if (!networks && !l->stack->loose) {
		size_t named = f->blocks;

		TRY(fork_role_graph(f, l));
		l->stack->guessed = l->stack->guessed || f->blocks > named;
	}
	layer_settle(f, l, first);
	layer_router(f, l);
	return 0;
}

static int stack_blocks(struct role_finder *f, struct role_stack *s)
{
	for (size_t i = 0; i < s->pieces && s->hidden > 0;) {
		struct role_place l = { .stack = s,
					.piece = s->piece + i,
					.pieces = layer_pieces(s, i),
					.component = s->component };

		if (s->component == FORK_BODY && is_draft(s, l.piece, l.pieces))
			l.component = FORK_DRAFT;
		l.layer = s->first_layer + l.piece->layer;
		TRY(layer_blocks(f, &l));
		i += l.pieces;
	}
	if (s->guessed)
		fork_role_note(
			f,
			"%s: names that are in no table; there networks are what fits by its "
			"shapes, gate and up in the order of their names",
			*s->prefix ? s->prefix : "layers");
	return 0;
}

/* Layers of a component are numbered on through its stacks. */
static int number_layers(struct role_finder *f)
{
	uint32_t next = 0;

	for (size_t i = 0; i < f->stacks; i++) {
		struct role_stack *s = &f->stack[i];

		if (i == 0 || s->component != s[-1].component)
			next = 0;
		if (s->matrices >= 2 * s->groups)
			find_width(f, s);
		if (s->hidden == 0)
			continue;
		if (next + s->layers > ROLE_LAYERS_MAX) {
			fork_role_note(f, "%s: left out, for its layers are too many", s->prefix);
			s->hidden = 0;
			continue;
		}
		s->first_layer = next;
		next += s->layers;
		if (s->component == FORK_BODY) {
			f->out->layers = next;
			if (f->out->hidden == 0)
				f->out->hidden = s->hidden;
		}
	}
	f->out->layer =
		arena_array(&f->out->arena, (size_t)f->out->layers + 1, sizeof *f->out->layer);
	return f->out->layer
		       ? 0
		       : err_set(f->e, ERR_NOMEM, "out of memory for %u layers", f->out->layers);
}

/* What is of no layer: the ends of the model, and parts beside it. */
static void find_ends(struct role_finder *f)
{
	const struct model_value *best = NULL;
	bool named = false, audio;

	for (size_t i = f->pieces; i > 0 && f->piece[i - 1].layer == ROLE_NONE; i--) {
		const struct role_piece *p = &f->piece[i - 1];
		const struct model_value *v = p->value;
		enum fork_component c = fork_role_component(v->name, &audio);
		bool name = p->slot == SLOT_EMBEDDING;

		if (c == FORK_BODY &&
		    (name || p->slot == SLOT_END || v->rank < 2 || strstr(v->name, "embed")))
			c = FORK_ENDS;
		f->out->component[p->at] = c;
		if (c == FORK_TOWER || c == FORK_DRAFT || v->rank != 2 || !v->floats ||
		    v->rows == 0 || v->columns == 0 || v->columns != f->out->hidden ||
		    (named && !name))
			continue;
		if (!name && v->rows <= v->columns)
			continue;
		if (!best || name > named || v->rows >= best->rows)
			best = v;
		named = named || name;
	}
	if (best)
		f->out->embedding = (struct role_part){
			.value = best, .step = 1, .folds = 1, .width = best->columns
		};
}

/* Blocks */

static int block_order(const void *x, const void *y)
{
	const struct role_block *a = x, *b = y;
	int o = by_number(a->component, b->component);

	o = o ? o : by_number(a->layer, b->layer);
	o = o ? o : by_number(a->kind, b->kind);
	o = o ? o : by_number(a->index, b->index);
	return o ? o : strcmp(a->name, b->name);
}

static int finish(struct role_finder *f)
{
	struct roles *out = f->out;

	if (f->blocks > 0)
		qsort(f->block, f->blocks, sizeof *f->block, block_order);
	for (size_t i = 1; i < f->blocks; i++) {
		struct role_block *b = &f->block[i], *a = b - 1;

		if (b->kind <= FORK_SHARED && b->kind == a->kind && b->layer == a->layer &&
		    b->component == a->component && b->index <= a->index)
			b->index = a->index + 1;
	}
	for (size_t i = 0; i < f->blocks; i++)
		for (uint32_t k = 0; f->block[i].component == FORK_TOWER && k < ROLE_PARTS; k++)
			f->block[i].part[k].space = ROLE_INNER; /* of a stream of their own */
	tell_reasons(f);
	if (f->noted > ROLE_NOTES_MAX)
		buf_printf(&f->notes, "and %zu more notes\n", f->noted - ROLE_NOTES_MAX);
	out->block = arena_array(&out->arena, f->blocks + 1, sizeof *out->block);
	out->notes = arena_copy(&out->arena, f->notes.len ? f->notes.bytes : "", f->notes.len);
	if (!out->block || !out->notes || f->notes.failed)
		return err_set(f->e, ERR_NOMEM, "out of memory for %zu blocks", f->blocks);
	if (f->blocks > 0)
		memcpy(out->block, f->block, f->blocks * sizeof *f->block);
	out->blocks = f->blocks;
	return 0;
}

static int find_all(struct role_finder *f)
{
	TRY(find_pieces(f));
	find_stacks(f);
	choose_body(f);
	qsort(f->stack, f->stacks, sizeof *f->stack, stack_order);
	find_widths(f);
	TRY(number_layers(f));
	find_ends(f);
	for (size_t i = 0; i < f->stacks; i++)
		TRY(stack_blocks(f, &f->stack[i]));
	return finish(f);
}

int fork_roles_find(struct model_values *v, const json_t *config, struct roles *out, struct err *e)
{
	struct role_finder f = { .values = v, .out = out, .e = e };
	int rc;

	memset(out, 0, sizeof *out);
	fork_role_config(config, f.config);
	rc = find_all(&f);
	free(f.piece);
	free(f.stack);
	free(f.block);
	buf_free(&f.notes);
	if (rc < 0)
		fork_roles_free(out);
	return rc;
}

void fork_roles_free(struct roles *r)
{
	arena_free(&r->arena);
	memset(r, 0, sizeof *r);
}
