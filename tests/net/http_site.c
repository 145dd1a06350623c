#include "tests/net/http_site.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- certificates ---- */

static void extend(X509 *x, int what, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, what, value);
	cr_assert(ext && X509_add_ext(x, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

struct issuer {
	X509 *x;
	EVP_PKEY *key;
};

static struct issuer make_one(const char *dir, const char *name, const char *hosts, long days,
			      const struct issuer *by)
{
	struct issuer made = { X509_new(), EVP_EC_gen("P-256") };
	static long serial;
	char path[200];
	X509_set_version(made.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(made.x), -10 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(made.x), days * 86400);
	X509_set_pubkey(made.x, made.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(made.x, X509_get_subject_name(by ? by->x : made.x));
	extend(made.x, NID_basic_constraints, hosts ? "CA:FALSE" : "critical,CA:TRUE");
	if (hosts)
		extend(made.x, NID_subject_alt_name, hosts);
	cr_assert_gt(X509_sign(made.x, by ? by->key : made.key, EVP_sha256()), 0);
	snprintf(path, sizeof path, "%s/%s.pem", dir, name);
	FILE *f = fopen(path, "w");
	cr_assert(f && PEM_write_X509(f, made.x) == 1);
	cr_assert(!hosts || PEM_write_PrivateKey(f, made.key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
	return made;
}

static void forget(struct issuer made)
{
	X509_free(made.x);
	EVP_PKEY_free(made.key);
}

void site_certificates(const char *dir)
{
	static const char here[] = "IP:127.0.0.1,DNS:localhost";
	struct issuer ca = make_one(dir, "ca", NULL, 10, NULL);
	forget(make_one(dir, "good", here, 10, &ca));
	forget(make_one(dir, "expired", here, -1, &ca));
	forget(make_one(dir, "other", "DNS:other.test", 10, &ca));
	forget(make_one(dir, "alone", here, 10, NULL));
	forget(ca);
}

/* ---- serving ---- */

void site_say_bytes(struct visit *v, const void *bytes, size_t len)
{
	if (v->tls) {
		if (len && SSL_write(v->tls, bytes, (int)len) <= 0)
			v->ended = 1;
		return;
	}
	for (const char *b = bytes; len > 0;) {
		ssize_t n = send(v->fd, b, len, MSG_NOSIGNAL);
		if (n <= 0) {
			v->ended = 1;
			return;
		}
		b += n;
		len -= (size_t)n;
	}
}

void site_say(struct visit *v, const char *text) { site_say_bytes(v, text, strlen(text)); }

/* A head and what comes with it, into the site's next place; false at the end of the connection. */
static int read_head(struct visit *v, char *out, size_t room)
{
	size_t have = 0;
	while (have + 1 < room) {
		struct pollfd p = { .fd = v->fd, .events = POLLIN };
		if (atomic_load(&v->site->stopping))
			return 0;
		if ((!v->tls || !SSL_pending(v->tls)) && poll(&p, 1, 20) <= 0)
			continue;
		int n = v->tls ? SSL_read(v->tls, out + have, (int)(room - have - 1))
			       : (int)recv(v->fd, out + have, room - have - 1, 0);
		if (n <= 0)
			return 0;
		have += (size_t)n;
		out[have] = 0;
		if (strstr(out, "\r\n\r\n"))
			return 1;
	}
	return 0;
}

static void serve_connection(struct site *s, int fd)
{
	struct visit v = { .site = s, .fd = fd };
	static char spare[2048];
	char path[1024];
	atomic_fetch_add(&s->connections, 1);
	if (s->tls) {
		v.tls = SSL_new(s->tls);
		SSL_set_fd(v.tls, fd);
		v.ended = SSL_accept(v.tls) != 1;
	}
	while (!v.ended) {
		v.number = atomic_load(&s->requests);
		char *head = v.number < SITE_HEADS ? s->head[v.number] : spare;
		if (!read_head(&v, head, sizeof spare))
			break;
		atomic_fetch_add(&s->requests, 1);
		v.head = head;
		v.path = sscanf(head, "%*s %1000s", path) == 1 ? path : "";
		s->answer(&v);
	}
	if (v.tls)
		SSL_free(v.tls);
	shutdown(fd, SHUT_WR);
	char rest[256]; /* a reset would take what was said */
	struct pollfd p = { .fd = fd, .events = POLLIN };
	while (poll(&p, 1, 200) == 1 && recv(fd, rest, sizeof rest, 0) > 0)
		;
	close(fd);
}

static void *serve(void *arg)
{
	struct site *s = arg;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	while (!atomic_load(&s->stopping)) {
		int fd = poll(&p, 1, 20) == 1 ? accept(s->fd, NULL, NULL) : -1;
		if (fd >= 0)
			serve_connection(s, fd);
	}
	return NULL;
}

void site_open(struct site *s, void (*answer)(struct visit *v), const char *certificate)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	memset(s, 0, sizeof *s);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->answer = answer;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(s->fd, (struct sockaddr *)&a, len) == 0 && listen(s->fd, 16) == 0);
	cr_assert_eq(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	if (certificate) {
		s->tls = SSL_CTX_new(TLS_server_method());
		cr_assert_eq(SSL_CTX_use_certificate_file(s->tls, certificate, SSL_FILETYPE_PEM), 1);
		cr_assert_eq(SSL_CTX_use_PrivateKey_file(s->tls, certificate, SSL_FILETYPE_PEM), 1);
	}
	cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

void site_close(struct site *s)
{
	atomic_store(&s->stopping, 1);
	pthread_join(s->thread, NULL);
	close(s->fd);
	SSL_CTX_free(s->tls);
}
