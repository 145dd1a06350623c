/* Run a text through a set in pieces and keep everything that may be compared. */
#ifndef TESTS_FILTERS_SCAN_H
#define TESTS_FILTERS_SCAN_H

#include "base/buf.h"
#include "base/json.h"
#include "filters/filters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	struct buf output, trace; /* trace: end, record and findings as text */
	size_t held_max;
	int end;
	size_t findings;
	uint64_t first_start, first_end; /* of the union of findings */
};

static inline void scan_free(struct scan *s)
{
	buf_free(&s->output);
	buf_free(&s->trace);
}

static inline void scan_record(struct scan *s, const struct filter_record *r)
{
	char seen[65], emitted[65];
	digest_hex(&r->seen_digest, seen);
	digest_hex(&r->emitted_digest, emitted);
	buf_printf(
		&s->trace,
		"seen %ju %s scanned %ju released %ju emitted %ju %s ill %ju bound %zu end %d at %ju\n",
		(uintmax_t)r->seen, seen, (uintmax_t)r->scanned, (uintmax_t)r->released,
		(uintmax_t)r->emitted_bytes, emitted, (uintmax_t)r->ill_formed, r->hold_bound,
		(int)r->end, (uintmax_t)r->end_offset);
	if (r->shadow)
		buf_add_text(&s->trace, "shadow\n");
	s->findings = r->findings;
	s->first_start = r->findings ? r->finding[0].start : 0;
	for (size_t i = 0; i < r->findings; i++) {
		const struct filter_finding *f = &r->finding[i];
		buf_printf(&s->trace, "[%ju,%ju) %s %s %s %u\n", (uintmax_t)f->start,
			   (uintmax_t)f->end, filter_action_name(f->action), f->rules, f->detector,
			   f->replacement_len);
		s->first_end = f->end;
	}
}

/* size(i): length of the i-th piece, at least 1. */
static inline struct scan scan_text(const struct filter_set *set, unsigned how, const char *text,
				    size_t len, size_t (*size)(size_t i, void *ctx), void *ctx)
{
	struct scan s = { 0 };
	struct filter_stream *f = NULL;
	struct cleared out;
	uint64_t at_source = 0;
	if (filter_stream_open(&f, set, how, NULL) < 0)
		abort();
	for (size_t at = 0, i = 0; at < len; i++) {
		size_t n = size ? size(i, ctx) : len;
		n = n < len - at ? n : len - at;
		s.end = filter_stream_push(f, text + at, n, &out, NULL);
		buf_add(&s.output, out.bytes, out.len);
		if (out.source_begin != at_source ||
		    out.source_end + filter_stream_held(f) > at + n)
			abort();
		at_source = out.source_end;
		at += n;
	}
	s.end = filter_stream_end(f, &out, NULL);
	buf_add(&s.output, out.bytes, out.len);
	s.held_max = filter_stream_held_max(f);
	scan_record(&s, filter_stream_record(f));
	filter_stream_close(f);
	return s;
}

static inline size_t scan_bytes(size_t i, void *ctx)
{
	(void)i;
	return *(const size_t *)ctx;
}

static inline struct scan scan_whole(const struct filter_set *set, const char *text, size_t len)
{
	return scan_text(set, false, text, len, NULL, NULL);
}

static inline bool scan_equal(const struct scan *a, const struct scan *b)
{
	return a->output.len == b->output.len && a->trace.len == b->trace.len && a->end == b->end &&
	       (a->output.len == 0 ||
		memcmp(a->output.bytes, b->output.bytes, a->output.len) == 0) &&
	       memcmp(a->trace.bytes, b->trace.bytes, a->trace.len) == 0;
}

/* The same comes out: of two sets, whose bounds differ. */
static inline bool scan_same_output(const struct scan *a, const struct scan *b)
{
	return a->findings == b->findings && a->first_start == b->first_start &&
	       a->first_end == b->first_end && a->output.len == b->output.len &&
	       (a->output.len == 0 ||
		memcmp(a->output.bytes, b->output.bytes, a->output.len) == 0);
}

/* xorshift: the same cuts in every run. */
static inline uint32_t scan_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static inline size_t scan_random_size(size_t i, void *ctx)
{
	(void)i;
	return 1 + scan_random(ctx) % 9;
}

/* Lines of a vector file as JSON; a missing file gives NULL. */
static inline json_t *scan_vectors(const char *name)
{
	char path[200];
	snprintf(path, sizeof path, "tests/vectors/filters/%s", name);
	FILE *in = fopen(path, "rb");
	if (!in)
		return NULL;
	json_t *all = json_array();
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	while ((n = getline(&line, &room, in)) > 0) {
		json_t *one = json_loadb(line, (size_t)n, 0, NULL);
		if (one)
			json_array_append_new(all, one);
	}
	free(line);
	fclose(in);
	return all;
}

static inline const char *scan_string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

#endif
