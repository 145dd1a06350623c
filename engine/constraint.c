/* Constraints: compiled text, its automaton, and masks of the tokens that may be sampled.
 *
 * A mask is made by running the automaton over the tree of all tokens from the answer's
 * configuration; masks are cached by configuration. When the automaton's memory is used up it is
 * reset, and each answer's configuration is computed again from its ids: so what is allowed depends
 * on the accepted ids alone, not on the history of the cache.
 *
 * Where texts of an answer are compared with each other (items that are unique), that automaton
 * takes too much, and an exact one, which goes along with the answer, is asked about the few tokens
 * for which it may matter: those in which such a text begins or ends, which the mask knows, and
 * those that go on as a former text did, which a walk along the former ones finds. */
#include "engine/constraint.h"
#include "engine/engine_in.h"
#include "grammar/grammar.h"
#include "tokenizer/tokenizer.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define NODES_A_LOOK 1024 /* of a tree, after which it is looked whether to go on */
#define NODES_A_STEP 8    /* of a tree are walked in the time of one step of the automaton */

_Static_assert(TOKEN_MARK == GRAMMAR_MARK, "one byte marks control tokens for both");

struct mask {
	uint32_t key; /* configuration * 2 + first, or 0 */
	bool limited;
	uint64_t *bits; /* [words], allocated on first use and kept; [2 * words] with an exact
			   automaton: the tokens in which a compared text begins or ends */
};

struct engine_constraint {
	const struct engine *engine;
	const struct token_trees *trees;
	struct digest digest;
	struct grammar *grammar;
	pthread_mutex_t lock; /* of all that follows */
	struct automaton *automaton;
	uint64_t generation;
	struct mask *mask;       /* [masks], direct-mapped by a hash of the key */
	uint32_t masks, made;    /* made: those with bits */
	uint32_t *walk;          /* [depth_max + 1]: configurations along a path of the tree */
	bool *touched;           /* [depth_max + 1]: a compared text began or ended on it */
	struct automaton *exact; /* NULL: nothing is compared */
	bool broken;             /* out of memory: for good */
	uint64_t exact_generation;
	uint64_t (*meets)[4]; /* [depth_max + 1]: automaton_meets */
};

/* ---- life ---- */

static size_t mask_words(const struct engine_constraint *c)
{
	return (size_t)engine_constraint_words(c) * (c->exact ? 2 : 1);
}

static int open_masks(struct engine_constraint *c, const struct engine *m, struct err *e)
{
	if (m->text == NULL)
		return err_set(e, ERR_UNSUPPORTED, "constraints need the model's tokenizer.json");
	TRY(language_trees(m->text, &c->trees, e));
	uint32_t depth = c->trees->later.depth_max;
	if (c->trees->differs && c->trees->first.depth_max > depth)
		depth = c->trees->first.depth_max;
	size_t bytes = mask_words(c) * sizeof(uint64_t),
	       count = LIMIT_CONSTRAINT_CACHE / (bytes + 1);
	c->masks = count < 64 ? 64 : count > 8192 ? 8192 : (uint32_t)count;
	c->mask = calloc(c->masks, sizeof *c->mask);
	c->walk = calloc((size_t)depth + 1, sizeof *c->walk);
	c->touched = calloc((size_t)depth + 1, sizeof *c->touched);
	c->meets = calloc((size_t)depth + 1, sizeof *c->meets);
	return c->mask == NULL || c->walk == NULL || c->touched == NULL || c->meets == NULL
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
	c->generation = c->exact_generation = 1;
	c->digest = digest_constraint(t);
	atomic_fetch_add(&m->scheduler->constraints, 1);
	int rc = grammar_open(&c->grammar, t, e);
	if (rc == 0)
		rc = automaton_open(&c->automaton, c->grammar, e);
	if (rc == 0 && grammar_compares(c->grammar))
		rc = automaton_open_exact(&c->exact, c->grammar, e);
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
	atomic_fetch_sub(&c->engine->scheduler->constraints, 1);
	free(c->mask);
	free(c->walk);
	free(c->touched);
	free(c->meets);
	automaton_close(c->exact);
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

/* Where many constraints are open each has a share of the memory for all: what has grown beyond it
 * begins again, and what is allowed stays the same. */
static int keep_share(struct engine_constraint *c, struct err *e)
{
	size_t open = atomic_load(&c->engine->scheduler->constraints),
	       share = LIMIT_CONSTRAINTS_BYTES / (open > 0 ? open : 1),
	       bytes = automaton_bytes(c->automaton) + (c->exact ? automaton_bytes(c->exact) : 0) +
		       c->made * mask_words(c) * sizeof(uint64_t);
	if (!c->broken && bytes > share) {
		for (uint32_t i = 0; i < c->masks; i++) {
			free(c->mask[i].bits);
			c->mask[i] = (struct mask){ 0 };
		}
		c->made = 0;
		c->generation++;
		c->exact_generation++;
		c->broken = automaton_release(c->automaton) < 0 ||
			    (c->exact && automaton_release(c->exact) < 0);
	}
	return c->broken ? err_set(e, ERR_NOMEM, "out of memory for the constraint") : 0;
}

/* Over the bytes of a token. */
static uint32_t take_bytes(struct automaton *a, uint32_t at, const struct token_tree *t,
			   uint32_t id)
{
	for (uint32_t i = t->offset[id]; i < t->offset[id + 1] && at >= AUTOMATON_START; i++)
		at = automaton_take(a, at, (uint8_t)t->bytes[i]);
	return at;
}

static uint32_t take_mark(struct automaton *a, uint32_t at)
{
	return at < AUTOMATON_START ? at : automaton_take(a, at, TOKEN_MARK);
}

/* The control token that lies between two marks; `inside`: after the first. */
static uint32_t take_control(const struct engine_constraint *c, struct automaton *a,
			     uint32_t inside, uint32_t id)
{
	return take_mark(a, take_bytes(a, inside, &c->trees->later, id));
}

static uint32_t take_token(const struct engine_constraint *c, struct automaton *a, uint32_t at,
			   uint32_t id, bool first)
{
	if (id >= c->trees->ids)
		return AUTOMATON_DEAD;
	if (!token_trees_holds(c->trees, id))
		return take_control(c, a, take_mark(a, at), id);
	return take_bytes(a, at, token_trees_at(c->trees, first), id);
}

/* Go on over the ids. False: the automaton is full. */
static bool place_advance(struct engine_constraint *c, struct constraint_place *p,
			  const uint32_t *id, uint32_t count)
{
	if (p->generation != c->generation) {
		p->generation = c->generation;
		p->at = AUTOMATON_START;
		p->steps = 0;
	}
	for (; p->steps < count; p->steps++) {
		uint32_t at = take_token(c, c->automaton, p->at, id[p->steps], p->steps == 0);
		if (at == AUTOMATON_FULL)
			return false;
		p->at = at;
	}
	return true;
}

/* The same over the exact automaton. */
static bool place_advance_exact(struct engine_constraint *c, struct constraint_place *p,
				const uint32_t *id, uint32_t count)
{
	if (p->exact_generation != c->exact_generation) {
		p->exact_generation = c->exact_generation;
		p->exact_at = AUTOMATON_START;
		p->exact_steps = 0;
	}
	for (; p->exact_steps < count; p->exact_steps++) {
		uint32_t i = p->exact_steps,
			 at = take_token(c, c->exact, p->exact_at, id[i], i == 0);
		if (at == AUTOMATON_FULL)
			return false;
		p->exact_at = at;
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
	uint32_t inside = take_mark(c->automaton, at);
	for (uint32_t i = 0; i < c->trees->controls && inside >= AUTOMATON_START; i++) {
		uint32_t id = c->trees->control[i],
			 next = take_control(c, c->automaton, inside, id);
		if (next == AUTOMATON_FULL)
			return false;
		m->limited |= next == AUTOMATON_LIMIT;
		if (next >= AUTOMATON_START)
			m->bits[id / 64] |= (uint64_t)1 << (id % 64);
		if (next >= AUTOMATON_START && c->exact)
			m->bits[engine_constraint_words(c) + id / 64] |= (uint64_t)1 << (id % 64);
	}
	m->limited |= inside == AUTOMATON_LIMIT;
	return inside != AUTOMATON_FULL;
}

/* False: the automaton is full. Nearly all transitions are known: they are read from its rows. */
static bool mask_fill(struct engine_constraint *c, const struct token_tree *t, uint32_t at,
		      struct mask *m)
{
	const uint8_t *class = automaton_classes(c->automaton);
	uint32_t words = engine_constraint_words(c);
	memset(m->bits, 0, mask_words(c) * sizeof *m->bits);
	m->limited = false;
	c->walk[0] = at;
	uint32_t walked = 0;
	for (uint32_t i = 0; i < t->nodes && at >= AUTOMATON_START;) {
		const struct token_node *node = &t->node[i];
		uint32_t from = c->walk[node->depth - 1];
		uint32_t next = automaton_row(c->automaton, from)[class[node->byte]];
		if (next == AUTOMATON_FULL)
			next = automaton_take(c->automaton, from, node->byte);
		if (next == AUTOMATON_FULL ||
		    (++walked % NODES_A_LOOK == 0 &&
		     !automaton_spend(c->automaton, NODES_A_LOOK / NODES_A_STEP)))
			return false;
		if (next < AUTOMATON_START) {
			m->limited |= next == AUTOMATON_LIMIT;
			i = node->end;
			continue;
		}
		c->walk[node->depth] = next;
		mask_set(m->bits, t, node->token);
		c->touched[node->depth] = c->exact && (c->touched[node->depth - 1] ||
						       automaton_touches(c->automaton, next));
		if (c->touched[node->depth])
			mask_set(m->bits + words, t, node->token);
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
	if (m->bits == NULL) {
		m->bits = calloc(mask_words(c), sizeof *m->bits);
		c->made += m->bits != NULL;
	}
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

/* ---- texts that must differ ---- */

static void mask_clear(uint64_t *bits, const struct token_tree *t, uint32_t token)
{
	for (; token != TOKENIZER_NONE; token = t->same[token])
		bits[token / 64] &= ~((uint64_t)1 << (token % 64));
}

/* Take out of mask the tokens in which a compared text begins or ends, where the exact automaton
 * does not take them. False: it is full. */
static bool filter_touching(struct engine_constraint *c, const struct constraint_place *p,
			    const uint64_t *touch, bool first, uint64_t *mask, bool *limited)
{
	for (uint32_t w = 0; w < engine_constraint_words(c); w++) {
		for (uint64_t left = mask[w] & touch[w]; left != 0; left &= left - 1) {
			uint32_t id = w * 64 + (uint32_t)__builtin_ctzll(left);
			uint32_t at = take_token(c, c->exact, p->exact_at, id, first);
			if (at == AUTOMATON_FULL)
				return false;
			*limited = *limited || at == AUTOMATON_LIMIT;
			if (at < AUTOMATON_START)
				mask[w] &= ~(left & -left);
		}
	}
	return true;
}

/* The same for those along former texts. */
static bool filter_meeting(struct engine_constraint *c, const struct constraint_place *p,
			   bool first, uint64_t *mask)
{
	const struct token_tree *t = token_trees_at(c->trees, first);
	c->walk[0] = p->exact_at;
	automaton_meets(c->exact, p->exact_at, c->meets[0]);
	for (uint32_t i = 0; i < t->nodes;) {
		const struct token_node *node = &t->node[i];
		uint32_t depth = node->depth, from = c->walk[depth - 1];
		if ((c->meets[depth - 1][node->byte / 64] >> node->byte % 64 & 1) == 0) {
			i = node->end;
			continue;
		}
		uint32_t next = automaton_take(c->exact, from, node->byte);
		if (next == AUTOMATON_FULL)
			return false;
		if (next < AUTOMATON_START) {
			for (; i < node->end; i++)
				mask_clear(mask, t, t->node[i].token);
			i = node->end;
			continue;
		}
		c->walk[depth] = next;
		automaton_meets(c->exact, next, c->meets[depth]);
		i++;
	}
	return true;
}

/* ---- questions ---- */

static bool look_plain(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		       uint32_t count, struct mask **m, bool with_mask,
		       struct constraint_state *out, int *rc, struct err *e)
{
	if (!place_advance(c, p, id, count))
		return false;
	if (with_mask && (*m = mask_at(c, p->at, count == 0, rc, e)) == NULL)
		return *rc < 0;
	*out = (struct constraint_state){ automaton_accepts(c->automaton, p->at),
					  automaton_goes_on(c->automaton, p->at),
					  p->at == AUTOMATON_LIMIT ||
						  (*m != NULL && (*m)->limited) };
	return true;
}

/* Make mask and state exact. touch: NULL without a mask. */
static bool look_exact(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		       uint32_t count, const uint64_t *touch, uint64_t *mask,
		       struct constraint_state *out)
{
	if (!place_advance_exact(c, p, id, count))
		return false;
	out->ends = automaton_accepts(c->exact, p->exact_at);
	out->goes_on = automaton_goes_on(c->exact, p->exact_at);
	out->limited = out->limited || p->exact_at == AUTOMATON_LIMIT;
	if (mask == NULL)
		return true;
	if (p->exact_at < AUTOMATON_START) {
		memset(mask, 0, engine_constraint_words(c) * sizeof *mask);
		return true;
	}
	return filter_touching(c, p, touch, count == 0, mask, &out->limited) &&
	       filter_meeting(c, p, count == 0, mask);
}

static bool is_held(const struct engine_constraint *c)
{
	return automaton_is_held(c->automaton) || (c->exact && automaton_is_held(c->exact));
}

static int look(struct engine_constraint *c, struct constraint_place *p, const uint32_t *id,
		uint32_t count, uint64_t *mask, struct constraint_state *out, struct err *e)
{
	struct mask *m = NULL;
	size_t words = engine_constraint_words(c);
	int rc = 0;
	bool known = look_plain(c, p, id, count, &m, mask != NULL, out, &rc, e);
	if (!known && !is_held(c)) {
		forget(c);
		known = look_plain(c, p, id, count, &m, mask != NULL, out, &rc, e);
	}
	for (int attempt = 0; known && rc == 0 && attempt < 2; attempt++) {
		if (mask != NULL)
			memcpy(mask, m->bits, words * sizeof *mask);
		if (!c->exact ||
		    look_exact(c, p, id, count, mask != NULL ? m->bits + words : NULL, mask, out))
			return 0;
		if (is_held(c))
			break;
		automaton_reset(c->exact);
		c->exact_generation++;
	}
	if (rc == 0 && is_held(c))
		return p->stop && atomic_load(p->stop)
			       ? err_set(e, ERR_UNAVAILABLE, "the answer is not wanted any more")
			       : 1;
	return rc < 0 ? rc
		      : err_set(e, ERR_INPUT,
				"the constraint needs more than %zu MiB or %u steps for one token "
				"after %u tokens",
				LIMIT_CONSTRAINT_CACHE >> 20, LIMIT_CONSTRAINT_WORK, count);
}

int engine_constraint_mask(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, uint64_t *mask,
			   struct constraint_state *out, struct err *e)
{
	uint32_t work = p->work > 0 ? p->work : UINT32_MAX;
	pthread_mutex_lock(&c->lock);
	automaton_allow(c->automaton, work, p->stop);
	if (c->exact)
		automaton_allow(c->exact, work, p->stop);
	int rc = keep_share(c, e);
	if (rc == 0)
		rc = look(c, p, id, count, mask, out, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int engine_constraint_look(struct engine_constraint *c, struct constraint_place *p,
			   const uint32_t *id, uint32_t count, struct constraint_state *out,
			   struct err *e)
{
	return engine_constraint_mask(c, p, id, count, NULL, out, e);
}
