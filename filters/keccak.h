/* Keccak-256 as Ethereum and Monero use it: the padding of the first submission, not of SHA-3.
 * Source: The Keccak reference, version 3.0. */
#ifndef FILTERS_KECCAK_H
#define FILTERS_KECCAK_H

#include <stddef.h>
#include <stdint.h>

void filter_keccak256(const void *bytes, size_t n, uint8_t out[32]);

#endif
