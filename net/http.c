/* One request is a chain of hops, joined by redirects; each hop is one transfer of libcurl.
 * Redirects are followed here and not by libcurl, so that who gets the credentials is decided in
 * one place. */
#include "net/http_state.h"
#include "base/limits.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TICK_MS 100
#define ERROR_BODY_BYTES KIB(64) /* of a body that is no 2xx: a page for a person */

struct http {
	CURL *easy;
	CURLM *multi;
	char *ca_file, *proxy;
	struct clock clock;
};

struct url {
	CURLU *parts;
	bool tls;
	char origin[300]; /* "https://host:443" */
	char shown[400];  /* for error sentences: without a query, which may hold a secret */
};

/* One hop. */
struct transfer {
	struct http *h;
	const struct http_request *r;
	struct http_response *out;
	struct err *e;
	const struct url *url;
	struct curl_slist *fields;
	size_t field_bytes;     /* of this response, with its status line */
	uint64_t body_bytes;    /* of this response */
	unsigned lengths;       /* Content-Length fields of this response */
	bool begun, leads_away; /* its fields are complete; it is a redirect to follow */
	int rc;                 /* why one of the calls below has ended the transfer */
	char said[CURL_ERROR_SIZE];
};

int64_t http_steady_ms(const struct http *h) { return h->clock.steady_us(h->clock.ctx) / 1000; }

static unsigned or_default(unsigned value, unsigned fallback) { return value ? value : fallback; }

uint64_t http_body_bytes_max(const struct http_request *r)
{
	return r->body_bytes_max ? r->body_bytes_max : MIB(1);
}

unsigned http_total_ms(const struct http_request *r) { return or_default(r->total_ms, 60000); }

/* ---- addresses ---- */

static void url_close(struct url *u)
{
	curl_url_cleanup(u->parts);
	u->parts = NULL;
}

/* A part of the address into out; false when it is absent or too long. */
static bool url_part(const struct url *u, CURLUPart what, char *out, size_t room)
{
	char *text = NULL;
	bool ok = curl_url_get(u->parts, what, &text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		  strlen(text) < room;
	if (ok)
		strcpy(out, text);
	curl_free(text);
	return ok;
}

static int url_parse(struct url *u, const char *text, struct err *e)
{
	char scheme[16] = "", host[260], port[8], path[80];
	CURLUcode code = curl_url_set(u->parts, CURLUPART_URL, text, CURLU_DISALLOW_USER);
	bool parsed = code == CURLUE_OK && url_part(u, CURLUPART_SCHEME, scheme, sizeof scheme);
	u->tls = strcmp(scheme, "https") == 0;
	if (code == CURLUE_OUT_OF_MEMORY)
		return err_set(e, ERR_NOMEM, "out of memory for an address");
	if (code == CURLUE_USER_NOT_ALLOWED)
		return err_set(e, ERR_INPUT, "an address must not hold a user name or a password");
	if (code == CURLUE_UNSUPPORTED_SCHEME || (parsed && !u->tls && strcmp(scheme, "http") != 0))
		return err_set(e, ERR_UNSUPPORTED,
			       "only http:// and https:// are taken, found \"%.100s\"", text);
	if (!parsed || !url_part(u, CURLUPART_HOST, host, sizeof host) ||
	    !url_part(u, CURLUPART_PORT, port, sizeof port))
		return err_set(e, ERR_INPUT,
			       "expected an address as in https://HOST/PATH, found \"%.100s\"",
			       text);
	for (char *c = host; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	if (!url_part(u, CURLUPART_PATH, path, sizeof path))
		strcpy(path, "/...");
	snprintf(u->origin, sizeof u->origin, "%s://%s:%s", scheme, host, port);
	snprintf(u->shown, sizeof u->shown, "%s%s", u->origin, path);
	return 0;
}

static int url_open(struct url *u, const char *text, struct err *e)
{
	*u = (struct url){ .parts = curl_url() };
	if (!u->parts)
		return err_set(e, ERR_NOMEM, "out of memory for an address");
	int rc = url_parse(u, text, e);
	if (rc < 0)
		url_close(u);
	return rc;
}

/* ---- what libcurl hands over ---- */

static bool is_success(int status) { return status / 100 == 2; }

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool takes_redirects(const struct http_request *r)
{
	return r->redirects_max &&
	       (!r->method || strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0);
}

/* A new status line: interim responses and their fields are forgotten. */
static void start_fields(struct transfer *t)
{
	long status = 0;
	curl_easy_getinfo(t->h->easy, CURLINFO_RESPONSE_CODE, &status);
	t->out->status = (int)status;
	t->lengths = 0;
	buf_clear(&t->out->fields);
}

static int keep_field(struct transfer *t, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	if (!colon)
		return err_set(t->e, ERR_INPUT, "%s: a malformed field in the response",
			       t->url->shown);
	const char *value = colon + 1, *end = line + len;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && strchr(" \t\r\n", end[-1]))
		end--;
	if (colon - line == 14 && strncasecmp(line, "Content-Length", 14) == 0 && ++t->lengths > 1)
		return err_set(t->e, ERR_INPUT, "%s: two lengths in the response", t->url->shown);
	buf_add(&t->out->fields, line, (size_t)(colon - line));
	buf_add_byte(&t->out->fields, 0);
	buf_add(&t->out->fields, value, (size_t)(end - value));
	buf_add_byte(&t->out->fields, 0);
	return buf_done(&t->out->fields, t->e);
}

/* The blank line. */
static int end_fields(struct transfer *t)
{
	if (t->out->status / 100 == 1 || t->begun)
		return 0;
	t->begun = true;
	t->leads_away = is_redirect(t->out->status) && takes_redirects(t->r) &&
			http_field(t->out, "Location");
	return t->r->begin && !t->leads_away ? t->r->begin(t->r->ctx, t->out, t->e) : 0;
}

static size_t on_field(char *line, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;
	size_t most = t->r->field_bytes_max ? t->r->field_bytes_max : KIB(64);
	t->field_bytes += len;
	if (t->field_bytes > most)
		t->rc = err_set(t->e, ERR_INPUT,
				"%s: the response has more than %zu bytes of fields", t->url->shown,
				most);
	else if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		start_fields(t);
	else if (len <= 2)
		t->rc = end_fields(t);
	else if (!t->begun) /* else a trailer */
		t->rc = keep_field(t, line, len);
	return t->rc < 0 ? 0 : one * len;
}

static int take_body(struct transfer *t, const char *bytes, size_t len)
{
	uint64_t most = http_body_bytes_max(t->r);
	t->body_bytes += len;
	if (t->body_bytes > most)
		return err_set(t->e, ERR_INPUT, "%s: the response has more than %llu bytes",
			       t->url->shown, (unsigned long long)most);
	if (t->leads_away)
		return 0;
	if (is_success(t->out->status) && t->r->sink)
		return t->r->sink(t->r->ctx, bytes, len, t->e);
	size_t room = is_success(t->out->status) ? len : ERROR_BODY_BYTES - t->out->body.len;
	buf_add(&t->out->body, bytes, len < room ? len : room);
	return buf_done(&t->out->body, t->e);
}

static size_t on_body(char *bytes, size_t one, size_t len, void *arg)
{
	struct transfer *t = arg;
	t->rc = take_body(t, bytes, one * len);
	return t->rc < 0 ? CURL_WRITEFUNC_ERROR : one * len;
}

/* ---- a hop ---- */

/* A line break in a value would be a second field, or a second request. */
static bool is_field(const char *name, const char *value)
{
	for (const char *c = name; *c; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') &&
		    !(*c >= '0' && *c <= '9') && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	for (const char *c = value; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return false;
	return *name != 0;
}

static int add_field(struct transfer *t, const char *name, const char *value)
{
	static const char *const ours[] = { "Authorization",       "Cookie",
					    "Proxy-Authorization", "Host",
					    "Content-Length",      "Transfer-Encoding" };
	bool refused = !is_field(name, value);
	for (size_t i = 0; t->r->authorization != value && i < sizeof ours / sizeof *ours; i++)
		refused |= strcasecmp(name, ours[i]) == 0;
	if (refused)
		return err_set(t->e, ERR_INPUT, "the request field \"%.60s\" is not taken", name);
	struct buf line = { 0 };
	if (*value)
		buf_printf(&line, "%s: %s", name, value);
	else
		buf_printf(&line, "%s;", name); /* as libcurl spells an empty value */
	struct curl_slist *more = line.failed ? NULL : curl_slist_append(t->fields, line.bytes);
	buf_free(&line);
	if (!more)
		return err_set(t->e, ERR_NOMEM, "out of memory for a request");
	t->fields = more;
	return 0;
}

static int add_fields(struct transfer *t, bool with_credentials)
{
	bool has_type = false;
	for (const char *const *f = t->r->field; f && f[0]; f += 2) {
		TRY(add_field(t, f[0], f[1]));
		has_type |= strcasecmp(f[0], "Content-Type") == 0;
	}
	struct curl_slist *more =
		has_type ? t->fields : curl_slist_append(t->fields, "Content-Type:");
	if (!has_type && !more) /* without it libcurl calls any body a form */
		return err_set(t->e, ERR_NOMEM, "out of memory for a request");
	t->fields = more;
	if (with_credentials && t->r->authorization)
		return add_field(t, "Authorization", t->r->authorization);
	return 0;
}

static void set_method(CURL *c, const struct http_request *r)
{
	const char *method = r->method ? r->method : "GET";
	if (r->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_bytes);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body ? r->body : "");
	}
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode set_options(struct transfer *t)
{
	CURL *c = t->h->easy;
	CURLcode bad = 0;
	curl_easy_reset(c);
	bad |= curl_easy_setopt(c, CURLOPT_CURLU, t->url->parts);
	bad |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
	bad |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	bad |= curl_easy_setopt(c, CURLOPT_PROXY, t->h->proxy ? t->h->proxy : "");
	bad |= curl_easy_setopt(c, CURLOPT_NOPROXY, "");
	bad |= curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	bad |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (t->h->ca_file) { /* and no other roots beside them */
		bad |= curl_easy_setopt(c, CURLOPT_CAINFO, t->h->ca_file);
		bad |= curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
				(long)or_default(t->r->connect_ms, 10000));
	bad |= curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE,
				(curl_off_t)http_body_bytes_max(t->r));
	bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->fields);
	bad |= curl_easy_setopt(c, CURLOPT_USERAGENT, "hallmark");
	bad |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
	bad |= curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	bad |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->said);
	set_method(c, t->r);
	return bad;
}

static const struct {
	CURLcode code;
	int rc;
	const char *sentence;
} faults[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_UNAVAILABLE, "the host has no known address" },
	{ CURLE_COULDNT_CONNECT, ERR_UNAVAILABLE, "no connection" },
	{ CURLE_OPERATION_TIMEDOUT, ERR_UNAVAILABLE, "no connection in time" },
	{ CURLE_GOT_NOTHING, ERR_UNAVAILABLE, "the connection was closed without a response" },
	{ CURLE_PARTIAL_FILE, ERR_UNAVAILABLE, "the response is shorter than its length says" },
	{ CURLE_RECV_ERROR, ERR_UNAVAILABLE, "the connection broke" },
	{ CURLE_SEND_ERROR, ERR_UNAVAILABLE, "the connection broke" },
	{ CURLE_SSL_CONNECT_ERROR, ERR_UNAVAILABLE, "no TLS connection" },
	{ CURLE_PEER_FAILED_VERIFICATION, ERR_VERIFY, "the server's certificate is refused" },
	{ CURLE_SSL_CACERT_BADFILE, ERR_INPUT, "the trusted roots cannot be read" },
	{ CURLE_FILESIZE_EXCEEDED, ERR_INPUT, "the response is longer than what is taken" },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_INPUT, "the response is not HTTP/1" },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_INPUT, "the response is malformed" },
	{ CURLE_OUT_OF_MEMORY, ERR_NOMEM,
	  "out of memory, or a field of the response has more than 100 KiB" },
};

static int fault(const struct transfer *t, CURLcode code)
{
	const char *said = t->said[0] ? t->said : curl_easy_strerror(code);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		if (faults[i].code == code)
			return err_set(t->e, faults[i].rc, "%s: %s (%s)", t->url->shown,
				       faults[i].sentence, said);
	return err_set(t->e, ERR_IO, "%s: %s", t->url->shown, said);
}

static uint64_t bytes_moved(const struct transfer *t)
{
	curl_off_t up = 0;
	curl_easy_getinfo(t->h->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	return t->field_bytes + t->body_bytes + (uint64_t)up;
}

struct pace {
	int64_t since_ms; /* the stretch in which stall_bytes must move */
	uint64_t bytes;   /* moved before it */
};

/* 0: go on. */
static int check_time(const struct transfer *t, int64_t end_ms, struct pace *p)
{
	int64_t now = http_steady_ms(t->h);
	uint64_t moved = bytes_moved(t);
	if (t->r->is_cancelled && t->r->is_cancelled(t->r->ctx))
		return err_set(t->e, ERR_UNAVAILABLE, "%s: cancelled", t->url->shown);
	if (now >= end_ms)
		return err_set(t->e, ERR_UNAVAILABLE, "%s: the request took more than %u ms",
			       t->url->shown, http_total_ms(t->r));
	if (moved - p->bytes >= or_default(t->r->stall_bytes, 1))
		*p = (struct pace){ now, moved };
	else if (now - p->since_ms >= or_default(t->r->stall_ms, 30000))
		return err_set(t->e, ERR_UNAVAILABLE, "%s: stalled: fewer than %u bytes in %u ms",
			       t->url->shown, or_default(t->r->stall_bytes, 1),
			       or_default(t->r->stall_ms, 30000));
	return 0;
}

static int run_transfer(struct transfer *t, int64_t end_ms)
{
	struct pace pace = { .since_ms = http_steady_ms(t->h) };
	CURLM *m = t->h->multi;
	CURLMcode bad = curl_multi_add_handle(m, t->h->easy);
	int running = 1, left, rc = 0;
	while (!bad && rc == 0) {
		bad = curl_multi_perform(m, &running);
		if (bad || !running)
			break;
		rc = check_time(t, end_ms, &pace);
		if (rc == 0)
			bad = curl_multi_poll(m, NULL, 0, TICK_MS, NULL);
	}
	if (bad)
		rc = err_set(t->e, bad == CURLM_OUT_OF_MEMORY ? ERR_NOMEM : ERR_IO, "%s: %s",
			     t->url->shown, curl_multi_strerror(bad));
	CURLMsg *message = rc == 0 ? curl_multi_info_read(m, &left) : NULL;
	CURLcode code = message ? message->data.result : CURLE_OK;
	curl_multi_remove_handle(m, t->h->easy);
	if (t->rc < 0)
		return t->rc;
	return rc < 0 || code == CURLE_OK ? rc : fault(t, code);
}

/* The library writes to sockets that a peer may have closed, and blocks no signal itself. */
static int run_without_sigpipe(struct transfer *t, int64_t end_ms)
{
	sigset_t pipe, before, pending;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	int rc = run_transfer(t, end_ms);
	if (!sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&pipe, NULL, &(struct timespec){ 0 }) > 0)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* 1: *next (to be freed by curl_free) is where the response leads, 0: it is the last. */
static int do_hop(struct http *h, const struct http_request *r, const struct url *u,
		  bool with_credentials, int64_t end_ms, struct http_response *out, char **next,
		  struct err *e)
{
	struct transfer t = { .h = h, .r = r, .out = out, .e = e, .url = u };
	char *location = NULL;
	int rc;
	out->status = 0;
	buf_clear(&out->body);
	buf_clear(&out->fields);
	TRY_OUT(add_fields(&t, with_credentials));
	if (set_options(&t) != CURLE_OK) {
		rc = err_set(e, ERR_NOMEM, "out of memory for a request");
		goto out;
	}
	TRY_OUT(run_without_sigpipe(&t, end_ms));
	if (t.leads_away)
		curl_easy_getinfo(h->easy, CURLINFO_REDIRECT_URL, &location);
	*next = location ? strdup(location) : NULL;
	if (t.leads_away && !*next)
		rc = err_set(e, ERR_INPUT, "%s: a redirect to nowhere", u->shown);
	else
		rc = t.leads_away;
out:
	curl_slist_free_all(t.fields);
	return rc;
}

/* ---- the whole ---- */

int http_do(struct http *h, const struct http_request *r, struct http_response *out, struct err *e)
{
	int64_t end_ms = http_steady_ms(h) + http_total_ms(r);
	struct url u, to = { 0 };
	char origin[sizeof u.origin];
	char *next = NULL;
	TRY(url_open(&u, r->url, e));
	strcpy(origin, u.origin);
	int rc;
	for (unsigned hops = 0;; hops++) {
		bool at_home = strcmp(u.origin, origin) == 0;
		TRY_OUT(do_hop(h, r, &u, at_home, end_ms, out, &next, e));
		if (rc == 0)
			break;
		rc = hops < r->redirects_max ? url_open(&to, next, e)
					     : err_set(e, ERR_INPUT, "%s: more than %u redirects",
						       u.shown, r->redirects_max);
		free(next);
		next = NULL;
		TRY_OUT(rc);
		if (u.tls && !to.tls)
			TRY_OUT(err_set(e, ERR_UNSUPPORTED,
					"%s: a redirect from https to http is refused", u.shown));
		url_close(&u);
		u = to;
		to.parts = NULL;
	}
out:
	free(next);
	url_close(&u);
	url_close(&to);
	return rc;
}

const char *http_field(const struct http_response *r, const char *name)
{
	for (size_t at = 0; at < r->fields.len;) {
		const char *is = r->fields.bytes + at, *value = is + strlen(is) + 1;
		if (strcasecmp(is, name) == 0)
			return value;
		at = (size_t)(value - r->fields.bytes) + strlen(value) + 1;
	}
	return NULL;
}

void http_response_free(struct http_response *r)
{
	buf_free(&r->body);
	buf_free(&r->fields);
	*r = (struct http_response){ 0 };
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode started;

static void start_library(void) { started = curl_global_init(CURL_GLOBAL_DEFAULT); }

int http_start_library(struct err *e)
{
	pthread_once(&once, start_library);
	return started == CURLE_OK ? 0 : err_set(e, ERR_NOMEM, "out of memory for an HTTP client");
}

static int check_ca_file(const char *path, struct err *e)
{
	FILE *f = path ? fopen(path, "rb") : NULL;
	if (path && !f)
		return err_errno(e, "trusted roots %s", path);
	if (f)
		fclose(f);
	return 0;
}

int http_open(struct http **out, const struct http_options *o, struct err *e)
{
	TRY(http_start_library(e));
	TRY(check_ca_file(o->ca_file, e));
	struct http *h = calloc(1, sizeof *h);
	if (!h)
		return err_set(e, ERR_NOMEM, "out of memory for an HTTP client");
	h->clock = o->clock.steady_us ? o->clock : env_system().clock;
	h->easy = curl_easy_init();
	h->multi = curl_multi_init();
	h->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	h->proxy = o->proxy ? strdup(o->proxy) : NULL;
	if (!h->easy || !h->multi || (o->ca_file && !h->ca_file) || (o->proxy && !h->proxy)) {
		http_close(h);
		return err_set(e, ERR_NOMEM, "out of memory for an HTTP client");
	}
	*out = h;
	return 0;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	curl_multi_cleanup(h->multi);
	free(h->ca_file);
	free(h->proxy);
	free(h);
}
