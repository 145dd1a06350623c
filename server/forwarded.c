/* X-Forwarded-For: each proxy appends who asked it. So the last address is what the proxy in front
 * of us saw; what stands before it anyone may have written. It is read from the end for as long as
 * the address before is that of a proxy that is believed. From anyone else it is nothing. */
#include "server/forwarded.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* "1.2.3.4", "1:2::3", "[1:2::3]", the first and the last perhaps with ":PORT". */
static bool read_address(struct head_slice text, struct net_peer *out)
{
	char copy[64];
	uint8_t v4[4];
	struct net_peer peer = { 0 };
	if (text.len == 0 || text.len >= sizeof copy)
		return false;
	memcpy(copy, text.bytes, text.len);
	copy[text.len] = '\0';
	char *from = copy, *colon = strchr(copy, ':');
	if (*from == '[') {
		char *end = strchr(++from, ']');
		if (!end)
			return false;
		*end = '\0';
	} else if (colon && !strchr(colon + 1, ':')) {
		*colon = '\0';
	}
	if (inet_pton(AF_INET, from, v4) == 1) {
		peer.address[10] = peer.address[11] = 0xff;
		memcpy(peer.address + 12, v4, 4);
	} else if (inet_pton(AF_INET6, from, peer.address) != 1) {
		return false;
	}
	*out = peer;
	return true;
}

static int add_block(struct server *s, const char *text, size_t len, struct err *e)
{
	struct net_block *b = &s->trusted[s->trusted_count];
	const char *slash = memchr(text, '/', len);
	struct head_slice address = { text, slash ? (size_t)(slash - text) : len };
	uint64_t bits = 128;
	bool is_local = len == 4 && memcmp(text, "unix", 4) == 0, ok = is_local;
	*b = (struct net_block){ .peer = { .local = is_local } };
	if (!is_local) {
		bool is_v4 = !memchr(address.bytes, ':', address.len);
		ok = read_address(address, &b->peer);
		if (ok && slash) {
			size_t digits = len - address.len - 1;
			ok = text_parse_u64(slash + 1, digits, &bits) == 0 &&
			     bits <= (is_v4 ? 32 : 128);
			bits += is_v4 ? 96 : 0;
		}
	}
	b->bits = (unsigned)bits;
	if (!ok)
		return err_set(
			e, ERR_INPUT,
			"trusted proxy: expected an address, ADDRESS/BITS or \"unix\", found "
			"\"%.*s\"",
			(int)(len < 100 ? len : 100), text);
	s->trusted_count++;
	return 0;
}

int server_forwarded_open(struct server *s, const struct server_options *o, struct err *e)
{
	for (const char *at = o->trusted_proxies; at;) {
		size_t len = strcspn(at, ",");
		if (s->trusted_count == SERVER_TRUSTED_MAX)
			return err_set(e, ERR_INPUT, "at most %d trusted proxies",
				       SERVER_TRUSTED_MAX);
		TRY(add_block(s, at, len, e));
		at = at[len] ? at + len + 1 : NULL;
	}
	return 0;
}

static bool is_in(const struct net_block *b, const struct net_peer *peer)
{
	if (b->peer.local || peer->local)
		return b->peer.local && peer->local;
	unsigned whole = b->bits / 8, rest = b->bits % 8;
	if (memcmp(b->peer.address, peer->address, whole) != 0)
		return false;
	unsigned mask = 0xff00u >> rest & 0xff;
	return rest == 0 || ((b->peer.address[whole] ^ peer->address[whole]) & mask) == 0;
}

bool server_forwarded_trusts(const struct server *s, const struct net_peer *peer)
{
	for (unsigned i = 0; i < s->trusted_count; i++)
		if (is_in(&s->trusted[i], peer))
			return true;
	return false;
}

/* Take the last member off a list. False: it is empty. */
static bool take_last(struct head_slice *list, struct head_slice *last)
{
	size_t end = list->len, begin;
	while (end && strchr(" \t,", list->bytes[end - 1]))
		end--;
	for (begin = end; begin && !strchr(" \t,", list->bytes[begin - 1]);)
		begin--;
	*last = (struct head_slice){ list->bytes + begin, end - begin };
	list->len = begin;
	return end > begin;
}

void server_forwarded_read(struct connection *c)
{
	struct head_slice list = c->in->head.field[HEAD_FORWARDED_FOR], last;
	struct net_peer next;
	c->client = c->peer;
	while (server_forwarded_trusts(c->s, &c->client) && list.bytes && take_last(&list, &last) &&
	       read_address(last, &next))
		c->client = next;
}

void server_forwarded_share(const struct connection *c, char out[SERVER_SHARE_ROOM])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	const struct net_peer *p = &c->client;
	uint8_t block[16] = { 0 };
	char text[INET6_ADDRSTRLEN] = "";
	bool is_v4 = memcmp(p->address, v4, sizeof v4) == 0;
	memcpy(block, p->address, is_v4 ? 16 : 8);
	inet_ntop(AF_INET6, block, text, sizeof text);
	if (p->local)
		snprintf(out, SERVER_SHARE_ROOM, "uid:%u", (unsigned)p->uid);
	else
		snprintf(out, SERVER_SHARE_ROOM, is_v4 ? "%s" : "%s/64", text);
}
