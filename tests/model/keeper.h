/* A keeper that writes down what it is given. */
#ifndef TESTS_MODEL_KEEPER_H
#define TESTS_MODEL_KEEPER_H

#include "model/weights.h"

struct recorder {
	struct model_keeper keeper; /* first */
	struct model_config config;
	struct model_formats formats;
	const struct model_plan *plan; /* while reading */
	struct record {
		unsigned char *bytes, *times; /* [len]: what came, and how often */
		size_t len;                   /* bytes of the tensor, or of its values as f32 */
		uint64_t first;               /* the item's first fill, from 1; on one thread */
	} *record; /* [items] */
	size_t items;
	_Atomic uint64_t fills, odd; /* odd: of less than whole units */
	bool finished;
	int refuse;                             /* place answers this, if negative */
	void (*at_end)(const struct recorder *r); /* while the plan is still there; NULL: nothing */
};

/* Zeroed before, but for refuse and at_end. Read a model's folder, or invent a shape. */
int recorder_read(struct recorder *r, struct source *src, unsigned threads, struct err *e) MUST_USE;
int recorder_invent(struct recorder *r, const char *shape, struct err *e) MUST_USE;
void recorder_close(struct recorder *r);

#endif
