/* Private: what http_download needs of an open client, and many.c of the library. */
#ifndef NET_HTTP_STATE_H
#define NET_HTTP_STATE_H

#include "net/net.h"

int64_t http_steady_ms(const struct http *h); /* by the client's clock */
uint64_t http_body_bytes_max(const struct http_request *r);
unsigned http_total_ms(const struct http_request *r);

/* Before anything of libcurl, any number of times, from any thread. */
int http_start_library(struct err *e) MUST_USE;

#endif
