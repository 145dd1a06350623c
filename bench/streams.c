/* Tokens a second of so many answers at once on an engine by itself, without filters, log or HTTP:
 *   bench/streams FOLDER [STREAMS [TOKENS [ROUNDS [PROMPT]]]]     16, 128, 3 and 64
 * What bench/serving.py compares a server with. Every answer has a prompt of so many drawn tokens
 * of its own and is drawn greedily, without an end; a round is all of them, begun together. */
#include "base/source.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STREAMS_MAX 64u
#define PROMPT_MAX 1024u

static struct err why;

static void must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench/streams: %s\n", why.text);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct engine_session *begin(struct engine *m, uint32_t tokens, uint32_t count,
				    uint32_t *drawn)
{
	uint32_t prompt[PROMPT_MAX];
	struct engine_session *s;
	for (size_t i = 0; i < count; i++) {
		*drawn = *drawn * 1664525u + 1013904223u;
		prompt[i] = 3 + (*drawn >> 8) % 1000;
	}
	struct engine_request q = { .prompt = prompt,
				    .count = count,
				    .sampling = { .tokens_max = tokens, .ignore_eos = true } };
	must(engine_session_open(&s, m, &q, &why));
	return s;
}

/* All of them to their end, taking turns. */
static size_t finish(struct engine_session **s, uint32_t streams)
{
	size_t all = 0, count, len;
	const char *text;
	for (uint32_t going = streams; going;) {
		for (uint32_t i = 0; i < streams; i++) {
			if (!s[i])
				continue;
			int rc = engine_session_next(s[i], &text, &len, &why);
			must(rc);
			if (rc == ENGINE_GOING)
				continue;
			engine_session_ids(s[i], &count);
			all += count;
			engine_session_close(s[i]);
			s[i] = NULL;
			going--;
		}
	}
	return all;
}

static uint32_t number(int argc, char **argv, int i, uint32_t fallback)
{
	return argc > i ? (uint32_t)strtoul(argv[i], NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
	struct engine_session *s[STREAMS_MAX];
	struct source *folder;
	struct engine *m;
	uint32_t streams = number(argc, argv, 2, 16), tokens = number(argc, argv, 3, 128);
	uint32_t rounds = number(argc, argv, 4, 3), prompt = number(argc, argv, 5, 64), drawn = 1;
	if (argc < 2 || streams == 0 || streams > STREAMS_MAX || prompt > PROMPT_MAX) {
		puts("bench/streams: needs a model's folder; bench/serving.py makes one");
		return 0;
	}
	must(source_open_folder(&folder, argv[1], &why));
	struct engine_options o = { .quiet = true };
	must(engine_open(&m, folder, &o, &why));
	for (uint32_t r = 0; r <= rounds; r++) { /* the first warms up */
		double begun = now();
		for (uint32_t i = 0; i < streams; i++)
			s[i] = begin(m, tokens, prompt, &drawn);
		size_t all = finish(s, streams);
		if (r)
			printf("%.1f\n", (double)all / (now() - begun));
	}
	engine_close(m);
	source_close(folder);
	return 0;
}
