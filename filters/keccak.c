#include "filters/keccak.h"

#include <string.h>

#define RATE 136 /* bytes of the state that a block is added to */

static uint64_t rotate(uint64_t v, unsigned by) { return by ? v << by | v >> (64 - by) : v; }

/* Constants of the rounds come from the linear feedback register x^8 + x^6 + x^5 + x^4 + 1. */
static uint64_t round_constant(uint8_t *lfsr)
{
	uint64_t c = 0;
	for (unsigned j = 0; j < 7; j++) {
		if (*lfsr & 1)
			c |= UINT64_C(1) << ((1u << j) - 1);
		*lfsr = (uint8_t)(*lfsr << 1 ^ (*lfsr >> 7 ? 0x71 : 0));
	}
	return c;
}

static void theta(uint64_t a[5][5])
{
	uint64_t c[5];
	for (int x = 0; x < 5; x++)
		c[x] = a[0][x] ^ a[1][x] ^ a[2][x] ^ a[3][x] ^ a[4][x];
	for (int x = 0; x < 5; x++)
		for (int y = 0; y < 5; y++)
			a[y][x] ^= c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);
}

/* Rotate each lane and move it along one cycle through the plane. */
static void rho_pi(uint64_t a[5][5])
{
	int x = 1, y = 0;
	uint64_t lane = a[y][x];
	for (unsigned t = 0; t < 24; t++) {
		int next = (2 * x + 3 * y) % 5;
		x = y;
		y = next;
		uint64_t taken = a[y][x];
		a[y][x] = rotate(lane, (t + 1) * (t + 2) / 2 % 64);
		lane = taken;
	}
}

static void chi(uint64_t a[5][5])
{
	for (int y = 0; y < 5; y++) {
		uint64_t row[5];
		memcpy(row, a[y], sizeof row);
		for (int x = 0; x < 5; x++)
			a[y][x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
	}
}

static void permute(uint64_t a[5][5])
{
	uint8_t lfsr = 1;
	for (int round = 0; round < 24; round++) {
		theta(a);
		rho_pi(a);
		chi(a);
		a[0][0] ^= round_constant(&lfsr);
	}
}

static void absorb(uint64_t a[5][5], const uint8_t block[RATE])
{
	for (unsigned i = 0; i < RATE; i++)
		a[i / 8 / 5][i / 8 % 5] ^= (uint64_t)block[i] << (i % 8 * 8);
	permute(a);
}

void filter_keccak256(const void *bytes, size_t n, uint8_t out[32])
{
	uint64_t a[5][5] = { 0 };
	const uint8_t *p = bytes;
	for (; n >= RATE; p += RATE, n -= RATE)
		absorb(a, p);
	uint8_t last[RATE] = { 0 };
	memcpy(last, p, n);
	last[n] = 1;
	last[RATE - 1] |= 0x80;
	absorb(a, last);
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)(a[0][i / 8] >> (i % 8 * 8));
}
