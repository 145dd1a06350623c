#include "tests/shared/acceptor.h"

int acceptor_open_framed(struct acceptor *a, const struct grammar_text *t, struct err *e)
{
	int rc;
	*a = (struct acceptor){ 0 };
	TRY_OUT(grammar_open(&a->grammar, t, e));
	TRY_OUT(grammar_compares(a->grammar) ? automaton_open_exact(&a->automaton, a->grammar, e)
					     : automaton_open(&a->automaton, a->grammar, e));
	return 0;
out:
	acceptor_close(a);
	return rc;
}

int acceptor_open(struct acceptor *a, enum grammar_kind kind, const char *text, size_t len, struct err *e)
{
	return acceptor_open_framed(a, &(struct grammar_text){ .kind = kind, .text = text, .len = len }, e);
}

void acceptor_close(struct acceptor *a)
{
	automaton_close(a->automaton);
	grammar_close(a->grammar);
	*a = (struct acceptor){ 0 };
}

static uint32_t read_bytes(const struct acceptor *a, const char *text, size_t len)
{
	uint32_t at = AUTOMATON_START;
	for (size_t i = 0; i < len && at >= AUTOMATON_START; i++)
		at = automaton_take(a->automaton, at, (uint8_t)text[i]);
	return at;
}

bool acceptor_takes(const struct acceptor *a, const char *text, size_t len, bool whole)
{
	uint32_t at = read_bytes(a, text, len);
	if (at == AUTOMATON_FULL) {
		automaton_reset(a->automaton);
		at = read_bytes(a, text, len);
	}
	return at >= AUTOMATON_START && (!whole || automaton_accepts(a->automaton, at));
}
