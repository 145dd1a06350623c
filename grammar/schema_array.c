/* Arrays: '[' elements ']', those of prefixItems first, each its own, then others as items says.
 *
 * Those of prefixItems are all made unless minItems says that fewer will do; others are made where
 * items or minItems ask for them, or if there is no prefixItems. Where elements are counted apart
 * (contains) there is a rule for each number of elements and of those that count; where they must
 * differ and are few, one for each set of those that have been. */
#include "grammar/regular.h"
#include "grammar/schema_parts.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define COUNTED_MAX 5000u /* rules of elements that are counted apart */
#define DISTINCT_MAX 10   /* values that elements which must differ have */

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

struct list {
	const json_t *s, *contains; /* NULL: none */
	json_t *value;              /* [fixed + 1]: of each of prefixItems, and of others */
	size_t fixed;
	bool others;
	uint64_t min, max, contained_min, contained_max;
};

int schema_count(struct schema *c, const json_t *s, const char *key, uint64_t *out)
{
	const json_t *v = get(s, key);
	if (v == NULL)
		return 0;
	double d = json_number_value(v);
	if (!json_is_number(v) || d < 0 || (double)(uint64_t)d < d)
		return schema_wrong(c, "a count is not a whole number");
	*out = d > 1e15 ? (uint64_t)1e15 : (uint64_t)d;
	return 0;
}

/* ---- what is said ---- */

static int value_at(struct schema *c, struct list *l, size_t i)
{
	const json_t *layer;
	json_t *all = json_true();
	size_t k;
	json_array_foreach(get(l->s, KEY_ARRAY), k, layer) {
		const json_t *one = json_array_get(get(layer, "prefixItems"), i);
		one = one != NULL ? one : get(layer, "items");
		if (one != NULL)
			all = schema_own(c, schema_both(all, one));
	}
	return json_array_append(l->value, all) < 0 ? schema_no_memory(c) : 0;
}

static int contains_read(struct schema *c, struct list *l)
{
	const json_t *list = get(l->s, "contains");
	l->contained_min = 0;
	l->contained_max = UINT64_MAX;
	if (list == NULL)
		return 0;
	if (json_array_size(list) > 1)
		return schema_refuse(c, "contains twice for one array");
	l->contains = get(json_array_get(list, 0), "schema");
	l->contained_min = 1;
	TRY(schema_count(c, json_array_get(list, 0), "min", &l->contained_min));
	TRY(schema_count(c, json_array_get(list, 0), "max", &l->contained_max));
	if (l->contained_min == 0 && l->contained_max == UINT64_MAX)
		l->contains = NULL;
	return 0;
}

static int list_read(struct schema *c, struct list *l)
{
	const json_t *layer, *one;
	size_t i;
	bool open = true, asked = false;
	l->max = UINT64_MAX;
	TRY(schema_count(c, l->s, "minItems", &l->min));
	TRY(schema_count(c, l->s, "maxItems", &l->max));
	json_array_foreach(get(l->s, KEY_ARRAY), i, layer) {
		size_t n = json_array_size(get(layer, "prefixItems"));
		l->fixed = n > l->fixed ? n : l->fixed;
		open = open && get(layer, "prefixItems") == NULL;
		asked = asked || get(layer, "items") != NULL;
	}
	l->value = schema_own(c, json_array());
	for (i = 0; i <= l->fixed; i++) {
		TRY(value_at(c, l, i));
		if (json_is_false(json_array_get(l->value, i)) && l->max > i)
			l->max = i;
	}
	TRY(contains_read(c, l));
	l->others = open || asked || l->min > l->fixed || l->contained_min > l->fixed;
	if (get(l->s, "minItems") == NULL)
		l->min = l->fixed < l->max ? l->fixed : l->max;
	if (!l->others && l->max > l->fixed)
		l->max = l->fixed;
	json_array_foreach(get(l->s, KEY_EXCLUDED), i, one) {
		if (json_array_size(one) > 0)
			return schema_refuse(c, "not over a const that is a list");
		if (json_is_array(one) && l->min == 0)
			l->min = 1;
	}
	return l->min > LIMIT_CONSTRAINT_REPEAT ? schema_refuse(c, "minItems over 10000") : 0;
}

/* ---- elements in a row ---- */

/* {min,max} of what is repeated; max UINT64_MAX: without end. */
static void repeat_add(struct buf *body, uint64_t min, uint64_t max)
{
	if (max > LIMIT_CONSTRAINT_REPEAT && max != UINT64_MAX)
		max = LIMIT_CONSTRAINT_REPEAT; /* fewer are valid too */
	if (max == UINT64_MAX)
		buf_printf(body, "{%llu,}", (unsigned long long)min);
	else
		buf_printf(body, "{%llu,%llu}", (unsigned long long)min, (unsigned long long)max);
}

/* The rule of an element; once: it differs from all others. */
static int element_rule(struct schema *c, const json_t *node, bool once, struct buf *out)
{
	buf_add_text(out, once ? "@once(" : "");
	c->once += once;
	int rc = schema_rule_value(c, node, out);
	c->once -= once;
	buf_add_text(out, once ? ")" : "");
	return rc;
}

/* All of prefixItems, then others. */
static int row_body(struct schema *c, const struct list *l, bool once, struct buf *body)
{
	struct buf item = { 0 };
	const char *comma = schema_comma(c);
	size_t n = l->fixed;
	for (size_t i = 0; i < n; i++) {
		buf_add_text(body, i > 0 ? comma : "");
		TRY(element_rule(c, json_array_get(l->value, i), once, body));
	}
	if (l->max == n)
		return 0;
	int rc = element_rule(c, json_array_get(l->value, n), once, &item);
	uint64_t low = l->min > n ? l->min - n : 0,
		 high = l->max == UINT64_MAX ? l->max : l->max - n;
	if (rc == 0 && n > 0) {
		buf_printf(body, " (%s%s)", comma, item.bytes);
		repeat_add(body, low, high);
	} else if (rc == 0) {
		buf_printf(body, "(%s (%s%s)", item.bytes, comma, item.bytes);
		repeat_add(body, low > 0 ? low - 1 : 0, high == UINT64_MAX ? high : high - 1);
		buf_add_text(body, low > 0 ? ")" : ")?");
	}
	buf_free(&item);
	return rc;
}

/* ---- elements that are counted apart ---- */

/* Rule (i, n): what may follow after i elements, n of which were counted; both stay at their
 * most. */
struct counted {
	const struct list *l;
	struct buf *match, *other; /* [fixed + 1]: names of rules; empty: nothing */
	uint32_t first, elements, matches;
};

static void counted_name(const struct schema *c, const struct counted *k, uint32_t i, uint32_t n,
			 struct buf *b)
{
	i = i < k->elements ? i : k->elements;
	n = n < k->matches ? n : k->matches;
	schema_rule_name(c, k->first + i * (k->matches + 1) + n, b);
}

static void counted_rule(struct schema *c, const struct counted *k, uint32_t i, uint32_t n)
{
	const struct list *l = k->l;
	struct buf line = { 0 };
	const char *comma = i > 0 ? schema_comma(c) : "";
	size_t at = i < l->fixed ? i : l->fixed;
	buf_add_text(&line, i >= l->min && n >= l->contained_min ? "\"\"" : "[]");
	if (i < l->max && k->other[at].len > 0) {
		buf_printf(&line, " | %s%s ", comma, k->other[at].bytes);
		counted_name(c, k, i + 1, n, &line);
	}
	if (i < l->max && n < l->contained_max && k->match[at].len > 0) {
		buf_printf(&line, " | %s%s ", comma, k->match[at].bytes);
		counted_name(c, k, i + 1, n + 1, &line);
	}
	schema_rule_write(c, k->first + i * (k->matches + 1) + n, &line);
	buf_free(&line);
}

/* The rules of the elements: those that count, and those that do not. */
static int counted_values(struct schema *c, struct counted *k)
{
	const struct list *l = k->l;
	for (size_t i = 0; i <= l->fixed; i++) {
		json_t *value = json_array_get(l->value, i), *made;
		if (i == l->max)
			break;
		if (l->contains == NULL || l->contained_max == UINT64_MAX) {
			TRY(schema_rule_value(c, value, &k->other[i]));
		} else {
			made = schema_own(c, json_pack("{s:[O],s:O}", "allOf", value, "not",
						       l->contains));
			TRY(made == NULL ? schema_no_memory(c)
					 : schema_rule_value(c, made, &k->other[i]));
		}
		if (l->contains == NULL)
			continue;
		made = schema_own(c, schema_both(value, l->contains));
		TRY(schema_rule_value(c, made, &k->match[i]));
	}
	return 0;
}

static int counted_body(struct schema *c, struct list *l, struct buf *body)
{
	uint64_t matches = l->contained_max != UINT64_MAX ? l->contained_max : l->contained_min;
	uint64_t least = l->min > l->fixed ? l->min : l->fixed;
	least = least > matches ? least : matches;
	if ((least + 1) * (matches + 1) > COUNTED_MAX)
		return schema_refuse(c, "contains or minItems of that size");
	if (l->max != UINT64_MAX && (l->max + 1) * (matches + 1) > COUNTED_MAX)
		l->max = COUNTED_MAX / (matches + 1) - 1; /* fewer are valid too */
	struct counted k = { .l = l,
			     .elements = (uint32_t)(l->max != UINT64_MAX ? l->max : least + 1),
			     .matches = (uint32_t)matches,
			     .match = calloc(l->fixed + 1, sizeof *k.match),
			     .other = calloc(l->fixed + 1, sizeof *k.other) };
	int rc = k.match == NULL || k.other == NULL ? schema_no_memory(c) : counted_values(c, &k);
	if (rc == 0) {
		k.first = c->rules + 1;
		c->rules += (k.elements + 1) * (k.matches + 1);
		for (uint32_t i = 0; i <= k.elements; i++) {
			for (uint32_t n = 0; n <= k.matches; n++)
				counted_rule(c, &k, i, n);
		}
		counted_name(c, &k, 0, 0, body);
	}
	for (size_t i = 0; k.match != NULL && k.other != NULL && i <= l->fixed; i++) {
		buf_free(&k.match[i]);
		buf_free(&k.other[i]);
	}
	free(k.match);
	free(k.other);
	return rc;
}

/* ---- elements that must differ ---- */

static int values_add(struct schema *c, const json_t *node, json_t *out, int depth);

static int values_add_list(struct schema *c, const json_t *list, json_t *out, int depth)
{
	const json_t *one;
	size_t i;
	int all = json_array_size(list) > 0;
	json_array_foreach((json_t *)list, i, one) {
		int ok = values_add(c, one, out, depth);
		TRY(ok);
		all = all && ok;
	}
	return all;
}

/* Add all values that the node can have, and perhaps more; 0: they are not a few. */
static int values_add(struct schema *c, const json_t *node, json_t *out, int depth)
{
	const json_t *s, *one;
	if (!json_is_object(node) || depth > 8)
		return 0;
	TRY(schema_read(c, node, &s));
	if (get(s, "const") != NULL || json_is_array(get(s, "enum"))) {
		one = get(s, "const");
		return one != NULL ? json_array_append(out, (json_t *)one) == 0
				   : json_array_extend(out, (json_t *)get(s, "enum")) == 0;
	}
	if (get(s, "$ref") != NULL)
		return values_add(c, get(s, "$ref"), out, depth + 1);
	if (get(s, "allOf") != NULL)
		return values_add(c, json_array_get(get(s, "allOf"), 0), out, depth + 1);
	one = get(s, "anyOf") != NULL ? get(s, "anyOf") : get(s, "oneOf");
	if (one != NULL)
		return values_add_list(c, one, out, depth + 1);
	if (get(s, "type") == NULL ||
	    (schema_types(s) & ~(unsigned)(TYPE_NULL | TYPE_BOOLEAN)) != 0)
		return 0;
	if ((schema_types(s) & TYPE_BOOLEAN) != 0) {
		json_array_append_new(out, json_false());
		json_array_append_new(out, json_true());
	}
	return (schema_types(s) & TYPE_NULL) == 0 || json_array_append_new(out, json_null()) == 0;
}

/* The values of the node, each once; NULL: they are not a few. */
static int values_read(struct schema *c, const json_t *node, json_t **out)
{
	json_t *all = schema_own(c, json_array()), *one;
	size_t i, k;
	const json_t *at = c->node;
	*out = NULL;
	int few = values_add(c, node, all, 0);
	TRY(few);
	c->node = at;
	if (few == 0 || json_array_size(all) > 1000)
		return 0;
	*out = schema_own(c, json_array());
	json_array_foreach(all, i, one) {
		int ok = schema_node_allows(c, node, one);
		TRY(ok);
		for (k = 0; k < json_array_size(*out) && ok > 0; k++)
			ok = !schema_equal(c, one, json_array_get(*out, k));
		if (ok > 0)
			json_array_append(*out, one);
	}
	return 0;
}

/* The rule of one set of values that have been: others may follow. */
static int distinct_rule(struct schema *c, const struct list *l, const json_t *values,
			 uint32_t first, uint32_t set)
{
	struct buf line = { 0 };
	uint32_t n = (uint32_t)json_array_size(values), count = (uint32_t)__builtin_popcount(set);
	int rc = 0;
	buf_add_text(&line, count >= l->min ? "\"\"" : "[]");
	for (uint32_t i = 0; i < n && count < l->max && rc == 0; i++) {
		if ((set >> i & 1) != 0)
			continue;
		buf_printf(&line, " | %s", count > 0 ? schema_comma(c) : "");
		rc = schema_constant(c, json_array_get(values, i), &line);
		buf_add_byte(&line, ' ');
		schema_rule_name(c, first + (set | 1u << i), &line);
	}
	schema_rule_write(c, first + set, &line);
	buf_free(&line);
	return rc;
}

static int distinct_body(struct schema *c, const struct list *l, const json_t *values,
			 struct buf *body)
{
	uint32_t sets = 1u << json_array_size(values), first = c->rules + 1;
	c->rules += sets;
	for (uint32_t set = 0; set < sets; set++)
		TRY(distinct_rule(c, l, values, first, set));
	schema_rule_name(c, first, body);
	return 0;
}

/* How many values an element can have, up to most: where that is told by its bounds or its
 * expression. */
static int values_count(struct schema *c, const json_t *node, uint64_t most, uint64_t *out)
{
	const json_t *s, *at = c->node;
	struct regular *r;
	*out = most;
	if (!json_is_object(node))
		return 0;
	TRY(schema_read(c, node, &s));
	c->node = at;
	const json_t *low = get(s, "minimum"), *high = get(s, "maximum");
	if (get(s, "type") != NULL && schema_types(s) == TYPE_INTEGER && json_is_integer(low) &&
	    json_is_integer(high) && get(s, "multipleOf") == NULL) {
		double n = json_number_value(high) - json_number_value(low) + 1;
		*out = n < (double)most ? (n > 0 ? (uint64_t)n : 0) : most;
	} else if (get(s, "type") != NULL && schema_types(s) == TYPE_STRING &&
		   (get(s, "pattern") != NULL || get(s, "maxLength") != NULL)) {
		TRY(schema_language_read(c, s, &r));
		*out = regular_count(r, most);
		regular_close(r);
	}
	return 0;
}

static int unique_body(struct schema *c, struct list *l, struct buf *body)
{
	json_t *values = NULL;
	uint64_t count;
	if (l->contains != NULL || l->min < l->fixed)
		return schema_refuse(c, "uniqueItems beside contains or fewer than prefixItems");
	if (l->fixed == 0)
		TRY(values_read(c, json_array_get(l->value, 0), &values));
	if (values != NULL && json_array_size(values) <= DISTINCT_MAX)
		return distinct_body(c, l, values, body);
	if (l->fixed == 0 && l->min > 1) {
		TRY(values_count(c, json_array_get(l->value, 0), l->min, &count));
		count = values != NULL ? json_array_size(values) : count;
		if (count < l->min) {
			buf_add_text(body, "[]");
			return 0;
		}
	}
	buf_add_text(body, "@scope(");
	TRY(row_body(c, l, true, body));
	buf_add_text(body, ")");
	return 0;
}

int schema_array(struct schema *c, const json_t *s, struct buf *body)
{
	struct list l = { .s = s };
	struct buf own = { 0 };
	TRY(list_read(c, &l));
	if (l.min > l.max || l.contained_min > l.contained_max) {
		buf_add_text(body, "[]");
		return 0;
	}
	buf_add_text(&own, "\"[\" ");
	int rc;
	if (get(s, "uniqueItems") != NULL && l.max > 1)
		rc = unique_body(c, &l, &own);
	else if (l.contains != NULL || l.min < l.fixed)
		rc = counted_body(c, &l, &own);
	else
		rc = row_body(c, &l, false, &own);
	buf_add_text(&own, " \"]\"");
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : schema_rule_of(c, &own, body);
}
