#include "base/check.h"
#include "server/forwarded.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The field of a trusted proxy: whatever stands there, the client is the proxy or an address, and the bytes
 * in front of the last member change nothing unless that is a trusted proxy too. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct server s;
	static struct intake in;
	static const struct server_options o = { .trusted_proxies = "10.0.0.0/9,2001:db8::/33,192.0.2.1" };
	char share[SERVER_SHARE_ROOM];
	struct net_peer proxy = { .address = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } };
	struct connection c = { .s = &s, .in = &in, .peer = proxy };
	if (!s.trusted_count)
		check(server_forwarded_open(&s, &o, NULL) == 0);
	in.head.field[HEAD_FORWARDED_FOR] = (struct head_slice){ (const char *)bytes, len };
	server_forwarded_read(&c);
	server_forwarded_share(&c, share);
	check(memchr(share, 0, sizeof share) && strlen(share) >= 2 && !c.client.local);
	const uint8_t *comma = len ? memrchr(bytes, ',', len) : NULL;
	if (comma && !server_forwarded_trusts(&s, &c.client)) {
		struct net_peer client = c.client;
		size_t rest = len - (size_t)(comma - bytes);
		in.head.field[HEAD_FORWARDED_FOR] = (struct head_slice){ (const char *)comma, rest };
		server_forwarded_read(&c);
		check(server_forwarded_trusts(&s, &c.client) || memcmp(&client, &c.client, sizeof client) == 0);
	}
	return 0;
}
