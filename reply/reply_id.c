/* Ids of calls: templates demand a form of them, and print them for the model to see. */
#include "reply/reply_in.h"

#include <stdio.h>
#include <string.h>

#define FUNCTIONS "functions."
#define INDEX_DIGITS 4

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* functions.NAME:INDEX; how long NAME is, 0: not of this form. */
static size_t function_length(const char *id)
{
	const char *colon = strrchr(id, ':');
	size_t prefix = strlen(FUNCTIONS), digits = colon ? strlen(colon + 1) : 0;
	if (!colon || strncmp(id, FUNCTIONS, prefix) != 0 || digits < 1 || digits > INDEX_DIGITS ||
	    strspn(colon + 1, "0123456789") != digits)
		return 0;
	size_t len = (size_t)(colon - id) - prefix;
	for (size_t i = 0; i < len; i++)
		if (!reply_bare((unsigned char)id[prefix + i]))
			return 0;
	return len;
}

bool reply_id_names(const char *id, const char *name, size_t len)
{
	return len > 0 && strlen(id) < REPLY_ID_BYTES && function_length(id) == len &&
	       memcmp(id + strlen(FUNCTIONS), name, len) == 0;
}

bool reply_id_fits(enum reply_ids form, const char *id)
{
	size_t len = strlen(id);
	if (form == REPLY_IDS_FUNCTION)
		return function_length(id) > 0;
	for (size_t i = 0; i < len && form == REPLY_IDS_NINE; i++)
		if (!is_alphanumeric(id[i]))
			return false;
	return form == REPLY_IDS_CALL || len == 9;
}

/* Nine digits of base 62: uniform enough, and no two calls of a conversation share one. */
static void make_nine(const struct digest *from, char *out)
{
	static const char digit[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | from->bytes[i];
	for (int i = 0; i < 9; i++, v /= 62)
		out[i] = digit[v % 62];
	out[9] = 0;
}

void reply_id_make(enum reply_ids form, const struct digest *from, const char *name, unsigned index,
		   char out[REPLY_ID_BYTES])
{
	char hex[65];
	int n = form == REPLY_IDS_FUNCTION
			? snprintf(out, REPLY_ID_BYTES, FUNCTIONS "%s:%u", name, index)
			: 0;
	if (n > 0 && n < REPLY_ID_BYTES && function_length(out) > 0)
		return;
	if (form == REPLY_IDS_NINE) {
		make_nine(from, out);
		return;
	}
	digest_hex(from, hex);
	snprintf(out, REPLY_ID_BYTES, "call_%.24s", hex);
}
