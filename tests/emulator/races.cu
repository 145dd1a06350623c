/* Races between threads of a block: a launch is run with warps and lanes in ascending order, then, from the
 * same memory, in descending order. At each barrier, and at each block's end, both must have left the same
 * bytes in shared memory, and at the end the same in device memory: else some thread read or wrote what
 * another one wrote, without waiting. A third run takes the blocks in descending order: at its end device
 * memory must be the same too. */
#include "tests/emulator/emulator.h"

#include <cstdio>

namespace
{

struct mark {
	size_t block;
	struct emulator_site site;
	uint64_t hash;
};

/* The first run writes marks, the second compares; one that looks for bytes stops at the mark of a number. */
struct witness {
	struct emulator_watch watch;
	std::vector<struct mark> mark;
	size_t at, stop;
	bool compares;
	std::vector<unsigned char> bytes;
};

uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 32;
}

/* Four chains, so that the processor need not wait for each product. */
uint64_t hash_of(uint64_t start, const unsigned char *bytes, size_t n)
{
	uint64_t hash[4] = { start, 1, 2, 3 }, word[4];
	size_t i = 0;
	for (; i + sizeof word <= n; i += sizeof word) {
		memcpy(word, bytes + i, sizeof word);
		for (int j = 0; j < 4; j++)
			hash[j] = mix(hash[j], word[j]);
	}
	memset(word, 0, sizeof word);
	memcpy(word, bytes + i, n - i);
	for (int j = 0; j < 4; j++)
		start = mix(start, mix(hash[j], word[j]));
	return start;
}

bool same_mark(const struct mark &a, const struct mark &b)
{
	return a.block == b.block && a.site.line == b.site.line && a.hash == b.hash;
}

bool at_barrier(struct emulator_watch *watch, size_t block, struct emulator_site site)
{
	struct witness *w = (struct witness *)watch;
	uint64_t hash = 0;
	emulator_shared_each([&](const unsigned char *at, size_t n) { hash = hash_of(hash, at, n); });
	struct mark here = { block, site, hash };
	if (w->at == w->stop)
		emulator_shared_each([&](const unsigned char *at, size_t n) {
			w->bytes.insert(w->bytes.end(), at, at + n);
		});
	if (w->compares && (w->at >= w->mark.size() || !same_mark(w->mark[w->at], here)))
		return false;
	if (!w->compares)
		w->mark.push_back(here);
	return w->at++ != w->stop;
}

/* ---- device memory ---- */

typedef std::vector<std::vector<char>> memory;

char *start_of(const struct emulator_allocation &a) { return a.block + EMULATOR_GUARDS; }

void keep(memory *out)
{
	size_t i = 0;
	out->resize(emulator_allocations().size());
	for (const auto &[at, a] : emulator_allocations())
		(*out)[i++].assign(start_of(a), start_of(a) + a.bytes);
}

void put_back(const memory &from)
{
	size_t i = 0;
	for (const auto &[at, a] : emulator_allocations()) {
		memcpy(start_of(a), from[i].data(), a.bytes);
		i++;
	}
}

bool ends_alike(const struct emulator_kernel &kernel, const memory &expected, const char *who)
{
	size_t i = 0;
	for (const auto &[at, a] : emulator_allocations()) {
		const char *now = start_of(a);
		if (memcmp(now, expected[i].data(), a.bytes) != 0) {
			size_t byte = 0;
			while (now[byte] == expected[i][byte])
				byte++;
			emulator_say("a race: byte %zu of an allocation of %zu differs when %s run in the other "
				     "order (%.100s)", byte, a.bytes, who, kernel.name.c_str());
			return false;
		}
		i++;
	}
	return true;
}

/* ---- shared memory ---- */

std::vector<unsigned char> bytes_at(const struct emulator_kernel &kernel, enum emulator_order order,
				    const memory &before, size_t stop)
{
	struct witness w = { { at_barrier }, {}, 0, stop, false, {} };
	put_back(before);
	emulator_run(kernel, order, &w.watch);
	return w.bytes;
}

void say_where(const struct emulator_kernel &kernel, const memory &before, const struct witness &w)
{
	char where[200] = "its end";
	struct mark none = { 0, { nullptr, "", 0 }, 0 }, m = w.at < w.mark.size() ? w.mark[w.at] : none;
	if (m.site.what != nullptr)
		snprintf(where, sizeof where, "%s at %s:%d", m.site.what, m.site.file, m.site.line);
	auto up = bytes_at(kernel, EMULATOR_ASCENDING, before, w.at);
	auto down = bytes_at(kernel, EMULATOR_DESCENDING, before, w.at);
	size_t byte = 0;
	while (byte < up.size() && byte < down.size() && up[byte] == down[byte])
		byte++;
	emulator_say("a race: byte %zu of %zu in shared memory differs before %s when warps run in the other order "
		     "(%.100s, block %zu)", byte, up.size(), where, kernel.name.c_str(), m.block);
}

} /* namespace */

bool emulator_run_races(const struct emulator_kernel &kernel)
{
	static memory before, after; /* one launch at a time; their room is kept */
	struct witness w = { { at_barrier }, {}, 0, SIZE_MAX, false, {} };
	keep(&before);
	if (!emulator_run(kernel, EMULATOR_ASCENDING, &w.watch))
		return false;
	keep(&after);
	w.compares = true;
	w.at = 0;
	put_back(before);
	if (!emulator_run(kernel, EMULATOR_DESCENDING, &w.watch))
		return false;
	if (w.at != w.mark.size()) {
		say_where(kernel, before, w);
		put_back(after);
		return false;
	}
	if (!ends_alike(kernel, after, "warps"))
		return false;
	put_back(before);
	return emulator_run(kernel, EMULATOR_BLOCKS_DESCENDING, nullptr) && ends_alike(kernel, after, "blocks");
}
