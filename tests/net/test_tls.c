#include "net/tls.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- certificates ---- */

struct issuer {
	X509 *x;
	EVP_PKEY *key;
};

static char dir[] = "/tmp/hallmark-tls.XXXXXX";
static char path_out[8][100];

/* DIR/name: of eight calls the last ones hold. */
static const char *at(const char *name)
{
	static unsigned n;
	char *out = path_out[n++ % 8];
	snprintf(out, sizeof path_out[0], "%s/%s", dir, name);
	return out;
}

static void extend(X509 *x, int what, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, what, value);
	cr_assert(ext && X509_add_ext(x, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static struct issuer make(const char *name, long from_days, long to_days, bool is_ca,
			  const struct issuer *by)
{
	struct issuer made = { X509_new(), EVP_EC_gen("P-256") };
	static long serial;
	X509_set_version(made.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(made.x), from_days * 86400);
	X509_gmtime_adj(X509_getm_notAfter(made.x), to_days * 86400 + 3600);
	X509_set_pubkey(made.x, made.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(made.x, X509_get_subject_name(by ? by->x : made.x));
	extend(made.x, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	cr_assert_gt(X509_sign(made.x, by ? by->key : made.key, EVP_sha256()), 0);
	return made;
}

static void drop(struct issuer made)
{
	X509_free(made.x);
	EVP_PKEY_free(made.key);
}

static FILE *file(const char *name, const char *how, mode_t mode)
{
	const char *path = at(name);
	FILE *f = fopen(path, how);
	cr_assert(f && chmod(path, mode) == 0);
	return f;
}

static void put_cert(const char *name, const struct issuer *i, bool append)
{
	FILE *f = file(name, append ? "a" : "w", 0644);
	cr_assert_eq(PEM_write_X509(f, i->x), 1);
	fclose(f);
}

static void put_key(const char *name, const struct issuer *i, mode_t mode, const char *passphrase)
{
	FILE *f = file(name, "w", mode);
	cr_assert_eq(PEM_write_PKCS8PrivateKey(f, i->key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
					       passphrase ? (int)strlen(passphrase) : 0, NULL, NULL), 1);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	FILE *f = file(name, "w", 0600);
	fputs(text, f);
	fclose(f);
}

static struct issuer root, server, middle, below, old, early, soon, client, taken;

static void make_all(void)
{
	cr_assert_not_null(mkdtemp(dir));
	root = make("root", -10, 365, true, NULL);
	server = make("server", -10, 300, false, &root);
	middle = make("middle", -10, 300, true, &root);
	below = make("below", -10, 300, false, &middle);
	old = make("old", -10, -1, false, &root);
	early = make("early", 2, 30, false, &root);
	soon = make("soon", -10, 12, false, &root);
	client = make("a client", -10, 30, false, &root);
	taken = make("a revoked client", -10, 30, false, &root);
	put_cert("root.pem", &root, false);
	put_cert("server.pem", &server, false);
	put_cert("server.pem", &root, true);
	put_key("server.key", &server, 0600, NULL);
	put_cert("below.pem", &below, false);
	put_cert("below.pem", &middle, true);
	put_key("below.key", &below, 0600, NULL);
	put_cert("odd.pem", &below, false);
	put_cert("odd.pem", &root, true);
	put_cert("old.pem", &old, false);
	put_key("old.key", &old, 0600, NULL);
	put_cert("early.pem", &early, false);
	put_key("early.key", &early, 0600, NULL);
	put_cert("soon.pem", &soon, false);
	put_key("soon.key", &soon, 0600, NULL);
	put_key("open.key", &server, 0644, NULL);
	put_key("group.key", &server, 0640, NULL);
	put_key("locked.key", &server, 0600, "secret");
	put_text("text.pem", "no certificate\n");
}

static void remove_all(void)
{
	char command[80];
	drop(root), drop(server), drop(middle), drop(below), drop(old), drop(early), drop(soon);
	drop(client), drop(taken);
	snprintf(command, sizeof command, "rm -r %s", dir);
	cr_expect_eq(system(command), 0);
}

TestSuite(net_tls, .init = make_all, .fini = remove_all);

static int open_with(struct net_tls **out, const char *cert, const char *key, const char *ca, const char *crl,
		     struct err *e)
{
	struct net_tls_files f = { at(cert), at(key), ca ? at(ca) : NULL, crl ? at(crl) : NULL };
	return net_tls_open(out, &f, (int64_t)time(NULL) * 1000000, e);
}

Test(net_tls, files_that_would_only_fail_later_are_refused_in_a_sentence)
{
	static const struct {
		const char *cert, *key, *ca, *crl;
		int code;
		const char *text;
	} rows[] = {
		{ "no.pem", "server.key", NULL, NULL, ERR_NOTFOUND, "TLS certificate" },
		{ "server.pem", "no.key", NULL, NULL, ERR_NOTFOUND, "TLS key" },
		{ "text.pem", "server.key", NULL, NULL, ERR_INPUT, "no certificate in PEM" },
		{ "server.pem", "text.pem", NULL, NULL, ERR_INPUT, "no private key in PEM" },
		{ "server.pem", "below.key", NULL, NULL, ERR_INPUT, "not the certificate's key" },
		{ "server.pem", "open.key", NULL, NULL, ERR_INPUT, "0644): run `chmod 600" },
		{ "server.pem", "group.key", NULL, NULL, ERR_INPUT, "0640): run `chmod 600" },
		{ "server.pem", "locked.key", NULL, NULL, ERR_INPUT, "is encrypted" },
		{ "server.pem", ".", NULL, NULL, ERR_INPUT, "not a regular file" },
		{ "old.pem", "old.key", NULL, NULL, ERR_INPUT, "certificate 1 has expired" },
		{ "early.pem", "early.key", NULL, NULL, ERR_INPUT, "certificate 1 is not valid yet" },
		{ "odd.pem", "below.key", NULL, NULL, ERR_INPUT, "certificate 2 did not issue" },
		{ "server.pem", "server.key", "no.pem", NULL, ERR_NOTFOUND, "client CA" },
		{ "server.pem", "server.key", "text.pem", NULL, ERR_INPUT, "client CA" },
		{ "server.pem", "server.key", NULL, "text.pem", ERR_INPUT, "needs a client CA" },
		{ "server.pem", "server.key", "root.pem", "text.pem", ERR_INPUT, "client CRL" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct net_tls *t = NULL;
		struct err e = { 0 };
		int rc = open_with(&t, rows[i].cert, rows[i].key, rows[i].ca, rows[i].crl, &e);
		cr_expect_eq(rc, rows[i].code, "row %zu: %d %s", i, rc, e.text);
		cr_expect(strstr(e.text, rows[i].text), "row %zu: %s", i, e.text);
	}
}

Test(net_tls, what_will_fail_soon_or_for_some_is_a_note)
{
	static const struct {
		const char *cert, *key, *note;
	} rows[] = {
		{ "server.pem", "server.key", "" },
		{ "below.pem", "below.key", "" },
		{ "soon.pem", "soon.key", "expires in 12 days" },
		{ "soon.pem", "soon.key", "none of its issuer" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct net_tls *t = NULL;
		struct err e = { 0 };
		cr_assert_eq(open_with(&t, rows[i].cert, rows[i].key, NULL, NULL, &e), 0, "%s", e.text);
		cr_expect(*rows[i].note ? strstr(net_tls_note(t), rows[i].note) != NULL : !*net_tls_note(t),
			  "row %zu: %s", i, net_tls_note(t));
		net_tls_close(t);
	}
}

/* ---- a client, and the server's side of it ---- */

struct pair {
	struct net net;
	struct net_tls *t;
	struct net_tls_stream *s;
	SSL_CTX *ctx;
	SSL *c;
	int fd[2];
};

static void pair_open(struct pair *p, const char *ca, const char *crl)
{
	struct err e = { 0 };
	*p = (struct pair){ .net = net_system() };
	cr_assert_eq(open_with(&p->t, "server.pem", "server.key", ca, crl, &e), 0, "%s", e.text);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	p->ctx = SSL_CTX_new(TLS_client_method());
	cr_assert_eq(SSL_CTX_load_verify_file(p->ctx, at("root.pem")), 1);
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
	p->s = net_tls_accept(p->t, &p->net, p->fd[0]);
	cr_assert_not_null(p->s);
	net_tls_close(p->t); /* the stream keeps its own */
}

static void pair_show(struct pair *p, const struct issuer *who)
{
	cr_assert(SSL_CTX_use_certificate(p->ctx, who->x) == 1 && SSL_CTX_use_PrivateKey(p->ctx, who->key) == 1);
}

/* The result of the server's handshake, and whether the client is content too. */
static int pair_shake(struct pair *p, bool *content)
{
	int rc = 0, mine = 0;
	bool writes;
	p->c = SSL_new(p->ctx);
	SSL_set_fd(p->c, p->fd[1]);
	SSL_set_connect_state(p->c);
	for (int i = 0; i < 20 && rc == 0; i++) {
		mine = mine == 1 ? 1 : SSL_do_handshake(p->c);
		rc = net_tls_handshake(p->s, &writes);
	}
	char byte;
	int n = mine == 1 ? SSL_read(p->c, &byte, 1) : -1; /* an alert, or nothing yet */
	*content = mine == 1 && SSL_get_error(p->c, n) == SSL_ERROR_WANT_READ;
	return rc;
}

static void pair_close(struct pair *p)
{
	SSL_free(p->c);
	SSL_CTX_free(p->ctx);
	net_tls_stream_close(p->s);
	close(p->fd[0]);
	close(p->fd[1]);
}

Test(net_tls, bytes_travel_and_the_end_is_told)
{
	struct pair p;
	bool content;
	char out[16] = { 0 };
	pair_open(&p, NULL, NULL);
	cr_assert_eq(pair_shake(&p, &content), 1);
	cr_expect(content);
	cr_expect_null(net_tls_peer(p.s));
	cr_expect_eq(net_tls_recv(p.s, out, sizeof out, false), -EAGAIN);
	cr_expect_eq(SSL_write(p.c, "ping pong", 9), 9);
	cr_expect_eq(net_tls_recv(p.s, out, 1, true), 1);
	cr_expect_eq(net_tls_recv(p.s, out, 4, false), 4);
	cr_expect_str_eq(out, "ping");
	cr_expect(net_tls_has_pending(p.s), "the rest has been received: no event will tell of it");
	cr_expect_eq(net_tls_recv(p.s, out, sizeof out, false), 5);
	cr_expect(!net_tls_has_pending(p.s));
	cr_expect_eq(net_tls_send(p.s, "pong", 4), 4);
	cr_expect_eq(SSL_read(p.c, out, sizeof out), 4);
	net_tls_finish(p.s);
	int n = SSL_read(p.c, out, sizeof out);
	cr_expect_eq(SSL_get_error(p.c, n), SSL_ERROR_ZERO_RETURN, "close_notify");
	SSL_shutdown(p.c);
	cr_expect_eq(net_tls_recv(p.s, out, sizeof out, false), 0);
	pair_close(&p);
}

Test(net_tls, an_end_that_tls_was_not_told_of_is_no_end)
{
	struct pair p;
	bool content;
	char out[4];
	pair_open(&p, NULL, NULL);
	cr_assert_eq(pair_shake(&p, &content), 1);
	shutdown(p.fd[1], SHUT_WR);
	cr_expect_eq(net_tls_recv(p.s, out, sizeof out, false), -ECONNRESET);
	cr_expect_eq(net_tls_send(p.s, "x", 1), -EPIPE);
	net_tls_finish(p.s);
	pair_close(&p);
}

Test(net_tls, a_full_socket_is_waited_for_and_loses_nothing)
{
	struct pair p;
	bool content;
	static char big[1 << 20], got[1 << 20];
	size_t sent = 0, have = 0;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7 >> 3);
	pair_open(&p, NULL, NULL);
	cr_assert_eq(pair_shake(&p, &content), 1);
	for (int turns = 0, waits = 0; have < sizeof got; turns++) {
		ssize_t n = sent < sizeof big ? net_tls_send(p.s, big + sent, sizeof big - sent) : -EAGAIN;
		sent += n > 0 ? (size_t)n : 0;
		if (n > 0)
			continue;
		cr_assert_eq(n, -EAGAIN);
		waits++;
		int k = SSL_read(p.c, got + have, (int)(sizeof got - have));
		have += k > 0 ? (size_t)k : 0;
		cr_assert(turns < 100000 && (sent < sizeof big || waits > 1));
	}
	cr_expect_arr_eq(big, got, sizeof big);
	pair_close(&p);
}

Test(net_tls, old_versions_other_protocols_and_garbage_are_refused)
{
	for (int i = 0; i < 4; i++) {
		struct pair p;
		bool content = true, writes;
		pair_open(&p, NULL, NULL);
		if (i == 0) {
			SSL_CTX_set_security_level(p.ctx, 0);
			SSL_CTX_set_min_proto_version(p.ctx, TLS1_VERSION);
			SSL_CTX_set_max_proto_version(p.ctx, TLS1_1_VERSION);
		}
		if (i == 1)
			SSL_CTX_set_alpn_protos(p.ctx, (const unsigned char *)"\x02h2", 3);
		if (i == 2) /* without forward secrecy */
			SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION),
				SSL_CTX_set_cipher_list(p.ctx, "AES128-SHA");
		if (i == 3) {
			cr_assert_eq(write(p.fd[1], "\x16\x03\x01\x00\x20garbagegarbagegarbagegarbagegarb", 37), 37);
			cr_expect_lt(net_tls_handshake(p.s, &writes), 0);
			cr_expect_eq(net_tls_recv(p.s, &content, 1, false), -ECONNRESET);
		} else {
			cr_expect_lt(pair_shake(&p, &content), 0, "%d", i);
			cr_expect(!content);
		}
		pair_close(&p);
	}
}

Test(net_tls, http_1_1_is_chosen_and_nobody_negotiates_again)
{
	struct pair p;
	bool content;
	char out[4];
	const unsigned char *chosen;
	unsigned len;
	pair_open(&p, NULL, NULL);
	SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
	SSL_CTX_set_alpn_protos(p.ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
	cr_assert_eq(pair_shake(&p, &content), 1);
	SSL_get0_alpn_selected(p.c, &chosen, &len);
	cr_expect(len == 8 && memcmp(chosen, "http/1.1", 8) == 0);
	if (SSL_renegotiate(p.c) == 1) {
		SSL_do_handshake(p.c);
		cr_expect_lt(net_tls_recv(p.s, out, sizeof out, false), 0, "no byte comes of it");
		SSL_do_handshake(p.c);
		cr_expect(SSL_renegotiate_pending(p.c) || !SSL_is_init_finished(p.c));
	}
	pair_close(&p);
}

static void take_back(const struct issuer *who)
{
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *one = X509_REVOKED_new();
	ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL) - 60), *next = ASN1_TIME_set(NULL, time(NULL) + 86400);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(root.x));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(who->x));
	X509_REVOKED_set_revocationDate(one, now);
	X509_CRL_add0_revoked(crl, one);
	cr_assert_gt(X509_CRL_sign(crl, root.key, EVP_sha256()), 0);
	FILE *f = file("crl.pem", "w", 0644);
	cr_assert_eq(PEM_write_X509_CRL(f, crl), 1);
	fclose(f);
	X509_CRL_free(crl);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
}

Test(net_tls, clients_need_a_certificate_that_is_known_and_was_not_taken_back)
{
	struct issuer other = make("other", -1, 3, true, NULL), stranger = make("stranger", -1, 3, false, &other);
	struct issuer past = make("past", -5, -1, false, &root);
	const struct {
		const struct issuer *who;
		const char *crl, *subject;
	} rows[] = {
		{ NULL, NULL, NULL },	{ &client, NULL, "CN=a client" }, { &stranger, NULL, NULL },
		{ &past, NULL, NULL },	{ &taken, NULL, "CN=a revoked client" }, { &taken, "crl.pem", NULL },
		{ &client, "crl.pem", "CN=a client" },
	};
	take_back(&taken);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pair p;
		bool content;
		pair_open(&p, "root.pem", rows[i].crl);
		if (rows[i].who)
			pair_show(&p, rows[i].who);
		int rc = pair_shake(&p, &content);
		const struct net_tls_peer *peer = rc == 1 ? net_tls_peer(p.s) : NULL;
		cr_expect_eq(peer != NULL, rows[i].subject != NULL, "row %zu: %d", i, rc);
		if (peer && rows[i].subject) {
			unsigned char digest[32];
			char hex[3];
			X509_digest(rows[i].who->x, EVP_sha256(), digest, NULL);
			snprintf(hex, sizeof hex, "%02x", digest[31]);
			cr_expect_str_eq(peer->subject, rows[i].subject);
			cr_expect_eq(strlen(peer->fingerprint), 64);
			cr_expect_str_eq(peer->fingerprint + 62, hex);
		}
		pair_close(&p);
	}
	drop(other), drop(stranger), drop(past);
}
