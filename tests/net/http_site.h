/* A tiny HTTP server on loopback, plain or TLS, that says what a test tells it to, right or wrong. */
#ifndef TESTS_NET_HTTP_SITE_H
#define TESTS_NET_HTTP_SITE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define SITE_HEADS 32

struct site;
struct visit {
	struct site *site;
	int fd, number; /* the number-th request to the site, from 0 */
	SSL *tls;
	const char *head, *path; /* "/a?b"; the head whole, NUL-terminated */
	int ended;               /* set it to close the connection after this answer */
};

struct site {
	void (*answer)(struct visit *v);
	SSL_CTX *tls; /* NULL: plain */
	int fd;
	uint16_t port;
	atomic_int requests, connections, stopping;
	char head[SITE_HEADS][2048]; /* those of the first requests */
	pthread_t thread;
};

/* certificate: one of the files of site_certificates; NULL: plain. */
void site_open(struct site *s, void (*answer)(struct visit *v), const char *certificate);
void site_close(struct site *s);

void site_say(struct visit *v, const char *text);
void site_say_bytes(struct visit *v, const void *bytes, size_t len);

/* Write ca.pem and, each with its key and signed by the CA, good.pem (127.0.0.1, localhost), expired.pem
 * and other.pem (other.test), and alone.pem, which is signed by nobody else, into a folder. */
void site_certificates(const char *dir);

#endif
