/* A model's config and the CPU's weights without an engine. */
#ifndef TESTS_ENGINE_LOADED_H
#define TESTS_ENGINE_LOADED_H

#include "engine/cpu.h"

struct loaded {
	struct model_config config;
	struct model_formats formats;
	struct backend *backend;
	const struct kernels *kernels;
	struct pool *pool;
};

struct loading {
	enum model_packing packing;
	unsigned threads;
	uint64_t memory_max; /* 0: what is available */
};

/* As the engine opens a model: config, then weights. Nothing to close where it fails. */
int loaded_open(struct loaded *m, const struct loading *how, struct source *src, struct err *e) MUST_USE;
/* Of a published shape, with random weights. */
int loaded_invent(struct loaded *m, const struct loading *how, const char *shape, uint32_t layers,
                  uint64_t seed, struct err *e) MUST_USE;
void loaded_close(struct loaded *m);
/* Of a folder that must open. */
void loaded_folder(struct loaded *m, const char *dir, enum model_packing packing, unsigned threads);
struct digest loaded_choice(const struct loaded *m);

#endif
