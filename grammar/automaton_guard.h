/* Private: what an exact automaton remembers of texts that must differ (@scope and @once).
 *
 * A guard is the scopes at work, innermost first. A scope knows the texts that it had, and the one
 * at work. All are numbered by content: equal histories are one guard. */
#ifndef GRAMMAR_AUTOMATON_GUARD_H
#define GRAMMAR_AUTOMATON_GUARD_H

#include "grammar/network.h"
#include "grammar/network_sets.h"

#define GUARD_NONE 0 /* no scope */
#define GUARD_BROKEN \
	UINT32_MAX     /* a text that the scope had, or out of memory: then failed is set */
#define GUARD_DEPTH 64 /* scopes in scopes */

struct guards {
	struct network_sets text;   /* {text before, byte and where in JSON it is}; 0: empty */
	struct network_sets former; /* {formers before, text}, {its value, 0}; 0: none */
	struct network_sets
		guard; /* {outer, formers}, {text at work or NONE, whether it is free} */
	struct text_links {
		uint32_t entry, child, sibling; /* 0: none */
	} * links; /* [texts]: formers that begin with it, and texts of one byte more */
	struct text_entry {
		uint32_t former, next;
	} * entry;
	uint32_t link_room, entries, entry_room;
	uint32_t work;
	bool failed; /* out of memory */
	bool deep;   /* scopes nest too deeply */
};

int guards_open(struct guards *g) MUST_USE; /* also empties it; ERR_NOMEM */
void guards_close(struct guards *g);
size_t guards_bytes(const struct guards *g);
/* The guard behind a mark (NETWORK_SCOPE_BEGIN and its like), or behind a byte. */
uint32_t guards_mark(struct guards *g, uint32_t guard, uint8_t mark);
uint32_t guards_byte(struct guards *g, uint32_t guard, uint8_t byte);
/* No text at work, of any scope, is the beginning of one that its scope had. */
bool guards_free(const struct guards *g, uint32_t guard);
/* set: added, the bytes with which a text at work would go on as the beginning of a former one. */
void guards_next(struct guards *g, uint32_t guard, uint64_t set[4]);

#endif
