/* Where each part of a schema stands, and what a $ref means: identifiers ($id, in draft 4 id) make
 * a part a resource with a URI of its own, anchors name places in it.
 *
 *   $ref := URI? ('#' (pointer | anchor))?     the URI relative to that of the resource it is in */
#include "grammar/schema_parts.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define URI_MAX 1024

struct place {
	const json_t *node;
	const char *key; /* of the member; NULL: an element */
	uint32_t parent, index, resource;
};

struct named { /* a resource or an anchor in one */
	const char *name;
	const json_t *node;
	uint32_t resource;
};

struct schema_places {
	struct place *at; /* [count]; the first is the root */
	uint32_t count, room;
	uint32_t *slot; /* by node: index + 1, or 0; twice as many as places, a power of two */
	uint32_t slots;
	struct named *resource, *anchor;
	uint32_t resources, resource_room, anchors, anchor_room;
	bool old; /* draft 7 or one before: by $schema, or as id and definitions are spelled */
};

/* ---- URIs ---- */

static size_t scheme_length(const char *uri)
{
	size_t n = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
	return n > 0 && uri[n] == ':' ? n + 1 : 0;
}

/* Scheme and authority. */
static size_t authority_length(const char *uri)
{
	size_t n = scheme_length(uri);
	if (strncmp(uri + n, "//", 2) == 0)
		n += 2 + strcspn(uri + n + 2, "/?#");
	return n;
}

/* Take "./" and "name/../" away, in place. */
static void dots_remove(char *path)
{
	char *to = path, *from = path;
	while (*from != '\0') {
		size_t n = strcspn(from, "/");
		bool one = n == 1 && from[0] == '.',
		     two = n == 2 && from[0] == '.' && from[1] == '.';
		if (two && to > path) {
			to--;
			while (to > path && to[-1] != '/')
				to--;
		} else if (!one && !two) {
			memmove(to, from, n);
			to += n;
			if (from[n] == '/')
				*to++ = '/';
		}
		from += n + (from[n] == '/');
	}
	*to = '\0';
}

/* RFC 3986, 5.2, without the fragment. */
static bool uri_resolve(const char *base, const char *ref, size_t len, char out[URI_MAX])
{
	size_t keep = 0;
	if (scheme_length(ref) > 0 && scheme_length(ref) <= len)
		keep = 0;
	else if (len >= 2 && strncmp(ref, "//", 2) == 0)
		keep = scheme_length(base);
	else if (len > 0 && *ref == '/')
		keep = authority_length(base);
	else if (len > 0 && *ref != '?')
		keep = strrchr(base, '/') != NULL &&
				       strrchr(base, '/') >= base + authority_length(base)
			       ? (size_t)(strrchr(base, '/') - base) + 1
			       : authority_length(base);
	else
		keep = strlen(base);
	if (keep + len >= URI_MAX)
		return false;
	memcpy(out, base, keep);
	memcpy(out + keep, ref, len);
	out[keep + len] = '\0';
	size_t path = authority_length(out);
	if (out[path] == '/')
		dots_remove(out + path + 1);
	else if (scheme_length(out) == 0)
		dots_remove(out + path);
	return true;
}

/* ---- the walk over all parts ---- */

static uint32_t node_hash(const json_t *node)
{
	return (uint32_t)(((uintptr_t)node >> 4) * 2654435761u >> 3);
}

static const struct place *place_of(const struct schema_places *p, const json_t *node)
{
	for (uint32_t h = node_hash(node); p && p->slots > 0; h++) {
		uint32_t i = p->slot[h & (p->slots - 1)];
		if (i == 0)
			return NULL;
		if (p->at[i - 1].node == node)
			return &p->at[i - 1];
	}
	return NULL;
}

static bool slots_grow(struct schema_places *p)
{
	uint32_t slots = p->slots > 0 ? p->slots * 2 : 256;
	uint32_t *slot = calloc(slots, sizeof *slot);
	if (slot == NULL)
		return false;
	for (uint32_t i = 0; i < p->count; i++) {
		uint32_t h = node_hash(p->at[i].node);
		while (slot[h & (slots - 1)] != 0)
			h++;
		slot[h & (slots - 1)] = i + 1;
	}
	free(p->slot);
	p->slot = slot;
	p->slots = slots;
	return true;
}

static bool place_add(struct schema_places *p, struct place one)
{
	if (place_of(p, one.node) != NULL)
		return true; /* a part that stands in two places: of a copy that a caller made */
	if (p->count == p->room) {
		uint32_t room = p->room * 2 + 64;
		struct place *more = realloc(p->at, room * sizeof *more);
		if (more == NULL)
			return false;
		p->at = more;
		p->room = room;
	}
	if ((p->count + 1) * 2 > p->slots && !slots_grow(p))
		return false;
	p->at[p->count++] = one;
	uint32_t h = node_hash(one.node);
	while (p->slot[h & (p->slots - 1)] != 0)
		h++;
	p->slot[h & (p->slots - 1)] = p->count;
	return true;
}

static bool named_add(struct named **list, uint32_t *count, uint32_t *room, struct named one)
{
	if (*count == *room) {
		uint32_t more = *room * 2 + 8;
		struct named *bigger = realloc(*list, more * sizeof *bigger);
		if (bigger == NULL)
			return false;
		*list = bigger;
		*room = more;
	}
	(*list)[(*count)++] = one;
	return true;
}

/* What $id and $anchor of the place say. */
static int identify(struct schema *c, struct place *at)
{
	struct schema_places *p = c->places;
	const char *id = json_string_value(json_object_get(at->node, "$id"));
	char uri[URI_MAX];
	id = id != NULL ? id : json_string_value(json_object_get(at->node, "id"));
	if (p->old && json_object_get(at->node, "$ref") != NULL)
		id = NULL; /* until draft 7 nothing counts beside $ref */
	size_t len = id != NULL ? strcspn(id, "#") : 0;
	if (len > 0) {
		if (!uri_resolve(p->resource[at->resource].name, id, len, uri))
			return schema_refuse(c, "$id of that length");
		const json_t *kept = schema_own(c, json_string(uri));
		at->resource = p->resources;
		if (kept == NULL ||
		    !named_add(&p->resource, &p->resources, &p->resource_room,
			       (struct named){ json_string_value(kept), at->node, at->resource }))
			return schema_no_memory(c);
	}
	const char *name[] = { json_string_value(json_object_get(at->node, "$anchor")),
			       json_string_value(json_object_get(at->node, "$dynamicAnchor")),
			       id != NULL && id[len] == '#' && id[len + 1] != '\0' ? id + len + 1
										   : NULL };
	for (int i = 0; i < 3; i++) {
		if (name[i] != NULL &&
		    !named_add(&p->anchor, &p->anchors, &p->anchor_room,
			       (struct named){ name[i], at->node, at->resource }))
			return schema_no_memory(c);
	}
	return 0;
}

/* What stands at a place: a schema, schemas by name or in a list, or none of these. */
enum holds { HOLDS_SCHEMA, HOLDS_SCHEMAS, HOLDS_OTHER };

static enum holds holds_below(enum holds at, const char *key)
{
	static const struct {
		const char *key;
		enum holds what;
	} row[] = {
		{ "items", HOLDS_SCHEMA },
		{ "additionalItems", HOLDS_SCHEMA },
		{ "additionalProperties", HOLDS_SCHEMA },
		{ "not", HOLDS_SCHEMA },
		{ "if", HOLDS_SCHEMA },
		{ "then", HOLDS_SCHEMA },
		{ "else", HOLDS_SCHEMA },
		{ "contains", HOLDS_SCHEMA },
		{ "propertyNames", HOLDS_SCHEMA },
		{ "unevaluatedItems", HOLDS_SCHEMA },
		{ "unevaluatedProperties", HOLDS_SCHEMA },
		{ "allOf", HOLDS_SCHEMAS },
		{ "anyOf", HOLDS_SCHEMAS },
		{ "oneOf", HOLDS_SCHEMAS },
		{ "prefixItems", HOLDS_SCHEMAS },
		{ "properties", HOLDS_SCHEMAS },
		{ "patternProperties", HOLDS_SCHEMAS },
		{ "$defs", HOLDS_SCHEMAS },
		{ "definitions", HOLDS_SCHEMAS },
		{ "dependentSchemas", HOLDS_SCHEMAS },
		{ "dependencies", HOLDS_SCHEMAS },
	};
	if (at != HOLDS_SCHEMA)
		return at == HOLDS_SCHEMAS ? HOLDS_SCHEMA : HOLDS_OTHER;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		if (strcmp(row[i].key, key) == 0)
			return row[i].what;
	}
	return HOLDS_OTHER;
}

/* As deep as the text, whose reader bounded it. */
static int places_walk(struct schema *c, struct place at, enum holds holds)
{
	const char *key;
	json_t *v;
	size_t i;
	if (json_is_object(at.node) && holds == HOLDS_SCHEMA)
		TRY(identify(c, &at));
	if (!place_add(c->places, at))
		return schema_no_memory(c);
	uint32_t mine = c->places->count - 1;
	json_object_foreach((json_t *)at.node, key, v) {
		if (json_is_object(v) || json_is_array(v))
			TRY(places_walk(c, (struct place){ v, key, mine, 0, at.resource },
					holds_below(holds, key)));
	}
	json_array_foreach((json_t *)at.node, i, v) {
		if (json_is_object(v) || json_is_array(v)) /* a list of items is one of schemas */
			TRY(places_walk(c,
					(struct place){ v, NULL, mine, (uint32_t)i, at.resource },
					holds == HOLDS_OTHER ? HOLDS_OTHER : HOLDS_SCHEMA));
	}
	return 0;
}

int schema_places_open(struct schema *c)
{
	struct schema_places *p = c->places = calloc(1, sizeof *p);
	if (p == NULL || !named_add(&p->resource, &p->resources, &p->resource_room,
				    (struct named){ "", c->root, 0 }))
		return schema_no_memory(c);
	const char *draft = json_string_value(json_object_get(c->root, "$schema"));
	p->old = (draft != NULL && strstr(draft, "json-schema.org/draft-0") != NULL) ||
		 json_is_string(json_object_get(c->root, "id")) ||
		 (draft == NULL && json_object_get(c->root, "definitions") != NULL &&
		  json_object_get(c->root, "$defs") == NULL);
	return places_walk(c, (struct place){ c->root, NULL, UINT32_MAX, 0, 0 }, HOLDS_SCHEMA);
}

void schema_places_close(struct schema_places *p)
{
	if (p == NULL)
		return;
	free(p->at);
	free(p->slot);
	free(p->resource);
	free(p->anchor);
	free(p);
}

bool schema_is_authors(const struct schema *c, const json_t *node)
{
	return place_of(c->places, node) != NULL;
}

static void step_write(const struct place *at, struct buf *out)
{
	buf_add_byte(out, '/');
	if (at->key == NULL)
		buf_printf(out, "%u", at->index);
	for (const char *k = at->key; k != NULL && *k != '\0'; k++) {
		if (*k == '~' || *k == '/')
			buf_add_text(out, *k == '~' ? "~0" : "~1");
		else
			buf_add_byte(out, (unsigned char)*k);
	}
}

void schema_place(const struct schema *c, const json_t *node, struct buf *out)
{
	const struct place *way[512], *at = place_of(c->places, node);
	size_t n = 0;
	for (; at != NULL && at->parent != UINT32_MAX && n < 512; at = &c->places->at[at->parent])
		way[n++] = at;
	while (n > 0)
		step_write(way[--n], out);
}

/* ---- references ---- */

/* %XX in place. */
static void percent_decode(char *s)
{
	char *to = s;
	for (; *s != '\0'; s++) {
		if (*s == '%' && text_hex_digit(s[1]) >= 0 && text_hex_digit(s[2]) >= 0) {
			*to++ = (char)(text_hex_digit(s[1]) * 16 + text_hex_digit(s[2]));
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* The next token of a pointer, ~0 and ~1 undone in place; *rest: behind it. */
static char *token(char *s, char **rest)
{
	char *to = s, *begin = s;
	for (; *s != '\0' && *s != '/'; s++) {
		if (*s == '~' && (s[1] == '0' || s[1] == '1'))
			*to++ = *++s == '0' ? '~' : '/';
		else
			*to++ = *s;
	}
	*rest = *s == '/' ? s + 1 : NULL;
	*to = '\0';
	return begin;
}

static const json_t *pointer_target(const json_t *at, char *pointer)
{
	while (at != NULL && pointer != NULL) {
		const char *name = token(pointer, &pointer);
		uint64_t i;
		if (json_is_object(at))
			at = json_object_get(at, name);
		else
			at = json_is_array(at) && text_parse_u64(name, strlen(name), &i) == 0
				     ? json_array_get(at, (size_t)i)
				     : NULL;
	}
	return at;
}

/* The resource that the URI before '#' means; NULL: none here. */
static const struct named *resource_of(const struct schema_places *p, uint32_t within,
				       const char *ref, size_t len)
{
	char uri[URI_MAX];
	if (len == 0)
		return &p->resource[within];
	if (!uri_resolve(p->resource[within].name, ref, len, uri))
		return NULL;
	for (uint32_t i = 0; i < p->resources; i++) {
		if (strcmp(p->resource[i].name, uri) == 0)
			return &p->resource[i];
	}
	return NULL;
}

int schema_target(struct schema *c, const json_t *node, const char *ref, const json_t **out)
{
	const struct schema_places *p = c->places;
	const struct place *at = place_of(p, node);
	size_t len = strcspn(ref, "#");
	char fragment[URI_MAX];
	const struct named *in = resource_of(p, at != NULL ? at->resource : 0, ref, len);
	if (in == NULL)
		return schema_refuse(c, "$ref to another document");
	const char *text = ref[len] == '#' ? ref + len + 1 : "";
	if (strlen(text) >= sizeof fragment)
		return schema_refuse(c, "$ref of that length");
	strcpy(fragment, text);
	percent_decode(fragment);
	*out = fragment[0] == '\0' ? in->node : NULL;
	if (fragment[0] == '/')
		*out = pointer_target(in->node, fragment + 1);
	for (uint32_t i = 0; i < p->anchors && *out == NULL; i++) {
		if (&p->resource[p->anchor[i].resource] == in &&
		    strcmp(p->anchor[i].name, fragment) == 0)
			*out = p->anchor[i].node;
	}
	return *out != NULL ? 0 : schema_wrong(c, "$ref names nothing in the schema");
}
