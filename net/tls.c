/* The files of a TLS server, checked before anything is served with them: what a client would only
 * see as a failed handshake is said here in a sentence. */
#include "net/tls.h"
#include "net/tls_state.h"
#include "base/file.h"
#include "base/limits.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NOTE_DAYS 30 /* a certificate that ends sooner is worth a word */
#define KEY_BYTES_MAX KIB(64)
#define CLIENT_CHAIN_MAX KIB(64)                 /* bytes of certificates that a client may show */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20" /* of TLS 1.2: forward secret and authenticated */

/* What libssl says of its last error; for the end of a sentence. */
static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	return text ? text : "not readable";
}

/* ---- the server's own ---- */

/* A passphrase cannot be asked for: remember that one was wanted. */
static int want_passphrase(char *out, int size, int writing, void *wanted)
{
	(void)out, (void)size, (void)writing;
	*(bool *)wanted = true;
	return -1;
}

static int use_key(struct net_tls *t, const char *path, struct err *e)
{
	struct buf text = { 0 };
	bool wanted = false;
	int rc = file_read_secret(path, KEY_BYTES_MAX, &text, e);
	BIO *in = rc == 0 ? BIO_new_mem_buf(text.bytes, (int)text.len) : NULL;
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, want_passphrase, &wanted) : NULL;
	BIO_free(in);
	buf_wipe(&text);
	if (rc < 0)
		return err_prefix(e, "TLS key");
	if (!key && wanted)
		return err_set(e, ERR_INPUT,
			       "TLS key %s: it is encrypted: decrypt it into a file that only this "
			       "user may read (openssl pkey -in %s -out ...)",
			       path, path);
	if (!key)
		return err_set(e, ERR_INPUT, "TLS key %s: no private key in PEM (%s)", path,
			       reason());
	bool fits = X509_check_private_key(SSL_CTX_get0_certificate(t->ctx), key) == 1;
	bool ok = fits && SSL_CTX_use_PrivateKey(t->ctx, key) == 1;
	EVP_PKEY_free(key);
	if (!fits)
		return err_set(e, ERR_INPUT, "TLS key %s: it is not the certificate's key", path);
	return ok ? 0 : err_set(e, ERR_INPUT, "TLS key %s: not of use (%s)", path, reason());
}

static void add_note(struct net_tls *t, const char *text)
{
	size_t len = strlen(t->note);
	snprintf(t->note + len, sizeof t->note - len, "%s%s", len ? "; " : "", text);
}

/* -1: it ends before it begins, or cannot be read. */
static int64_t seconds_between(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days = 0, seconds = 0;
	return ASN1_TIME_diff(&days, &seconds, from, to) ? (int64_t)days * 86400 + seconds : -1;
}

static int check_dates(struct net_tls *t, const char *path, const X509 *cert, unsigned number,
		       int64_t now_us, struct err *e)
{
	ASN1_TIME *now = ASN1_TIME_set(NULL, (time_t)(now_us / 1000000));
	if (!now)
		return err_set(e, ERR_NOMEM, "out of memory for a certificate");
	int64_t begun = seconds_between(X509_get0_notBefore(cert), now);
	int64_t left = seconds_between(now, X509_get0_notAfter(cert));
	char note[160];
	ASN1_TIME_free(now);
	if (left < 0)
		return err_set(e, ERR_INPUT, "TLS certificate %s: certificate %u has expired", path,
			       number);
	if (begun < 0)
		return err_set(e, ERR_INPUT, "TLS certificate %s: certificate %u is not valid yet",
			       path, number);
	if (left < NOTE_DAYS * 86400) {
		snprintf(note, sizeof note, "certificate %u of %.80s expires in %d days", number,
			 path, (int)(left / 86400));
		add_note(t, note);
	}
	return 0;
}

/* Each issued the one before it. */
static int check_chain(struct net_tls *t, const char *path, int64_t now_us, struct err *e)
{
	X509 *cert = SSL_CTX_get0_certificate(t->ctx);
	STACK_OF(X509) *chain = NULL;
	SSL_CTX_get0_chain_certs(t->ctx, &chain);
	TRY(check_dates(t, path, cert, 1, now_us, e));
	int n = chain ? sk_X509_num(chain) : 0;
	for (int i = 0; i < n; i++) {
		X509 *issuer = sk_X509_value(chain, i);
		TRY(check_dates(t, path, issuer, (unsigned)i + 2, now_us, e));
		if (X509_check_issued(issuer, cert) != X509_V_OK)
			return err_set(
				e, ERR_INPUT,
				"TLS certificate %s: certificate %d did not issue the one "
				"before it: first the server's, then its issuer's, and so on",
				path, i + 2);
		cert = issuer;
	}
	if (n == 0 && X509_check_issued(cert, cert) != X509_V_OK)
		add_note(t, "the file of the TLS certificate has none of its issuer: clients that "
			    "do not know that one will refuse it");
	return 0;
}

static int use_certificate(struct net_tls *t, const char *path, struct err *e)
{
	if (access(path, R_OK) < 0)
		return err_errno(e, "TLS certificate %s", path);
	if (SSL_CTX_use_certificate_chain_file(t->ctx, path) != 1)
		return err_set(e, ERR_INPUT, "TLS certificate %s: no certificate in PEM (%s)", path,
			       reason());
	return 0;
}

/* ---- clients' ---- */

static int use_client_ca(struct net_tls *t, const char *path, struct err *e)
{
	if (access(path, R_OK) < 0)
		return err_errno(e, "client CA %s", path);
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
	if (!names || SSL_CTX_load_verify_file(t->ctx, path) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return err_set(e, ERR_INPUT, "client CA %s: no certificate in PEM (%s)", path,
			       reason());
	}
	SSL_CTX_set_client_CA_list(t->ctx, names);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int use_client_crl(struct net_tls *t, const char *path, struct err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	if (access(path, R_OK) < 0)
		return err_errno(e, "client CRL %s", path);
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!lookup || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
		return err_set(e, ERR_INPUT, "client CRL %s: no list in PEM (%s)", path, reason());
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

/* ---- the whole ---- */

/* A client that speaks of other protocols only, HTTP/2 for one, is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	(void)ssl, (void)arg;
	int found = SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof ours - 1, in,
					  in_len);
	return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Tickets, of keys that live as long as this; no sessions are kept here. */
/* Nobody sits at a terminal: what takes a passphrase is refused. */
static int no_passphrase(char *out, int room, int writing, void *ctx)
{
	(void)out, (void)room, (void)writing, (void)ctx;
	return -1;
}

static bool set_up(SSL_CTX *ctx)
{
	static const unsigned char name[] = "hallmark";
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS_12) == 1 &&
	       SSL_CTX_set_session_id_context(ctx, name, sizeof name - 1) == 1;
}

static int use_files(struct net_tls *t, const struct net_tls_files *f, int64_t now_us,
		     struct err *e)
{
	if (!f->cert || !f->key)
		return err_set(e, ERR_INPUT, "TLS needs both a certificate and its key");
	if (f->client_crl && !f->client_ca)
		return err_set(e, ERR_INPUT, "a list of revoked clients needs a client CA");
	TRY(use_certificate(t, f->cert, e));
	TRY(use_key(t, f->key, e));
	TRY(check_chain(t, f->cert, now_us, e));
	if (f->client_ca)
		TRY(use_client_ca(t, f->client_ca, e));
	return f->client_crl ? use_client_crl(t, f->client_crl, e) : 0;
}

int net_tls_open(struct net_tls **out, const struct net_tls_files *files, int64_t now_us,
		 struct err *e)
{
	struct net_tls *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory for TLS");
	atomic_init(&t->users, 1);
	ERR_clear_error();
	t->ctx = SSL_CTX_new(TLS_server_method());
	t->io = net_tls_io();
	int rc = 0;
	if (!t->ctx || !t->io || !set_up(t->ctx))
		rc = err_set(e, ERR_NOMEM, "TLS cannot be set up (%s)", reason());
	if (rc == 0)
		rc = use_files(t, files, now_us, e);
	ERR_clear_error();
	if (rc < 0)
		net_tls_close(t);
	else
		*out = t;
	return rc;
}

struct net_tls *net_tls_share(struct net_tls *t)
{
	atomic_fetch_add(&t->users, 1);
	return t;
}

void net_tls_close(struct net_tls *t)
{
	if (!t || atomic_fetch_sub(&t->users, 1) > 1)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->io);
	free(t);
}

const char *net_tls_note(const struct net_tls *t) { return t->note; }
