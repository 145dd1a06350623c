#include "support.h"

#include "kinds.h"
#include "plain_backend.h"
#include "recalling_backend.h"

#include "base/json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct backend_kind backends[BACKENDS + 2] = {
	{ "cpu", cpu_open, true },
	{ "plain backend", plain_open, false },
	{ "recalling backend", recalling_open, true },
	{ "cuda", cuda_open, false },
};

void use_library(const char *name)
{
	char path[4200], self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	cr_assert_gt(len, 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof path, "%s/../emulator/%s", self, name);
	setenv("HALLMARK_CUDA", path, 1);
}

const char *model_changes;

static struct engine *open_changed(const char *dir, const struct engine_options *o, backend_opener *open)
{
	struct memory_source files;
	struct engine *m;
	struct err e = { 0 };
	json_t *config, *more = json_loads(model_changes, 0, NULL);
	memory_init(&files);
	memory_load(&files, dir);
	for (size_t i = 0; i < files.count; i++) {
		struct buf *b = &files.file[i].bytes;
		if (strcmp(files.file[i].name, "config.json") != 0)
			continue;
		cr_assert_eq(json_read(&config, b->bytes, b->len, MIB(1), 32, &e), 0, "%s", e.text);
		json_object_update(config, more);
		buf_clear(b);
		cr_assert_eq(json_write(config, 0, b, &e), 0);
		json_decref(config);
	}
	cr_assert_eq(engine_open_with(&m, &files.source, o, open, &e), 0, "%s: %s", dir, e.text);
	memory_free(&files);
	json_decref(more);
	return m;
}

struct engine *open_model_with(const char *dir, struct engine_options o, backend_opener *open)
{
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	o.quiet = true;
	if (model_changes != NULL)
		return open_changed(dir, &o, open);
	if (strncmp(dir, KIND, strlen(KIND)) == 0)
		return kind_open(dir, &o, open);
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(engine_open_with(&m, s, &o, open, &e), 0, "%s: %s", dir, e.text);
	source_close(s);
	return m;
}

struct engine *open_model(const char *dir, const char *kernels, unsigned threads)
{
	return open_model_with(dir, (struct engine_options){ .threads = threads, .kernels = kernels }, cpu_open);
}

int constrain(struct engine_constraint **out, const struct engine *m, enum grammar_kind kind,
	      const char *text, size_t len, struct err *e)
{
	return engine_constraint_open(
		out, m, &(struct grammar_text){ .kind = kind, .text = text, .len = len }, e);
}

uint32_t long_prompt[1800];

struct engine_request request_of(uint32_t count, uint32_t tokens)
{
	for (uint32_t i = 0; i < sizeof long_prompt / sizeof long_prompt[0]; i++)
		long_prompt[i] = 3 + (i * 7919u + i / 13) % 1900;
	return (struct engine_request){ .prompt = long_prompt, .count = count,
		.sampling = { .top_p = 1, .tokens_max = tokens, .ignore_eos = true } };
}

struct engine_session *must_open(struct engine *m, const struct engine_request *q)
{
	struct engine_session *s;
	struct err e = { 0 };
	cr_assert_eq(engine_session_open(&s, m, q, &e), 0, "%s", e.text);
	return s;
}

int next_of(struct engine_session *s, struct err *e)
{
	const char *text;
	size_t len;
	return engine_session_next(s, &text, &len, e);
}

uint64_t hash_of(const void *bytes, size_t len)
{
	const uint32_t *word = bytes;
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < len / 4; i++)
		h = (h ^ word[i]) * 1099511628211u;
	return h;
}

uint64_t hash_of_last(const struct engine *m, const struct engine_session *s)
{
	const float *logits = engine_session_logits(s);
	return logits == NULL ? 0 : hash_of(logits, sizeof(float) * engine_info(m)->vocab);
}

double distance(const float *a, const float *b, size_t n)
{
	double off = 0, all = 0;
	for (size_t i = 0; i < n; i++) {
		off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
		all += (double)b[i] * (double)b[i];
	}
	return sqrt(off / all);
}
