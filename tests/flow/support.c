#include "support.h"

#include "base/file.h"
#include "flow/home.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void no_step(void *ctx, const char *step)
{
	(void)ctx;
	(void)step;
}

void fixture_make(struct fixture *x)
{
	memset(x, 0, sizeof *x);
	/* In memory where possible: these tests kill processes, not power, and a slow disk would rule
	 * their time. */
	snprintf(x->dir, sizeof x->dir, "/dev/shm/test-flow-XXXXXX");
	if (!mkdtemp(x->dir)) {
		snprintf(x->dir, sizeof x->dir, "/tmp/test-flow-XXXXXX");
		cr_assert(mkdtemp(x->dir));
	}
	x->time_us = 1795312345000000;
	x->seed.seed[0] = 7;
	x->env = env_system();
	x->env.clock = clock_fixed(&x->time_us);
	x->env.random = random_seeded(&x->seed);
	x->env.steps = (struct steps){ no_step, NULL };
}

void fixture_remove(struct fixture *x)
{
	fixture_close(x);
	cr_assert_eq(file_remove_tree(x->dir, NULL), 0);
}

int fixture_try_open(struct fixture *x, bool read_only, struct err *e)
{
	const struct flow_options o = {
		.home = fixture_path(x, "home"),
		.env = &x->env,
		.read_only = read_only,
		.quiet = true,
	};
	return flow_open(&x->flow, &o, e);
}

void fixture_open(struct fixture *x)
{
	struct err e = { 0 };
	expect(0, fixture_try_open(x, false, &e));
}

void fixture_close(struct fixture *x)
{
	flow_close(x->flow);
	x->flow = NULL;
}

void fixture_key(struct fixture *x, const char *name)
{
	json_t *report;
	struct err e = { 0 };
	const struct flow_key k = { .name = name, .models = "*/*" };
	expect(0, flow_key_new(x->flow, &k, &report, &e));
	json_decref(report);
}

/* ---- files ---- */

const char *fixture_path(struct fixture *x, const char *name)
{
	char *path = x->path[x->turn++ % (sizeof x->path / sizeof *x->path)];
	cr_assert_eq(file_join(path, x->dir, name, NULL), 0);
	return path;
}

bool fixture_has(struct fixture *x, const char *name) { return file_exists(fixture_path(x, name)); }

void fixture_read(struct fixture *x, const char *name, struct buf *out)
{
	struct err e = { 0 };
	expect(0, file_read(fixture_path(x, name), MIB(64), out, &e));
}

void fixture_write(struct fixture *x, const char *name, const void *bytes, size_t len)
{
	char folder[LIMIT_PATH_BYTES];
	const char *path = fixture_path(x, name);
	snprintf(folder, sizeof folder, "%s", path);
	*strrchr(folder, '/') = 0;
	cr_assert_eq(file_make_dirs(folder, 0755, NULL), 0);
	FILE *f = fopen(path, "wb");
	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

void fixture_text(struct fixture *x, const char *name, const char *text)
{
	fixture_write(x, name, text, strlen(text));
}

void fixture_flip(struct fixture *x, const char *name, uint64_t offset)
{
	struct buf b = { 0 };
	fixture_read(x, name, &b);
	cr_assert_lt(offset, b.len);
	b.bytes[offset] ^= 1;
	fixture_write(x, name, b.bytes, b.len);
	buf_free(&b);
}

void fixture_move(struct fixture *x, const char *from, const char *to)
{
	cr_assert_eq(rename(fixture_path(x, from), fixture_path(x, to)), 0, "%s", from);
}

void fixture_copy(struct fixture *x, const char *from, const char *to)
{
	char command[2 * LIMIT_PATH_BYTES];
	snprintf(command, sizeof command, "cp -a %s %s", fixture_path(x, from),
		 fixture_path(x, to));
	cr_assert_eq(system(command), 0, "%s", command);
}

void fixture_delete(struct fixture *x, const char *name)
{
	cr_assert_eq(file_remove_tree(fixture_path(x, name), NULL), 0, "%s", name);
}

/* ---- models ---- */

static double uniform(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull); /* splitmix64 */
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
	double r = sqrt(-2 * log(uniform(state)));
	return r * cos(2 * 3.14159265358979323846 * uniform(state));
}

struct weights {
	struct buf header, data;
	uint64_t seed, noise_seed, more_seed;
	double noise, more;
	bool int8;
};

static void round_row(float *v, unsigned columns)
{
	float most = 0;
	for (unsigned i = 0; i < columns; i++)
		most = fmaxf(most, fabsf(v[i]));
	for (unsigned i = 0; i < columns; i++)
		v[i] = rintf(v[i] / (most / 127)) * (most / 127);
}

static void add_matrix(struct weights *w, const char *name, unsigned rows, unsigned columns)
{
	size_t begin = w->data.len;
	for (unsigned i = 0; i < rows; i++) {
		float row[TOY_HIDDEN > TOY_UNITS ? TOY_HIDDEN : TOY_UNITS];
		for (unsigned k = 0; k < columns; k++) {
			row[k] = (float)(0.02 * normal(&w->seed));
			if (w->noise > 0)
				row[k] += (float)(0.02 * w->noise * normal(&w->noise_seed));
			if (w->more > 0)
				row[k] += (float)(0.02 * w->more * normal(&w->more_seed));
		}
		if (w->int8)
			round_row(row, columns);
		buf_add(&w->data, row, columns * sizeof *row);
	}
	buf_printf(&w->header,
		   "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[%zu,%zu]}",
		   w->header.len > 1 ? "," : "", name, rows, columns, begin, w->data.len);
}

static void write_weights(struct fixture *x, const char *name, struct weights *w)
{
	char path[200];
	struct buf file = { 0 };
	buf_add_byte(&w->header, '}');
	buf_add_u64le(&file, w->header.len);
	buf_add_buf(&file, &w->header);
	buf_add_buf(&file, &w->data);
	snprintf(path, sizeof path, "%s/model.safetensors", name);
	fixture_write(x, path, file.bytes, file.len);
	buf_free(&file);
	buf_free(&w->header);
	buf_free(&w->data);
}

void fixture_toy(struct fixture *x, const char *name, const struct toy *t)
{
	static const char *const part[] = { "gate_proj", "up_proj", "down_proj" };
	struct weights w = { .seed = t->seed,
			     .noise_seed = t->noise_seed,
			     .noise = t->noise,
			     .more_seed = t->more_seed,
			     .more = t->more,
			     .int8 = t->int8 };
	char path[200], tensor[100];
	buf_add_byte(&w.header, '{');
	add_matrix(&w, "model.embed_tokens.weight", t->words ? t->words : 64, TOY_HIDDEN);
	for (uint32_t i = 0; i < t->experts * 3; i++) {
		snprintf(tensor, sizeof tensor, "model.layers.0.mlp.experts.%u.%s.weight", i / 3,
			 part[i % 3]);
		add_matrix(&w, tensor, i % 3 == 2 ? TOY_HIDDEN : TOY_UNITS,
			   i % 3 == 2 ? TOY_UNITS : TOY_HIDDEN);
	}
	write_weights(x, name, &w);
	snprintf(path, sizeof path, "%s/config.json", name);
	fixture_text(x, path, t->config ? t->config : "{}");
	snprintf(path, sizeof path, "%s/README.md", name);
	if (t->card)
		fixture_text(x, path, t->card);
}

void fixture_model(struct fixture *x, const char *name)
{
	fixture_toy(x, name,
		    &(struct toy){ .seed = 1, .experts = 1, .card = "---\nlicense: mit\n---\n" });
}

/* ---- dying at a step ---- */

static const char *fatal_step;
static int arrivals_left;

static void die_at(void *ctx, const char *step)
{
	(void)ctx;
	if ((!fatal_step || strcmp(step, fatal_step) == 0) && --arrivals_left == 0)
		_exit(99);
}

bool fixture_dies(struct fixture *x, const char *step, int which, void (*work)(struct fixture *x))
{
	int status;
	cr_assert_null(x->flow, "the state folder is open");
	pid_t child = fork();
	if (child == 0) {
		fatal_step = step;
		arrivals_left = which;
		x->env.steps = (struct steps){ die_at, NULL };
		work(x);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 99 || WEXITSTATUS(status) == 0),
		  "%s:%d: status %x", step ? step : "any", which, (unsigned)status);
	x->seed.seed[1]++; /* the child drew too: the next process is another */
	return WEXITSTATUS(status) == 99;
}

/* ---- publishing ---- */

json_t *fixture_publish(struct fixture *x, const char *model, const char *name, const char *version)
{
	const struct flow_publish p = {
		.dir = fixture_path(x, model), .name = name, .version = version, .key = "k"
	};
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_publish(x->flow, &p, &report, &e));
	return report;
}

uint64_t fixture_secret(struct fixture *x, const char *text)
{
	struct audit_field field[] = { { "kind", NULL },
				       { "severity", NULL },
				       { "first_us", NULL },
				       { "deadline_us", NULL },
				       { "subjects", NULL },
				       { "records", NULL },
				       { "text", json_string(text) },
				       { "report_digest", NULL } };
	struct audit_record r = {
		.type = "incident", .field = field, .field_count = 8, .outcome = "noted"
	};
	struct audit_receipt receipt;
	struct err e = { 0 };
	expect(0, flow_append(x->flow, &r, false, &receipt, &e));
	json_decref(field[6].value);
	return receipt.index;
}

/* ---- reports ---- */

const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text ? text : "";
}

long long number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	return json_is_integer(v) ? json_integer_value(v) : -1;
}

bool truth_of(const json_t *o, const char *key) { return json_is_true(json_object_get(o, key)); }

size_t count_of(const json_t *o, const char *key)
{
	return json_array_size(json_object_get(o, key));
}

const json_t *item_of(const json_t *o, const char *key, size_t i)
{
	return json_array_get(json_object_get(o, key), i);
}

const json_t *item_with(const json_t *o, const char *key, const char *member, const char *text)
{
	for (size_t i = 0; i < count_of(o, key); i++)
		if (strcmp(text_of(item_of(o, key, i), member), text) == 0)
			return item_of(o, key, i);
	return NULL;
}

int fixture_verify(struct flow *f, const char *ref, const char *key, bool ignore_unsigned,
		   json_t **report, struct err *e)
{
	const struct flow_verify v = {
		.ref = ref, .key = key, .ignore_unsigned = ignore_unsigned, .quiet = true
	};
	return flow_release_verify(f, &v, report, e);
}
