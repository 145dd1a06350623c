/* Where a server listens:
 *
 *   HOST:PORT    HOST an address of IPv4, or of IPv6 in brackets, or "localhost"; with TLS where
 *                there is a certificate, unless "http://" stands before it
 *   unix:PATH    for this user and root alone
 *
 * Whoever reaches an address that is not the machine's own is a stranger: there every request has
 * to say who asks. */
#include "server/listen.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "HOST:PORT" or "[HOST]:PORT" into host[64] without brackets. */
static int split_address(const char *text, char host[64], uint16_t *port, struct err *e)
{
	bool bracket = text[0] == '[';
	const char *begin = text + bracket;
	const char *end = bracket ? strchr(begin, ']') : strrchr(begin, ':');
	const char *colon = bracket && end ? end + 1 : end;
	uint64_t number;
	if (!end || *colon != ':' || end == begin || end - begin >= 64 ||
	    text_parse_u64(colon + 1, strlen(colon + 1), &number) < 0 || number > 65535)
		return err_set(e, ERR_INPUT,
			       "listen address: expected HOST:PORT as in 127.0.0.1:8080, or "
			       "unix:PATH, found \"%.100s\"",
			       text);
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	*port = (uint16_t)number;
	return 0;
}

/* Whether strangers may be let in here: they have to say who they are, and nobody on the way may
 * read it unless that was asked for. */
static int check_reach(const struct server_options *o, const struct listener *l, const char *host,
		       bool said_plain, struct err *e)
{
	if (is_loopback(host))
		return 0;
	bool certified = l->tls && o->tls.client_ca;
	if (o->auth == SERVER_AUTH_NONE && !certified)
		return err_set(
			e, ERR_DENIED,
			"listen on %.64s: anyone who reaches it could ask, for neither a token nor a "
			"client's certificate is asked for: ask for tokens, or listen on 127.0.0.1",
			host);
	if (!certified && (!o->access || access_count(o->access, true) == 0))
		return err_set(e, ERR_DENIED,
			       "listen on %.64s: there is no token, so nobody could ask: make one "
			       "first with `hallmark token new --name NAME --role user`",
			       host);
	if (!l->tls && !said_plain)
		return err_set(e, ERR_DENIED,
			       "listen on %.64s: tokens would travel in the clear: give a TLS "
			       "certificate and key, or, where a proxy speaks TLS, say "
			       "http://%.64s:PORT",
			       host, host);
	return 0;
}

static int listen_local(struct server *s, struct listener *l, const char *path, struct err *e)
{
	if (strlen(path) >= LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "listen address: the path is too long");
	l->local = true;
	snprintf(l->url, sizeof l->url, "unix:%s", path);
	l->fd = s->net.listen_local(s->net.ctx, path, e);
	return l->fd < 0 ? l->fd : 0;
}

static int listen_tcp(struct server *s, const struct server_options *o, struct listener *l,
		      const char *address, struct err *e)
{
	bool said_plain = text_starts(address, "http://");
	bool said_tls = text_starts(address, "https://");
	char host[64];
	uint16_t port;
	TRY(split_address(address + (said_plain ? 7 : said_tls ? 8 : 0), host, &port, e));
	l->tls = s->tls.now && !said_plain;
	if (said_tls && !l->tls)
		return err_set(e, ERR_INPUT, "listen on %.100s: there is no TLS certificate",
			       address);
	TRY(check_reach(o, l, host, said_plain, e));
	l->fd = s->net.listen(s->net.ctx, host, &port, e);
	if (l->fd < 0)
		return l->fd;
	const char *shown = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	snprintf(l->url, sizeof l->url, strchr(shown, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
		 l->tls ? "https" : "http", shown, (unsigned)port);
	return 0;
}

static int listen_at(struct server *s, const struct server_options *o,
		     const struct server_listener *at, struct err *e)
{
	struct listener *l = &s->listener[s->listeners];
	*l = (struct listener){ .admin = at->admin };
	if (text_starts(at->address, "unix:"))
		TRY(listen_local(s, l, at->address + 5, e));
	else if (at->admin)
		return err_set(e, ERR_UNSUPPORTED,
			       "the admin listener is a Unix socket: unix:PATH");
	else
		TRY(listen_tcp(s, o, l, at->address, e));
	s->listeners++;
	return 0;
}

int server_listen(struct server *s, const struct server_options *o, struct err *e)
{
	static const struct server_listener usual = { .address = "127.0.0.1:8080" };
	if (o->listeners == 0)
		return listen_at(s, o, &usual, e);
	if (o->listeners > SERVER_LISTENERS_MAX)
		return err_set(e, ERR_INPUT, "at most %d listeners", SERVER_LISTENERS_MAX);
	for (unsigned i = 0; i < o->listeners; i++)
		TRY(listen_at(s, o, &o->listener[i], e));
	return 0;
}

void server_listen_end(struct server *s)
{
	for (unsigned i = 0; i < s->listeners; i++) {
		struct listener *l = &s->listener[i];
		if (l->fd < 0)
			continue;
		s->net.close(s->net.ctx, l->fd);
		l->fd = -1;
		if (l->local)
			unlink(l->url + strlen("unix:"));
	}
}

const char *server_url(const struct server *s, unsigned i)
{
	return i < s->listeners ? s->listener[i].url : NULL;
}

const char *server_address(const struct server *s)
{
	const char *url = s->listener[0].url, *slashes = strstr(url, "://");
	return s->listener[0].local || !slashes ? url : slashes + 3;
}
