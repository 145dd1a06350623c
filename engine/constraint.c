/* Constraints: compiled text, the automaton, and masks of what may be drawn.
 *
 * A mask is found by running the automaton over the tree of all tokens from the configuration at
 * hand; masks are kept by configuration. When the automaton's memory is used up it forgets
 * everything, and each answer's place is found again from its ids: so what is allowed depends on
 * the accepted ids alone, not on the cache's history. */
#include "engine/constraint.h"
#include "engine/automaton.h"
#include "engine/model.h"
#include "engine/schema.h"
#include "engine/token_tree.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct mask {
	uint32_t key; /* configuration * 2 + first, or 0 */
	bool limited;
	uint64_t *bits; /* [words], allocated on first use and kept */
};

struct engine_constraint {
	const struct engine *engine;
	const struct token_trees *trees; /* NULL without engine */
	struct digest digest;
	struct pattern pattern;
	struct network *network;
	pthread_mutex_t lock; /* of all that follows */
	struct automaton *automaton;
	uint64_t generation;
	struct mask *mask; /* [masks], direct-mapped by a hash of the key */
	uint32_t masks;
	uint32_t *walk; /* [depth_max + 1]: configurations along a path of the tree */
};

/* ---- compiling ---- */

static int json_text(json_t **out, const char *text, size_t len, struct err *e)
{
	return json_read(out, text, len, LIMIT_CONSTRAINT_BYTES, LIMIT_CONSTRAINT_NESTING, e);
}

static int compile_grammar(struct pattern *p, const struct buf *rules, uint32_t *root,
			   struct err *e)
{
	TRY(buf_done(rules, e));
	TRY(pattern_grammar(p, rules->bytes, rules->len, false, e));
	*root = pattern_rule(p, "root", 4);
	return pattern_done(p, e);
}

static int compile_schema(struct pattern *p, const char *text, size_t len, uint32_t *root,
			  struct err *e)
{
	json_t *schema;
	struct buf rules = { 0 };
	TRY(json_text(&schema, text, len, e));
	int rc = schema_grammar(schema, "root", &rules, e);
	json_decref(schema);
	if (rc == 0)
		rc = compile_grammar(p, &rules, root, e);
	buf_free(&rules);
	return rc;
}

static int compile_object(struct pattern *p, uint32_t *root, struct err *e)
{
	struct buf rules = { 0 };
	int rc = schema_grammar_object("root", &rules, e);
	if (rc == 0)
		rc = compile_grammar(p, &rules, root, e);
	buf_free(&rules);
	return rc;
}

static int compile_regex(struct pattern *p, const char *text, size_t len, uint32_t *root,
			 struct err *e)
{
	uint32_t node;
	TRY(pattern_regex(p, text, len, &node, e));
	TRY(pattern_anchor(p, &node, false, e));
	*root = pattern_rule_add(p, node);
	return pattern_done(p, e);
}

/* One text as a sequence of characters. */
static uint32_t choice_text(struct pattern *p, const char *text, size_t len)
{
	struct pattern_list list = { 0 };
	for (size_t i = 0; i < len && p->failed == 0;) {
		uint32_t cp, from = p->ranges;
		i += (size_t)text_utf8_decode(text + i, len - i, &cp); /* json_read checked it */
		pattern_range_add(p, cp, cp);
		pattern_push(p, &list, pattern_set_close(p, from, false));
	}
	return pattern_close(p, &list, PATTERN_SEQ);
}

static int compile_choice(struct pattern *p, const char *text, size_t len, uint32_t *root,
			  struct err *e)
{
	struct pattern_list all = { 0 };
	json_t *list, *one;
	size_t i;
	int rc = 0;
	TRY(json_text(&list, text, len, e));
	if (!json_is_array(list) || json_array_size(list) == 0)
		rc = err_set(e, ERR_INPUT, "a choice is a list of strings, and not empty");
	json_array_foreach(list, i, one)
	{
		if (rc == 0 && !json_is_string(one))
			rc = err_set(e, ERR_INPUT, "choice %zu is not a string", i);
		if (rc == 0)
			pattern_push(p, &all,
				     choice_text(p, json_string_value(one),
						 json_string_length(one)));
	}
	json_decref(list);
	TRY(rc);
	*root = pattern_rule_add(p, pattern_close(p, &all, PATTERN_ALT));
	return pattern_done(p, e);
}

static int compile(struct engine_constraint *c, enum engine_constraint_kind kind, const char *text,
		   size_t len, struct err *e)
{
	struct pattern *p = &c->pattern;
	uint32_t root = 0;
	if (kind != ENGINE_JSON_OBJECT && len > LIMIT_CONSTRAINT_BYTES)
		return err_set(e, ERR_INPUT, "a constraint of %zu bytes; the limit is %zu", len,
			       LIMIT_CONSTRAINT_BYTES);
	switch (kind) {
	case ENGINE_JSON_OBJECT:
		TRY(compile_object(p, &root, e));
		break;
	case ENGINE_SCHEMA:
		TRY(compile_schema(p, text, len, &root, e));
		break;
	case ENGINE_REGEX:
		TRY(compile_regex(p, text, len, &root, e));
		break;
	case ENGINE_CHOICE:
		TRY(compile_choice(p, text, len, &root, e));
		break;
	case ENGINE_GRAMMAR:
	case ENGINE_CALL_GRAMMAR:
		TRY(pattern_grammar(p, text, len, kind == ENGINE_CALL_GRAMMAR, e));
		root = pattern_rule(p, "root", 4);
		break;
	default:
		return err_set(e, ERR_INPUT, "constraint kind %d", (int)kind);
	}
	TRY(network_open(&c->network, p, root, e));
	pattern_free(p);
	return automaton_open(&c->automaton, c->network, e);
}

/* ---- life ---- */

static int open_masks(struct engine_constraint *c, const struct engine *m, struct err *e)
{
	if (m == NULL)
		return 0;
	if (m->text == NULL)
		return err_set(e, ERR_UNSUPPORTED, "constraints need the model's tokenizer.json");
	TRY(engine_text_trees(m->text, &c->trees, e));
	uint32_t depth = c->trees->later.depth_max;
	if (c->trees->differs && c->trees->first.depth_max > depth)
		depth = c->trees->first.depth_max;
	size_t bytes = constraint_words(c) * sizeof(uint64_t),
	       count = LIMIT_CONSTRAINT_CACHE / (bytes + 1);
	c->masks = count < 64 ? 64 : count > 8192 ? 8192 : (uint32_t)count;
	c->mask = calloc(c->masks, sizeof *c->mask);
	c->walk = calloc((size_t)depth + 1, sizeof *c->walk);
	return c->mask == NULL || c->walk == NULL
		       ? err_set(e, ERR_NOMEM, "out of memory for the constraint")
		       : 0;
}

int engine_constraint_open(struct engine_constraint **out, const struct engine *m,
			   enum engine_constraint_kind kind, const char *text, size_t len,
			   struct err *e)
{
	struct engine_constraint *c = calloc(1, sizeof *c);
	*out = NULL;
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	pthread_mutex_init(&c->lock, NULL);
	c->engine = m;
	c->generation = 1;
	c->digest =
		digest_tagged((uint8_t)kind, text, kind == ENGINE_JSON_OBJECT ? 0 : len, NULL, 0);
	int rc = compile(c, kind, text, len, e);
	if (rc == 0)
		rc = open_masks(c, m, e);
	if (rc < 0)
		engine_constraint_close(c);
	else
		*out = c;
	return rc;
}

void engine_constraint_close(struct engine_constraint *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->masks && c->mask != NULL; i++)
		free(c->mask[i].bits);
	free(c->mask);
	free(c->walk);
	automaton_close(c->automaton);
	network_close(c->network);
	pattern_free(&c->pattern);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct digest engine_constraint_digest(const struct engine_constraint *c) { return c->digest; }

const struct engine *constraint_engine(const struct engine_constraint *c) { return c->engine; }

uint32_t constraint_words(const struct engine_constraint *c) { return c->trees->ids / 64 + 1; }

/* ---- places ---- */

static void forget(struct engine_constraint *c)
{
	automaton_reset(c->automaton);
	c->generation++;
	for (uint32_t i = 0; i < c->masks; i++)
		c->mask[i].key = 0;
}

/* Over the bytes of a token. */
static uint32_t take_bytes(struct engine_constraint *c, uint32_t at, const struct token_tree *t,
			   uint32_t id)
{
	for (uint32_t i = t->offset[id]; i < t->offset[id + 1] && at >= AUTOMATON_START; i++)
		at = automaton_take(c->automaton, at, (uint8_t)t->bytes[i]);
	return at;
}

static uint32_t take_mark(struct engine_constraint *c, uint32_t at)
{
	return at < AUTOMATON_START ? at : automaton_take(c->automaton, at, PATTERN_MARK);
}

/* The control token that lies between two marks; `inside`: after the first. */
static uint32_t take_control(struct engine_constraint *c, uint32_t inside, uint32_t id)
{
	return take_mark(c, take_bytes(c, inside, &c->trees->later, id));
}

static uint32_t take_token(struct engine_constraint *c, uint32_t at, uint32_t id, bool first)
{
	if (id >= c->trees->ids)
		return AUTOMATON_DEAD;
	if (!token_trees_holds(c->trees, id))
		return take_control(c, take_mark(c, at), id);
	return take_bytes(c, at, token_trees_at(c->trees, first), id);
}

/* Go on over the ids. False: the automaton is full. */
static bool place_advance(struct engine_constraint *c, struct constraint_place *p,
			  const uint32_t *id, uint32_t count)
{
	if (p->generation != c->generation)
		*p = (struct constraint_place){ c->generation, AUTOMATON_START, 0 };
	for (; p->steps < count; p->steps++) {
		uint32_t at = take_token(c, p->at, id[p->steps], p->steps == 0);
		if (at == AUTOMATON_FULL)
			return false;
		p->at = at;
	}
	return true;
}

/* ---- masks ---- */

static void mask_set(uint64_t *bits, const struct token_tree *t, uint32_t token)
{
	for (; token != TOKENIZER_NONE; token = t->same[token])
		bits[token / 64] |= (uint64_t)1 << (token % 64);
}

/* Control tokens: one look tells where none may come. False: the automaton is full. */
static bool mask_fill_controls(struct engine_constraint *c, uint32_t at, struct mask *m)
{
	uint32_t inside = take_mark(c, at);
	for (uint32_t i = 0; i < c->trees->controls && inside >= AUTOMATON_START; i++) {
		uint32_t id = c->trees->control[i], next = take_control(c, inside, id);
		if (next == AUTOMATON_FULL)
			return false;
		m->limited |= next == AUTOMATON_LIMIT;
		if (next >= AUTOMATON_START)
			m->bits[id / 64] |= (uint64_t)1 << (id % 64);
	}
	m->limited |= inside == AUTOMATON_LIMIT;
	return inside != AUTOMATON_FULL;
}

/* False: the automaton is full. Nearly all transitions are known: they are read from its rows. */
static bool mask_fill(struct engine_constraint *c, const struct token_tree *t, uint32_t at,
		      struct mask *m)
{
	const uint8_t *class = automaton_classes(c->automaton);
	memset(m->bits, 0, constraint_words(c) * sizeof *m->bits);
	m->limited = false;
	c->walk[0] = at;
	for (uint32_t i = 0; i < t->nodes && at >= AUTOMATON_START;) {
		const struct token_node *node = &t->node[i];
		uint32_t from = c->walk[node->depth - 1];
		uint32_t next = automaton_row(c->automaton, from)[class[node->byte]];
		if (next == AUTOMATON_FULL)
			next = automaton_take(c->automaton, from, node->byte);
		if (next == AUTOMATON_FULL)
			return false;
		if (next < AUTOMATON_START) {
			m->limited |= next == AUTOMATON_LIMIT;
			i = node->end;
			continue;
		}
		c->walk[node->depth] = next;
		mask_set(m->bits, t, node->token);
		i++;
	}
	return mask_fill_controls(c, c->walk[0], m);
}

/* The mask at this place; NULL with rc 0: the automaton is full. */
static struct mask *mask_at(struct engine_constraint *c, uint32_t at, bool first, int *rc,
			    struct err *e)
{
	const struct token_tree *t = token_trees_at(c->trees, first);
	uint32_t key = at * 2 + (first && c->trees->differs);
	struct mask *m = &c->mask[(key * 0x9E3779B1u >> 8) % c->masks];
	*rc = 0;
	if (m->key == key)
		return m;
	if (m->bits == NULL)
		m->bits = calloc(constraint_words(c), sizeof *m->bits);
	if (m->bits == NULL) {
		*rc = err_set(e, ERR_NOMEM, "out of memory for the constraint");
		return NULL;
	}
	m->key = 0;
	if (!mask_fill(c, t, at, m))
		return NULL;
	m->key = key;
	return m;
}

static int look(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		uint32_t count, uint64_t *mask, struct constraint_state *out, struct err *e)
{
	int rc = 0;
	for (int attempt = 0; attempt < 2; attempt++) {
		struct mask *m = NULL;
		if (attempt > 0)
			forget(c);
		bool here = place_advance(c, p, id, count);
		if (here && mask != NULL)
			m = mask_at(c, p->at, count == 0, &rc, e);
		if (rc < 0)
			return rc;
		if (!here || (mask != NULL && m == NULL))
			continue;
		*out = (struct constraint_state){ automaton_accepts(c->automaton, p->at),
						  automaton_goes_on(c->automaton, p->at),
						  p->at == AUTOMATON_LIMIT ||
							  (m != NULL && m->limited) };
		if (mask != NULL)
			memcpy(mask, m->bits, constraint_words(c) * sizeof *mask);
		return 0;
	}
	return err_set(
		e, ERR_INPUT,
		"the constraint needs more than %zu MiB or %u steps for one token after %u tokens",
		LIMIT_CONSTRAINT_CACHE >> 20, LIMIT_CONSTRAINT_WORK, count);
}

int constraint_mask(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		    uint32_t count, uint64_t *mask, struct constraint_state *out, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	int rc = look(c, p, id, count, mask, out, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int constraint_look(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		    uint32_t count, struct constraint_state *out, struct err *e)
{
	return constraint_mask(c, p, id, count, NULL, out, e);
}

/* ---- bytes alone ---- */

/* False: full. */
static bool read_bytes(struct engine_constraint *c, const char *text, size_t len, uint32_t *at)
{
	*at = AUTOMATON_START;
	for (size_t i = 0; i < len && *at >= AUTOMATON_START; i++)
		*at = automaton_take(c->automaton, *at, (uint8_t)text[i]);
	return *at != AUTOMATON_FULL;
}

bool engine_constraint_accepts(const struct engine_constraint *constraint, const char *text,
			       size_t len, bool whole)
{
	struct engine_constraint *c =
		(struct engine_constraint *)constraint; /* its cache changes */
	uint32_t at;
	pthread_mutex_lock(&c->lock);
	bool done = read_bytes(c, text, len, &at);
	if (!done) {
		forget(c);
		done = read_bytes(c, text, len, &at);
	}
	bool ok = done && at >= AUTOMATON_START && (!whole || automaton_accepts(c->automaton, at));
	pthread_mutex_unlock(&c->lock);
	return ok;
}
