/* libcurl says which sockets it waits for and when it wants to be called; epoll waits. A slot is
 * one request with its easy handle, which is kept, and its connection with it. */
#include "net/many.h"
#include "net/http_state.h"

#include "base/env.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 128

struct slot {
	struct http_many *m;
	CURL *easy;
	void *ctx;
	struct buf body;
	int status, retry_after;
	bool busy, told;
	char said[CURL_ERROR_SIZE];
	unsigned next_free;
};

struct http_many {
	CURLM *multi;
	CURLU *url;
	struct curl_slist *fields;
	char *ca_file;
	struct http_many_calls calls;
	struct slot *slot;
	unsigned at_once, free; /* free: the first free slot; at_once: none */
	unsigned connect_ms;
	bool reconnect, pipe_was_blocked;
	int epoll;
	int64_t due_us; /* when libcurl wants to be called; -1: not */
};

/* ---- what libcurl asks for ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http_many *m = arg;
	struct epoll_event v = { .data.fd = fd };
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(m->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	v.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(m->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &v) < 0)
		return -1;
	curl_multi_assign(m->multi, fd, m);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_many *m = arg;
	(void)multi;
	m->due_us = timeout_ms < 0 ? -1 : env_wait_us() + timeout_ms * 1000;
	return 0;
}

static void tell_status(struct slot *s)
{
	if (!s->told)
		s->m->calls.status(s->ctx, s->status, s->retry_after);
	s->told = true;
}

static size_t on_field(char *line, size_t one, size_t len, void *arg)
{
	struct slot *s = arg;
	long status = 0;
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
		curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
		s->status = (int)status;
		s->retry_after = -1;
	} else if (len > 12 && strncasecmp(line, "Retry-After:", 12) == 0) {
		s->retry_after = atoi(line + 12);
	}
	return one * len;
}

static size_t on_body(char *bytes, size_t one, size_t len, void *arg)
{
	struct slot *s = arg;
	tell_status(s);
	s->m->calls.body(s->ctx, bytes, one * len);
	return one * len;
}

/* ---- requests ---- */

static int slot_open(struct http_many *m, struct slot *s, struct err *e)
{
	CURLcode bad = 0;
	CURL *c = s->easy = curl_easy_init();
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory for a request");
	s->m = m;
	bad |= curl_easy_setopt(c, CURLOPT_CURLU, m->url);
	bad |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
	bad |= curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	bad |= curl_easy_setopt(c, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (m->ca_file) {
		bad |= curl_easy_setopt(c, CURLOPT_CAINFO, m->ca_file);
		bad |= curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	bad |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)m->connect_ms);
	bad |= curl_easy_setopt(c, CURLOPT_FORBID_REUSE, m->reconnect ? 1L : 0L);
	bad |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, m->fields);
	bad |= curl_easy_setopt(c, CURLOPT_USERAGENT, "hallmark");
	bad |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_field);
	bad |= curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
	bad |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
	bad |= curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->said);
	bad |= curl_easy_setopt(c, CURLOPT_PRIVATE, s);
	bad |= curl_easy_setopt(c, CURLOPT_POST, 1L);
	return bad ? err_set(e, ERR_NOMEM, "out of memory for a request") : 0;
}

int http_many_start(struct http_many *m, const void *body, size_t len, void *ctx, unsigned *number,
		    struct err *e)
{
	if (m->free == m->at_once)
		return err_set(e, ERR_UNAVAILABLE, "%u requests are under way", m->at_once);
	struct slot *s = &m->slot[m->free];
	if (!s->easy)
		TRY(slot_open(m, s, e));
	buf_clear(&s->body);
	buf_add(&s->body, body, len);
	TRY(buf_done(&s->body, e));
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->body.bytes ? s->body.bytes : "");
	s->ctx = ctx;
	s->status = 0;
	s->retry_after = -1;
	s->told = false;
	s->said[0] = 0;
	if (curl_multi_add_handle(m->multi, s->easy))
		return err_set(e, ERR_NOMEM, "out of memory for a request");
	if (number)
		*number = m->free;
	s->busy = true;
	m->free = s->next_free;
	return 0;
}

static void end_slot(struct slot *s, enum http_many_end how, const char *why)
{
	struct http_many *m = s->m;
	curl_multi_remove_handle(m->multi, s->easy);
	tell_status(s);
	s->busy = false;
	s->next_free = m->free;
	m->free = (unsigned)(s - m->slot);
	m->calls.end(s->ctx, how, why);
}

void http_many_cancel(struct http_many *m, unsigned number)
{
	if (number < m->at_once && m->slot[number].busy)
		end_slot(&m->slot[number], HTTP_MANY_TIMEOUT, NULL);
}

static enum http_many_end end_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_MANY_WHOLE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_MANY_CONNECT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return HTTP_MANY_TLS;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return HTTP_MANY_BROKEN;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return HTTP_MANY_MALFORMED;
	default:
		return HTTP_MANY_OTHER;
	}
}

static void tell_ends(struct http_many *m)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(m->multi, &left))) {
		CURLcode code = message->data.result;
		char said[CURL_ERROR_SIZE];
		char *private = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		struct slot *s = (struct slot *)(void *)private;
		snprintf(said, sizeof said, "%s", s->said[0] ? s->said : curl_easy_strerror(code));
		end_slot(s, end_of(code), code ? said : NULL);
	}
}

/* ---- waiting ---- */

static int wait_events(struct http_many *m, struct epoll_event *v, int64_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
	int n = epoll_pwait2(m->epoll, v, EVENTS, &t, NULL);
	if (n < 0 && errno == ENOSYS) /* before Linux 5.11: whole milliseconds */
		n = epoll_wait(m->epoll, v, EVENTS, (int)((us + 999) / 1000));
	return n;
}

int http_many_turn(struct http_many *m, int64_t timeout_us, struct err *e)
{
	struct epoll_event v[EVENTS];
	CURLMcode bad = CURLM_OK;
	int running;
	int64_t left = m->due_us < 0 ? timeout_us : m->due_us - env_wait_us();
	left = left < timeout_us ? left : timeout_us;
	int n = wait_events(m, v, left < 0 ? 0 : left);
	if (n < 0 && errno != EINTR)
		return err_errno(e, "wait for sockets");
	for (int i = 0; i < n && !bad; i++) {
		int what = (v[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (v[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (v[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
		bad = curl_multi_socket_action(m->multi, v[i].data.fd, what, &running);
	}
	if (!bad && m->due_us >= 0 && env_wait_us() >= m->due_us) {
		m->due_us = -1;
		bad = curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	if (bad)
		return err_set(e, ERR_IO, "HTTP client: %s", curl_multi_strerror(bad));
	tell_ends(m);
	return 0;
}

/* ---- opening ---- */

static int add_field(struct http_many *m, const char *name, const char *value, struct err *e)
{
	struct buf line = { 0 };
	buf_printf(&line, "%s: %s", name, value);
	struct curl_slist *more = line.failed ? NULL : curl_slist_append(m->fields, line.bytes);
	buf_free(&line);
	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory for a request");
	m->fields = more;
	return 0;
}

static int set_address(struct http_many *m, const char *url, struct err *e)
{
	char *scheme = NULL;
	m->url = curl_url();
	CURLUcode code = curl_url_set(m->url, CURLUPART_URL, url, CURLU_DISALLOW_USER);
	if (!code)
		code = curl_url_get(m->url, CURLUPART_SCHEME, &scheme, 0);
	bool ok = !code && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	return ok ? 0
		  : err_set(e, ERR_INPUT,
			    "expected an address as in https://HOST/PATH, found \"%.100s\"", url);
}

static int set_up(struct http_many *m, const struct http_many_options *o, struct err *e)
{
	CURLMcode bad = 0;
	TRY(set_address(m, o->url, e));
	if (o->ca_file && access(o->ca_file, R_OK) < 0)
		return err_errno(e, "trusted roots %s", o->ca_file);
	TRY(add_field(m, "Content-Type", "application/json", e));
	TRY(add_field(m, "Expect", "", e)); /* no wait before a long body */
	if (o->authorization)
		TRY(add_field(m, "Authorization", o->authorization, e));
	m->multi = curl_multi_init();
	m->slot = calloc(o->at_once, sizeof *m->slot);
	m->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	if (!m->multi || !m->slot || (o->ca_file && !m->ca_file))
		return err_set(e, ERR_NOMEM, "out of memory for %u requests", o->at_once);
	for (unsigned i = 0; i < o->at_once; i++)
		m->slot[i].next_free = i + 1;
	bad |= curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
	bad |= curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	bad |= curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
	bad |= curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, (long)o->at_once);
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (m->epoll < 0)
		return err_errno(e, "wait for sockets");
	return bad ? err_set(e, ERR_IO, "HTTP client: %s", curl_multi_strerror(bad)) : 0;
}

/* libcurl writes to sockets that a peer may have closed, and blocks no signal itself. */
static void block_pipe(struct http_many *m)
{
	sigset_t pipe, before;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &before);
	m->pipe_was_blocked = sigismember(&before, SIGPIPE);
}

static void unblock_pipe(struct http_many *m)
{
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (!m->pipe_was_blocked && sigtimedwait(&pipe, NULL, &(struct timespec){ 0 }) > 0)
		;
	if (!m->pipe_was_blocked)
		pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
}

int http_many_open(struct http_many **out, const struct http_many_options *o,
		   const struct http_many_calls *calls, struct err *e)
{
	*out = NULL;
	TRY(http_start_library(e));
	struct http_many *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, ERR_NOMEM, "out of memory for an HTTP client");
	m->calls = *calls;
	m->at_once = o->at_once;
	m->reconnect = o->reconnect;
	m->connect_ms = o->connect_ms ? o->connect_ms : 10000;
	m->epoll = -1;
	m->due_us = -1;
	block_pipe(m);
	int rc = set_up(m, o, e);
	if (rc < 0)
		http_many_close(m);
	else
		*out = m;
	return rc;
}

void http_many_close(struct http_many *m)
{
	if (!m)
		return;
	for (unsigned i = 0; m->slot && i < m->at_once; i++) {
		struct slot *s = &m->slot[i];
		if (s->busy)
			curl_multi_remove_handle(m->multi, s->easy);
		if (s->easy)
			curl_easy_cleanup(s->easy);
		buf_free(&s->body);
	}
	if (m->multi)
		curl_multi_cleanup(m->multi);
	curl_url_cleanup(m->url);
	curl_slist_free_all(m->fields);
	if (m->epoll >= 0)
		close(m->epoll);
	unblock_pipe(m);
	free(m->ca_file);
	free(m->slot);
	free(m);
}
