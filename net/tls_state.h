/* Private: what a TLS server's files have become. */
#ifndef NET_TLS_STATE_H
#define NET_TLS_STATE_H

#include <openssl/ssl.h>
#include <stdatomic.h>

struct net_tls {
	atomic_uint users;
	SSL_CTX *ctx;
	BIO_METHOD *io; /* bytes over struct net */
	char note[400];
};

/* To be freed with BIO_meth_free; NULL: out of memory. */
BIO_METHOD *net_tls_io(void);

#endif
