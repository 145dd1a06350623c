/* Constraints: compiled text, its automaton, and masks of the tokens that may be sampled.
 *
 * A mask is made by running the automaton over the tree of all tokens from the answer's
 * configuration; masks are cached by configuration. When the automaton's memory is used up it is
 * reset, and each answer's configuration is computed again from its ids: so what is allowed depends
 * on the accepted ids alone, not on the history of the cache. */
#include "engine/constraint.h"
#include "engine/engine_in.h"
#include "grammar/grammar.h"
#include "tokenizer/tokenizer.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(TOKEN_MARK == GRAMMAR_MARK, "one byte marks control tokens for both");

struct mask {
	uint32_t key; /* configuration * 2 + first, or 0 */
	bool limited;
	uint64_t *bits; /* [words], allocated on first use and kept */
};

struct engine_constraint {
	const struct engine *engine;
	const struct token_trees *trees;
	struct digest digest;
	struct grammar *grammar;
	pthread_mutex_t lock; /* of all that follows */
	struct automaton *automaton;
	uint64_t generation;
	struct mask *mask; /* [masks], direct-mapped by a hash of the key */
	uint32_t masks;
	uint32_t *walk; /* [depth_max + 1]: configurations along a path of the tree */
};

/* ---- life ---- */

static int open_masks(struct engine_constraint *c, const struct engine *m, struct err *e)
{
	if (m->text == NULL)
		return err_set(e, ERR_UNSUPPORTED, "constraints need the model's tokenizer.json");
	TRY(language_trees(m->text, &c->trees, e));
	uint32_t depth = c->trees->later.depth_max;
	if (c->trees->differs && c->trees->first.depth_max > depth)
		depth = c->trees->first.depth_max;
	size_t bytes = engine_constraint_words(c) * sizeof(uint64_t),
	       count = LIMIT_CONSTRAINT_CACHE / (bytes + 1);
	c->masks = count < 64 ? 64 : count > 8192 ? 8192 : (uint32_t)count;
	c->mask = calloc(c->masks, sizeof *c->mask);
	c->walk = calloc((size_t)depth + 1, sizeof *c->walk);
	return c->mask == NULL || c->walk == NULL
		       ? err_set(e, ERR_NOMEM, "out of memory for the constraint")
		       : 0;
}

/* H(kind || text), and of a frame H(kind || text || H(frame)). */
static struct digest digest_constraint(const struct grammar_text *t)
{
	size_t len = t->kind == GRAMMAR_JSON_OBJECT ? 0 : t->len;
	if (!t->frame)
		return digest_tagged((uint8_t)t->kind, t->text, len, NULL, 0);
	struct digest frame = digest_of(t->frame, t->frame_len);
	return digest_tagged((uint8_t)t->kind, t->text, len, frame.bytes, sizeof frame.bytes);
}

int engine_constraint_open(struct engine_constraint **out, const struct engine *m,
			   const struct grammar_text *t, struct err *e)
{
	struct engine_constraint *c = calloc(1, sizeof *c);
	*out = NULL;
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	pthread_mutex_init(&c->lock, NULL);
	c->engine = m;
	c->generation = 1;
	c->digest = digest_constraint(t);
	int rc = grammar_open(&c->grammar, t, e);
	if (rc == 0)
		rc = automaton_open(&c->automaton, c->grammar, e);
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
	grammar_close(c->grammar);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct digest engine_constraint_digest(const struct engine_constraint *c) { return c->digest; }

const json_t *engine_constraint_unused(const struct engine_constraint *c)
{
	return grammar_without_effect(c->grammar);
}

const struct engine *engine_constraint_engine(const struct engine_constraint *c)
{
	return c->engine;
}

uint32_t engine_constraint_words(const struct engine_constraint *c)
{
	return c->trees->ids / 64 + 1;
}

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
	return at < AUTOMATON_START ? at : automaton_take(c->automaton, at, TOKEN_MARK);
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

/* Allow control tokens: often one transition shows that none may come here. False: the automaton is
 * full. */
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
	memset(m->bits, 0, engine_constraint_words(c) * sizeof *m->bits);
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
		m->bits = calloc(engine_constraint_words(c), sizeof *m->bits);
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
			memcpy(mask, m->bits, engine_constraint_words(c) * sizeof *mask);
		return 0;
	}
	return err_set(
		e, ERR_INPUT,
		"the constraint needs more than %zu MiB or %u steps for one token after %u tokens",
		LIMIT_CONSTRAINT_CACHE >> 20, LIMIT_CONSTRAINT_WORK, count);
}

int engine_constraint_mask(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, uint64_t *mask,
			   struct constraint_state *out, struct err *e)
{
	pthread_mutex_lock(&c->lock);
	int rc = look(c, p, id, count, mask, out, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int engine_constraint_look(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, struct constraint_state *out,
			   struct err *e)
{
	return engine_constraint_mask(c, p, id, count, NULL, out, e);
}
