/* Whether a text is one of a grammar's, by the automaton over bytes. */
#ifndef TESTS_SHARED_ACCEPTOR_H
#define TESTS_SHARED_ACCEPTOR_H

#include "grammar/grammar.h"

struct acceptor {
	struct grammar *grammar;
	struct automaton *automaton;
};

/* As grammar_open; nothing to close where it fails. */
int acceptor_open(struct acceptor *a, enum grammar_kind kind, const char *text, size_t len,
                  struct err *e) MUST_USE;
int acceptor_open_framed(struct acceptor *a, const struct grammar_text *t, struct err *e) MUST_USE;
void acceptor_close(struct acceptor *a);
/* text is a whole answer, or the beginning of one. */
bool acceptor_takes(const struct acceptor *a, const char *text, size_t len, bool whole);

#endif
