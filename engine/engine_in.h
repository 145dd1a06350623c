/* Private: the loaded model: its language, its backend, and what passes are put together in. */
#ifndef ENGINE_ENGINE_IN_H
#define ENGINE_ENGINE_IN_H

#include "base/aside.h"
#include "base/pool.h"
#include "engine/backend.h"
#include "engine/language.h"
#include "engine/scheduler.h"

#include <pthread.h>

/* For a sequence of a pass: its feed, its first row, and that row's index in the feed. */
struct pass_feed {
	const struct engine_feed *feed;
	uint32_t row, index;
};

/* The arrays of struct pass. They grow to the largest pass seen and stay. */
struct pass_buffers {
	uint32_t rows, pages;                         /* room for */
	uint32_t *block;                              /* what the next nine are parts of */
	uint32_t *token, *position, *sequence, *want; /* [rows] */
	uint32_t *first_page, *page;                  /* [rows + 1], [pages] */
	uint32_t *state, *save_row, *save;            /* [rows] each */
	bool *far;                                    /* [rows]; one for each sequence */
	float **logits;                               /* [rows] */
	const struct engine_draw **draw;              /* [rows] */
	uint32_t **drawn;                             /* [rows] */
	struct pass_feed *feed;                       /* [rows] */
	uint16_t *expert;                             /* [experts] */
	size_t experts;
};

struct engine {
	struct model_config config;
	struct engine_facts facts;
	const struct kernels *kernels; /* of the host: draws are made with them */
	struct pool *pool; /* held by one call of a backend at a time; pass is of who holds it */
	bool pool_is_others;
	struct language *text; /* NULL: no tokenizer */
	struct buf notes;
	struct backend *backend;
	struct pass_buffers pass;
	struct cache_pool *pages;
	struct state_pool *states; /* NULL: no layer has state */
	struct scheduler *scheduler;
	struct aside *aside; /* for masks */
};

/* pass.c */
void engine_pass_free(struct pass_buffers *b);

#endif
