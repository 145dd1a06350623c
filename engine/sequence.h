/* Private: one timeline, and the pages that hold its cache. */
#ifndef ENGINE_SEQUENCE_H
#define ENGINE_SEQUENCE_H

#include "engine/cache_pool.h"
#include "engine/pass.h"
#include "engine/state_pool.h"

/* What recurrent layers know of a sequence: sequence_state.c. Slots are STATE_NONE where there is
 * none, always so in a model without such layers. */
struct sequence_state {
	uint32_t slot, at;      /* stepped in place; tokens that it has seen */
	uint32_t save, save_at; /* gets a copy once save_at tokens have been seen */
	uint32_t restore;       /* pinned: the snapshot that the next pass goes on from */
	uint32_t branch;        /* where other texts went on from kept pages; 0: nowhere */
	struct cache_key last;  /* the page of its newest snapshot behind `fixed`; 0: none */
};

struct engine_sequence {
	struct engine *engine;
	uint32_t length, room;    /* tokens held; tokens_max */
	uint32_t pages;           /* at most */
	uint32_t *page;           /* [pages], as far as held: numbers of the backend's pages */
	struct cache_page **held; /* [pages] */
	uint32_t held_count;
	bool far;      /* turns by the far tables (config.rope_far): set while it is empty */
	uint32_t kept; /* of these, the first ones that are kept for others */
	struct sequence_state state;
	const struct engine_feed *fed; /* guards against the same sequence twice in a call */
};

/* Opened without pages: they are reserved, and taken as it grows. */
int sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
		  struct err *e) MUST_USE;
/* Hold pages for this many tokens in all, and a slot of state; false: no page or slot was left,
 * some may have been added. */
bool sequence_grow(struct engine_sequence *s, uint32_t tokens);
/* Give all pages back, and the slots. */
void sequence_release(struct engine_sequence *s);
/* Take pages from the prefix cache, as far as they hold token [count] before its last one. The
 * length must be a multiple of 64 and all held pages kept. With recurrent layers: as far as
 * there is a snapshot. Returns the tokens gained. */
uint32_t sequence_adopt(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
			uint32_t count);
/* Keep the pages that have become full of token [length], of the first `shared` ones. */
void sequence_keep(struct engine_sequence *s, struct cache_key root, const uint32_t *token,
		   uint32_t shared);
/* The key for the first page that is not kept: what precedes it. */
struct cache_key sequence_key(const struct engine_sequence *s, struct cache_key root);

/* sequence_state.c: hold a slot of state, if the model has any; false: none was left. */
bool sequence_state_take(struct engine_sequence *s);
void sequence_state_release(struct engine_sequence *s);
/* The sequence has just adopted pages behind token `had`: give those back again that come after the
 * last snapshot, from which the next pass goes on. */
void sequence_state_adopt(struct engine_sequence *s, uint32_t had);
/* The first position in (from, end] after which a snapshot is worth its memory, 0: none:
 *
 *   branch  the last full page that this text has in common with an earlier one. Where two texts
 *           part, more will
 *   prompt  the last full page of the prompt, which its next choice and its repetition go on from
 *   answer  the last full page of all, from which the next turn of a conversation goes on. Only the
 *           newest of these is kept
 *
 * Source: Pan et al., Marconi, arXiv 2411.19379. */
uint32_t sequence_state_border(const struct engine_sequence *s, uint32_t prompt, uint32_t from,
			       uint32_t end);
/* Have the next pass save the state after `at` tokens; false: no slot was left. */
bool sequence_state_save(struct engine_sequence *s, uint32_t at);
/* After a pass: what it saved becomes the snapshot of the page that ends there, if that is kept. */
void sequence_state_keep(struct engine_sequence *s, uint32_t prompt);
/* After a pass some of whose tokens do not count: back to `length` tokens, or, with recurrent
 * layers, to what was saved before. Returns how many tokens are missing to `length`. */
uint32_t sequence_back(struct engine_sequence *s, uint32_t length);

/* The pool of all sequences of the engine, as its options say. */
struct engine_options;
int sequence_pool_open(struct engine *m, const struct engine_options *o, struct err *e) MUST_USE;

#endif
