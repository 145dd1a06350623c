/* Who the person is that asks: said by a field of the head that the operator has named, by callers
 * that may say it. A proxy that knows its users puts the field there, and has taken away what a
 * user wrote into it; whoever holds a token of their own has no say. */
#include "server/subject.h"
#include "server/origin.h"
#include "net/tls.h"

#include <string.h>
#include <strings.h>

bool server_subject_header_ok(const char *name)
{
	static const char *const taken[] = { "host",         "content-length", "authorization",
					     "content-type", "origin",         "transfer-encoding",
					     "expect",       "connection",     "content-encoding",
					     "x-api-key",    "x-request-id",   "x-forwarded-for" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		if (strcasecmp(name, taken[i]) == 0)
			return false;
	return len > 0 && len <= 60 && strspn(name, letters) == len;
}

/* Every holder of a certificate would erase, and use up, what is another's: a proxy that is trusted
 * has a say without a token, and whoever this machine itself lets ask without one. */
static bool may_name(const struct exchange *x)
{
	if (x->caller.id[0])
		return x->caller.names_subjects;
	bool certified = x->c->tls && net_tls_peer(x->c->tls);
	return !certified || (x->c->origin && x->c->origin->trusted);
}

int server_subject_read(const struct exchange *x, char out[SUBJECT_ROOM], struct err *e)
{
	const struct server_options *o = &x->s->limits;
	const struct intake *in = x->c->in;
	struct head_slice v;
	out[0] = 0;
	unsigned n = o->subject_header
			     ? server_head_find(&in->head, in->bytes, o->subject_header, &v)
			     : 0;
	if (n == 0)
		return 0;
	if (!may_name(x))
		return err_set(e, ERR_DENIED, "this %s may not say who asks (%.60s)",
			       x->caller.id[0] ? "token" : "certificate", o->subject_header);
	if (n > 1 || v.len == 0 || v.len >= SUBJECT_ROOM || memchr(v.bytes, 0, v.len))
		return err_set(e, ERR_INPUT, "%.60s: expected one name of 1 to %d bytes",
			       o->subject_header, SUBJECT_ROOM - 1);
	memcpy(out, v.bytes, v.len);
	out[v.len] = 0;
	return 0;
}
