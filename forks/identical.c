/* Tensors side by side. Same values count wherever they lie: a layer that moved, a prefix, another
 * container. What both models may have by construction says nothing and is told apart: constants,
 * what is short, and what stands under several names in each of the two (sinusoids, identities). */
#include "forks/identical.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* One model's tensors with their indices in several orders. */
struct side {
	const struct sketch_tensor *t;
	uint32_t n;
	const char **key;  /* [n] the name from its layer's list on, or its last two parts */
	uint32_t *by_key;  /* [n] by component and key */
	uint32_t *by_hash; /* [n] by values, then name */
	uint32_t *named;   /* [n] the other's tensor of that name or key, or NONE */
	uint32_t *answer;  /* [n] the other's tensor that it is told beside, or NONE */
	bool *repeated;    /* [n] another of this model's has the same values */
};

static const char *part_before(const char *name, const char *at)
{
	while (at > name && at[-1] != '.')
		at--;
	return at;
}

static bool all_digits(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] < '0' || at[i] > '9')
			return false;
	return len > 0;
}

/* "language_model.model.layers.3.mlp..." from "layers" on; without a number the last two parts. */
static const char *key_of(const char *name)
{
	const char *last = strrchr(name, '.');

	for (const char *at = strchr(name, '.'); at; at = strchr(at + 1, '.'))
		if (all_digits(at + 1, strcspn(at + 1, ".")))
			return part_before(name, at);
	return last ? part_before(name, last) : name;
}

static int order_u64(uint64_t x, uint64_t y) { return x < y ? -1 : x > y; }

static uint64_t values_of(const struct sketch_tensor *t)
{
	uint64_t n = 1;

	for (int i = 0; i < t->rank; i++)
		n *= t->shape[i];
	return n;
}

static int order_values(const struct sketch_tensor *x, const struct sketch_tensor *y)
{
	int order = (int)x->floats - (int)y->floats;

	if (order == 0)
		order = order_u64(x->hash[0], y->hash[0]);
	if (order == 0)
		order = order_u64(x->hash[1], y->hash[1]);
	return order ? order : order_u64(values_of(x), values_of(y));
}

static int by_hash_order(const void *x, const void *y, void *side)
{
	const struct side *s = side;
	uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
	int order = order_values(&s->t[i], &s->t[k]);

	return order ? order : order_u64(i, k) /* by name: so they lie */;
}

static int key_order(const struct side *s, uint32_t i, const struct side *o, uint32_t k)
{
	int order = (int)s->t[i].component - (int)o->t[k].component;

	return order ? order : strcmp(s->key[i], o->key[k]);
}

static int by_key_order(const void *x, const void *y, void *side)
{
	struct side *s = side;
	uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
	int order = key_order(s, i, s, k);

	return order ? order : order_u64(i, k);
}

static int side_open(struct side *s, const struct fork_sketch *m, struct arena *scratch,
		     struct err *e)
{
	size_t n = m->tensors;

	*s = (struct side){ .t = m->tensor, .n = (uint32_t)n };
	s->key = arena_array(scratch, n + 1, sizeof *s->key);
	s->by_key = arena_array(scratch, n + 1, sizeof *s->by_key);
	s->by_hash = arena_array(scratch, n + 1, sizeof *s->by_hash);
	s->named = arena_array(scratch, n + 1, sizeof *s->named);
	s->answer = arena_array(scratch, n + 1, sizeof *s->answer);
	s->repeated = arena_array(scratch, n + 1, sizeof *s->repeated);
	if (!s->key || !s->by_key || !s->by_hash || !s->named || !s->answer || !s->repeated)
		return err_set(e, ERR_NOMEM, "out of memory for the names of %zu tensors", n);
	for (uint32_t i = 0; i < s->n; i++) {
		s->key[i] = key_of(s->t[i].name);
		s->by_key[i] = s->by_hash[i] = i;
		s->named[i] = s->answer[i] = NONE;
	}
	qsort_r(s->by_key, n, sizeof *s->by_key, by_key_order, s);
	qsort_r(s->by_hash, n, sizeof *s->by_hash, by_hash_order, s);
	for (uint32_t i = 1; i < s->n; i++) {
		uint32_t x = s->by_hash[i - 1], y = s->by_hash[i];

		if (order_values(&s->t[x], &s->t[y]) == 0)
			s->repeated[x] = s->repeated[y] = true;
	}
	return 0;
}

static void pair_names(struct side *a, struct side *b)
{
	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		int order = strcmp(a->t[i].name, b->t[k].name);

		if (order == 0) {
			a->named[i] = k;
			b->named[k] = i;
		}
		i += order <= 0;
		k += order >= 0;
	}
}

/* How many from `at` on have the key of the first, as long as they have no name in the other. */
static uint32_t same_keys(const struct side *s, uint32_t at, uint32_t *nameless)
{
	uint32_t end = at, found = 0;

	while (end < s->n && key_order(s, s->by_key[at], s, s->by_key[end]) == 0) {
		if (s->named[s->by_key[end]] == NONE) {
			*nameless = s->by_key[end];
			found++;
		}
		end++;
	}
	if (found != 1)
		*nameless = NONE; /* of several nobody knows which */
	return end;
}

/* Those that no equal name pairs, by their keys, where each has one such. */
static void pair_keys(struct side *a, struct side *b)
{
	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		int order = key_order(a, a->by_key[i], b, b->by_key[k]);
		uint32_t x = NONE, y = NONE;

		if (order <= 0)
			i = same_keys(a, i, &x);
		if (order >= 0)
			k = same_keys(b, k, &y);
		if (order == 0 && x != NONE && y != NONE) {
			a->named[x] = y;
			b->named[y] = x;
		}
	}
}

static void answer(struct side *a, uint32_t i, struct side *b, uint32_t k)
{
	if (a->answer[i] == NONE)
		a->answer[i] = k;
	if (b->answer[k] == NONE)
		b->answer[k] = i;
}

/* Same name, same values. */
static void answer_same_names(struct side *a, struct side *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->named[i] != NONE && order_values(&a->t[i], &b->t[a->named[i]]) == 0)
			answer(a, i, b, a->named[i]);
}

/* Whether equal values of it could tell anything. */
static bool telling(const struct sketch_tensor *t) { return t->floats && !t->constant; }

/* The runs of equal values a[i..), b[k..) of the two orders: those left over in turn; where one
 * side has none left, its first. */
static void answer_run(struct side *a, uint32_t i, uint32_t i_end, struct side *b, uint32_t k,
		       uint32_t k_end)
{
	const uint32_t *x = a->by_hash, *y = b->by_hash;
	uint32_t first_a = x[i], first_b = y[k];

	for (;;) {
		while (i < i_end && a->answer[x[i]] != NONE)
			i++;
		while (k < k_end && b->answer[y[k]] != NONE)
			k++;
		if (i == i_end && k == k_end)
			return;
		answer(a, i < i_end ? x[i] : first_a, b, k < k_end ? y[k] : first_b);
	}
}

static uint32_t run_end(const struct side *s, uint32_t at)
{
	uint32_t end = at + 1;

	while (end < s->n && order_values(&s->t[s->by_hash[at]], &s->t[s->by_hash[end]]) == 0)
		end++;
	return end;
}

/* Same values under any names. */
static void answer_same_values(struct side *a, struct side *b)
{
	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		const struct sketch_tensor *x = &a->t[a->by_hash[i]], *y = &b->t[b->by_hash[k]];
		int order = order_values(x, y);
		uint32_t i_end = order <= 0 ? run_end(a, i) : i,
			 k_end = order >= 0 ? run_end(b, k) : k;

		if (order == 0 && telling(x) && telling(y))
			answer_run(a, i, i_end, b, k, k_end);
		i = i_end;
		k = k_end;
	}
}

static void answer_names(struct side *a, struct side *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->named[i] != NONE && a->answer[i] == NONE && b->answer[a->named[i]] == NONE)
			answer(a, i, b, a->named[i]);
}

static bool same_shape(const struct sketch_tensor *x, const struct sketch_tensor *y)
{
	return x->rank == y->rank &&
	       memcmp(x->shape, y->shape, (size_t)x->rank * sizeof *x->shape) == 0;
}

static enum fork_change change_of(const struct sketch_tensor *x, const struct sketch_tensor *y)
{
	if (!y)
		return FORK_REMOVED;
	if (!x)
		return FORK_ADDED;
	if (order_values(x, y) == 0)
		return FORK_SAME;
	return same_shape(x, y) ? FORK_CHANGED : FORK_RESHAPED;
}

static const char *kept_name(struct fork_detail *d, const char *name)
{
	return arena_copy(&d->arena, name, strlen(name));
}

/* The line of x beside y; one of them may be NULL. */
static int tell(struct fork_detail *d, const struct sketch_tensor *x, const struct sketch_tensor *y,
		struct err *e)
{
	const struct sketch_tensor *t = y ? y : x;
	struct fork_tensor *out = &d->tensor[d->tensors++];

	check(t);
	*out = (struct fork_tensor){
		.name = kept_name(d, x ? x->name : t->name),
		.other = x && y && strcmp(x->name, y->name) != 0 ? kept_name(d, y->name) : NULL,
		.change = change_of(x, y),
		.component = t->component,
		.values = values_of(t),
		.bytes = t->bytes,
		.not_finite = (x ? x->values_bad : 0) + (y ? y->values_bad : 0),
		.constant = (x && x->constant) || (y && y->constant),
		.floats = t->floats,
		.matrix = t->rank >= 2,
		.relative_l2 = NAN,
		.cosine = NAN,
	};
	if (!out->name || (x && y && strcmp(x->name, y->name) != 0 && !out->other))
		return err_set(e, ERR_NOMEM, "out of memory for the names of tensors");
	return 0;
}

/* The same model: nothing is left over but second copies beside the body (a tied head that is
 * stored, say), and nothing lies where the other model has something else. */
static bool in_place(const struct side *s, uint32_t i, const struct side *o)
{
	const struct sketch_tensor *t = &s->t[i];
	uint32_t k = s->answer[i];

	if (!t->floats)
		return k == NONE || order_values(t, &o->t[k]) == 0;
	if (k == NONE || order_values(t, &o->t[k]) != 0)
		return false;
	if (s->named[i] == k)
		return true;
	return s->named[i] == NONE && (o->named[k] == NONE || t->component == FORK_ENDS) &&
	       (o->answer[k] == i || t->component == FORK_ENDS);
}

static bool all_in_place(const struct side *s, const struct side *o)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!in_place(s, i, o))
			return false;
	return s->n > 0;
}

static int tell_all(const struct side *a, const struct side *b, struct fork_detail *d,
		    struct err *e)
{
	d->tensor = arena_array(&d->arena, (size_t)a->n + b->n + 1, sizeof *d->tensor);
	if (!d->tensor)
		return err_set(e, ERR_NOMEM, "out of memory for the list of tensors");
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t k = a->answer[i];

		TRY(tell(d, &a->t[i], k == NONE ? NULL : &b->t[k], e));
		if (k != NONE && a->repeated[i] && b->repeated[k])
			d->tensor[d->tensors - 1].constant = true;
	}
	for (uint32_t k = 0; k < b->n; k++) {
		uint32_t i = b->answer[k];

		if (i == NONE)
			TRY(tell(d, NULL, &b->t[k], e));
		else if (a->answer[i] != k) /* the values of one that answers another */
			TRY(tell(d, &a->t[i], &b->t[k], e));
	}
	d->in_place = all_in_place(a, b) && all_in_place(b, a);
	return 0;
}

int fork_tensors_pair(const struct fork_sketch *a, const struct fork_sketch *b,
		      struct fork_detail *d, struct err *e)
{
	struct arena scratch = { 0 };
	struct side x, y;
	int rc;

	for (int k = 0; k < FORK_COMPONENTS; k++)
		d->values[k] = 0;
	for (size_t i = 0; i < b->tensors; i++)
		if (b->tensor[i].floats)
			d->values[b->tensor[i].component] += values_of(&b->tensor[i]);
	TRY_OUT(side_open(&x, a, &scratch, e));
	TRY_OUT(side_open(&y, b, &scratch, e));
	pair_names(&x, &y);
	pair_keys(&x, &y);
	answer_same_names(&x, &y);
	answer_same_values(&x, &y);
	answer_names(&x, &y);
	rc = tell_all(&x, &y, d, e);
out:
	arena_free(&scratch);
	return rc;
}

static void count_change(struct fork_comparison *c, const struct fork_tensor *t)
{
	uint64_t *const of[] = {
		[FORK_SAME] = &c->same,         [FORK_CHANGED] = &c->changed,
		[FORK_ADDED] = &c->added,       [FORK_REMOVED] = &c->removed,
		[FORK_RESHAPED] = &c->reshaped,
	};

	++*of[t->change];
	c->not_finite += t->not_finite > 0;
}

void fork_tensors_sum(struct fork_comparison *c)
{
	struct fork_detail *d = c->detail;

	c->same = c->changed = c->added = c->removed = c->reshaped = c->not_finite = 0;
	c->shared_components = 0;
	memset(d->shared, 0, sizeof d->shared);
	for (size_t i = 0; i < d->tensors; i++) {
		const struct fork_tensor *t = &d->tensor[i];
		struct fork_shared *s = &d->shared[t->component];

		count_change(c, t);
		if (!fork_tensor_tells(t))
			continue;
		s->count++;
		s->bytes += t->bytes;
		s->values += t->values;
		s->share = (double)s->values / (double)(d->values[t->component] + !s->values);
		c->shared_components += t->component != FORK_BODY;
	}
	c->identical = d->shared[FORK_BODY].count;
	c->identical_share = d->shared[FORK_BODY].share;
	d->same_all = d->in_place && c->changed + c->reshaped == 0;
}

bool fork_tensor_tells(const struct fork_tensor *t)
{
	return t->change == FORK_SAME && t->floats && !t->constant;
}

bool fork_comparison_same(const struct fork_comparison *c, size_t *at, struct fork_same *out)
{
	const struct fork_detail *d = c->detail;

	while (*at < d->tensors) {
		const struct fork_tensor *t = &d->tensor[(*at)++];

		if (!fork_tensor_tells(t))
			continue;
		*out = (struct fork_same){
			.name = t->other ? t->other : t->name,
			.component = fork_component_name(t->component),
			.bytes = t->bytes,
			.values = t->values,
		};
		return true;
	}
	return false;
}
