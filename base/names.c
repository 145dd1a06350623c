#include "base/names.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define COMPONENTS_MAX 64 /* as deep as a tree that base can remove again */

static int component_check(const char *name, const char *part, size_t len, struct err *e)
{
	if (len == 0)
		return err_set(e, ERR_INPUT,
			       "\"%.200s\": empty component, leading or trailing slash", name);
	if ((len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.'))
		return err_set(e, ERR_INPUT, "\"%.200s\": \"%.*s\" component", name, (int)len,
			       part);
	if (len > LIMIT_NAME_BYTES)
		return err_set(e, ERR_INPUT, "\"%.200s...\": component longer than %d bytes", name,
			       LIMIT_NAME_BYTES);
	return 0;
}

int name_check(const char *name, size_t len, struct err *e)
{
	if (len == 0 || len >= LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "a file name of %zu bytes", len);
	if (strlen(name) != len || !text_utf8_valid(name, len))
		return err_set(e, ERR_INPUT, "\"%.200s\": a file name that is not UTF-8 text",
			       name);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return err_set(e, ERR_INPUT,
				       "\"%.200s\": a file name with the control byte 0x%02x at %zu",
				       name, name[i], i);
	const char *part = name;
	for (int n = 1;; n++) {
		size_t part_len = strcspn(part, "/");
		TRY(component_check(name, part, part_len, e));
		if (part[part_len] == '\0')
			return 0;
		if (n == COMPONENTS_MAX)
			return err_set(e, ERR_INPUT, "\"%.200s...\": more than %d folders deep",
				       name, COMPONENTS_MAX);
		part += part_len + 1;
	}
}

/* A name in the set: `folded` is the key; `spelled` tells a case variant from a duplicate. */
struct known {
	char *folded, *spelled;
	bool folder;
};

/* Open addressing; the hash is keyed with fresh randomness, so that an archive cannot aim at one
 * slot. */
struct names {
	struct known *slot;
	size_t room, count;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

int names_open(struct names **out, struct err *e)
{
	struct names *n = calloc(1, sizeof *n);
	if (!n)
		return err_set(e, ERR_NOMEM, "out of memory for names");
	randombytes_buf(n->key, sizeof n->key);
	*out = n;
	return 0;
}

void names_close(struct names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->room; i++) {
		free(n->slot[i].folded);
		free(n->slot[i].spelled);
	}
	free(n->slot);
	free(n);
}

static struct known *find(const struct names *n, const char *folded, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t h;
	crypto_shorthash(out, (const uint8_t *)folded, len, n->key);
	memcpy(&h, out, sizeof h);
	for (size_t i = (size_t)h & (n->room - 1);; i = (i + 1) & (n->room - 1)) {
		struct known *k = &n->slot[i];
		if (!k->folded || (strncmp(k->folded, folded, len) == 0 && k->folded[len] == '\0'))
			return k;
	}
}

static int grow(struct names *n, struct err *e)
{
	struct names wider = *n;
	if (n->count + 1 <= n->room / 2)
		return 0;
	wider.room = n->room ? n->room * 2 : 64;
	wider.slot = calloc(wider.room, sizeof *wider.slot);
	if (!wider.slot)
		return err_set(e, ERR_NOMEM, "out of memory for names");
	for (size_t i = 0; i < n->room; i++)
		if (n->slot[i].folded)
			*find(&wider, n->slot[i].folded, strlen(n->slot[i].folded)) = n->slot[i];
	free(n->slot);
	*n = wider;
	return 0;
}

static int refuse(const struct known *k, const char *name, bool folder, struct err *e)
{
	if (strcmp(k->spelled, name) != 0)
		return err_set(e, ERR_INPUT,
			       "\"%.200s\" and \"%.200s\" differ only by case or normalisation",
			       k->spelled, name);
	if (k->folder != folder)
		return err_set(e, ERR_INPUT, "\"%.200s\" is a file and a folder", name);
	return err_set(e, ERR_INPUT, "\"%.200s\": duplicate", name);
}

/* Add spelled[0..spelled_len) under the key folded[0..folded_len). A folder may be added again. */
static int add_one(struct names *n, const char *folded, size_t folded_len, const char *spelled,
		   size_t spelled_len, bool folder, struct err *e)
{
	TRY(grow(n, e));
	struct known *k = find(n, folded, folded_len);
	char *name = strndup(spelled, spelled_len);
	if (!name)
		return err_set(e, ERR_NOMEM, "out of memory for names");
	if (k->folded) {
		int result = folder && k->folder && strcmp(k->spelled, name) == 0
				     ? 0
				     : refuse(k, name, folder, e);
		free(name);
		return result;
	}
	char *key = strndup(folded, folded_len);
	if (!key) {
		free(name);
		return err_set(e, ERR_NOMEM, "out of memory for names");
	}
	*k = (struct known){ key, name, folder };
	n->count++;
	return 0;
}

bool name_composed(const char *name)
{
	utf8proc_uint8_t *composed = utf8proc_NFC((const utf8proc_uint8_t *)name);
	bool same = composed && strcmp((const char *)composed, name) == 0;
	free(composed);
	return same;
}

int names_add(struct names *n, const char *name, bool folder, struct err *e)
{
	TRY(name_check(name, strlen(name), e));
	utf8proc_uint8_t *folded = NULL;
	if (utf8proc_map((const utf8proc_uint8_t *)name, 0, &folded,
			 UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE |
				 UTF8PROC_CASEFOLD) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for names");
	/* Neither folding nor composition makes or removes a slash: component i of one is component
	 * i of the other. */
	const char *f = (const char *)folded, *s = name;
	int result = 0;
	while (result == 0) {
		f += strcspn(f, "/");
		s += strcspn(s, "/");
		bool last = *s == '\0';
		result = add_one(n, (const char *)folded, (size_t)(f - (const char *)folded), name,
				 (size_t)(s - name), last ? folder : true, e);
		if (last)
			break;
		f++;
		s++;
	}
	free(folded);
	return result;
}
