/* Each try asks for what is missing and judges the answer before its first byte is taken:
 *
 *   206, Content-Range from where we are, same validator   the sink goes on
 *   200                                                     the whole resource: restart
 *   416, "bytes * / length" of what we have                 nothing was missing: told as 206
 *   else                                                    the caller's to read */
#include "net/http_state.h"
#include "base/text.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_MS 250 /* before a try after one that brought nothing; doubled each time */
#define PAUSE_MAX_MS 8000

struct job {
	const struct http_download *d;
	struct http_part *part;
	uint64_t total; /* of the resource, once it is known */
	bool has_total;
};

/* "bytes FIRST-LAST/TOTAL", or "bytes * /TOTAL" where first is NULL; TOTAL may be "*". */
static bool read_range(const char *text, uint64_t *first, uint64_t *total, bool *has_total)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	if (!slash || !text_starts(text, "bytes "))
		return false;
	const char *begin = text + 6, *dash = memchr(begin, '-', (size_t)(slash - begin));
	uint64_t last;
	if (!first && (slash != begin + 1 || *begin != '*'))
		return false;
	if (first &&
	    (!dash || text_parse_u64(begin, (size_t)(dash - begin), first) < 0 ||
	     text_parse_u64(dash + 1, (size_t)(slash - dash - 1), &last) < 0 || last < *first))
		return false;
	*has_total = strcmp(slash + 1, "*") != 0;
	return !*has_total || text_parse_u64(slash + 1, strlen(slash + 1), total) == 0;
}

/* Weak validators ("W/...") do not promise the same bytes. */
static void keep_etag(struct http_part *part, const char *etag)
{
	bool strong = etag && etag[0] == '"' && strlen(etag) < sizeof part->etag;
	snprintf(part->etag, sizeof part->etag, "%s", strong ? etag : "");
}

static int forget_part(struct job *j, struct err *e)
{
	if (j->part->bytes)
		TRY(j->d->restart(j->d->ctx, e));
	*j->part = (struct http_part){ 0 };
	return 0;
}

/* UINT64_MAX: it does not say. */
static uint64_t first_of_part(struct job *j, const struct http_response *r)
{
	uint64_t first;
	bool ok = read_range(http_field(r, "Content-Range"), &first, &j->total, &j->has_total);
	return ok ? first : UINT64_MAX;
}

static int begin_part(void *ctx, const struct http_response *r, struct err *e)
{
	struct job *j = ctx;
	const char *etag = http_field(r, "ETag");
	if (r->status == 206) {
		if (!j->part->bytes || first_of_part(j, r) != j->part->bytes)
			return err_set(e, ERR_INPUT, "the server sent another part than asked for");
		if (etag && strcmp(etag, j->part->etag) != 0)
			return err_set(e, ERR_INPUT,
				       "the server sent a part of something that has changed");
	} else if (r->status == 200) {
		TRY(forget_part(j, e));
		keep_etag(j->part, etag);
	}
	return 0;
}

static int sink_part(void *ctx, const void *bytes, size_t len, struct err *e)
{
	struct job *j = ctx;
	uint64_t most = http_body_bytes_max(&j->d->request);
	if (j->part->bytes + len > most)
		return err_set(e, ERR_INPUT, "the parts have more than %llu bytes",
			       (unsigned long long)most);
	TRY(j->d->request.sink(j->d->ctx, bytes, len, e));
	j->part->bytes += len;
	return 0;
}

static bool is_cancelled(void *ctx)
{
	struct job *j = ctx;
	return j->d->request.is_cancelled && j->d->request.is_cancelled(j->d->ctx);
}

#define FIELDS_MAX 32

/* The caller's fields, then ours. */
static int add_range(const struct job *j, const char *range, const char **field, struct err *e)
{
	size_t n = 0;
	for (const char *const *f = j->d->request.field; f && f[0]; f += 2) {
		if (n + 2 > FIELDS_MAX)
			return err_set(e, ERR_INPUT, "more than %d request fields", FIELDS_MAX / 2);
		field[n++] = f[0];
		field[n++] = f[1];
	}
	if (j->part->bytes) {
		field[n++] = "Range";
		field[n++] = range;
		field[n++] = "If-Range";
		field[n++] = j->part->etag;
	}
	field[n] = NULL;
	return 0;
}

/* A 416 that says: what we hold is all there is. */
static bool is_whole(struct job *j, const struct http_response *r)
{
	return read_range(http_field(r, "Content-Range"), NULL, &j->total, &j->has_total) &&
	       j->has_total && j->total == j->part->bytes;
}

/* 0: the resource is complete, or the response is the caller's to read; 1: more is to come. */
static int try_once(struct http *h, struct job *j, int64_t left_ms, struct http_response *out,
		    struct err *e)
{
	const char *field[FIELDS_MAX + 5];
	char range[40];
	if (!j->part->etag[0])
		TRY(forget_part(j, e));
	snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)j->part->bytes);
	TRY(add_range(j, range, field, e));
	struct http_request r = j->d->request;
	r.method = NULL;
	r.field = field;
	r.ctx = j;
	r.begin = begin_part;
	r.sink = sink_part;
	r.is_cancelled = is_cancelled;
	r.total_ms = (unsigned)left_ms;
	TRY(http_do(h, &r, out, e));
	if (out->status == 416 && j->part->bytes) {
		if (is_whole(j, out)) {
			out->status = 206; /* no error page for what is complete */
			buf_clear(&out->body);
			return 0;
		}
		TRY(forget_part(j, e));
		return 1;
	}
	if (out->status != 206)
		return 0;
	if (!j->has_total)
		return err_set(e, ERR_INPUT, "the server does not say how long the whole is");
	if (j->part->bytes > j->total)
		return err_set(e, ERR_INPUT, "the server sent more than the whole");
	return j->part->bytes < j->total;
}

static void pause_ms(struct job *j, unsigned tries)
{
	int ms = PAUSE_MS;
	while (--tries > 0 && ms < PAUSE_MAX_MS)
		ms *= 2;
	for (; ms > 0 && !is_cancelled(j); ms -= 50)
		poll(NULL, 0, 50);
}

int http_download(struct http *h, const struct http_download *d, struct http_part *part,
		  struct http_response *out, struct err *e)
{
	struct job j = { .d = d, .part = part };
	int64_t end = http_steady_ms(h) + http_total_ms(&d->request);
	for (unsigned tries = 0;;) {
		uint64_t before = part->bytes;
		int64_t left = end - http_steady_ms(h);
		if (left <= 0)
			return err_set(e, ERR_UNAVAILABLE, "the download took more than %u ms",
				       http_total_ms(&d->request));
		int rc = try_once(h, &j, left, out, e);
		if (rc != ERR_UNAVAILABLE && rc <= 0)
			return rc;
		tries = part->bytes > before ? 0 : tries + 1;
		if (tries >= (d->tries_max ? d->tries_max : 5) || is_cancelled(&j))
			return rc < 0 ? rc
				      : err_set(e, ERR_UNAVAILABLE,
						"the server sends nothing more");
		if (tries)
			pause_ms(&j, tries);
	}
}
