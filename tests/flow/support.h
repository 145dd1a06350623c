/* Helpers of flow's tests: a temporary folder with a state folder in it, an environment that repeats
 * and can die at a step, small models on disk, members of reports. */
#ifndef TESTS_FLOW_SUPPORT_H
#define TESTS_FLOW_SUPPORT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/json.h"
#include "base/limits.h"
#include "flow/flow.h"
#include "flow/release.h"

#include <criterion/criterion.h>

struct fixture {
	char dir[64]; /* the temporary folder; the state folder is dir/home */
	struct env env;
	int64_t time_us;
	struct random_seeded seed;
	struct flow *flow; /* NULL while closed */
	char path[8][LIMIT_PATH_BYTES];
	unsigned turn;
};

/* The folder and the environment: a clock that stands, a seeded generator, steps that do nothing. The
 * state folder comes into being with the first opening. */
void fixture_make(struct fixture *x);
void fixture_remove(struct fixture *x); /* closes too */

int fixture_try_open(struct fixture *x, bool read_only, struct err *e) MUST_USE;
void fixture_open(struct fixture *x);
void fixture_close(struct fixture *x);
/* A new identity of the open state folder, which may sign every name. */
void fixture_key(struct fixture *x, const char *name);

/* ---- files, all named relative to x->dir ---- */

/* dir/name; good for the next seven calls. */
const char *fixture_path(struct fixture *x, const char *name);
bool fixture_has(struct fixture *x, const char *name);
void fixture_read(struct fixture *x, const char *name, struct buf *out); /* appended */
void fixture_write(struct fixture *x, const char *name, const void *bytes, size_t len);
void fixture_text(struct fixture *x, const char *name, const char *text);
void fixture_flip(struct fixture *x, const char *name, uint64_t offset);
void fixture_move(struct fixture *x, const char *from, const char *to);
void fixture_copy(struct fixture *x, const char *from, const char *to); /* a file or a tree */
void fixture_delete(struct fixture *x, const char *name);               /* a file or a tree */

/* ---- models ---- */

#define TOY_HIDDEN 32
#define TOY_UNITS 24 /* so many that every statistic can see */

struct toy {
	uint64_t seed;
	uint32_t experts; /* blocks of one layer: 25 give the statistics their 300 null pairs */
	double noise;     /* added to every matrix, as a share of its own spread */
	uint64_t noise_seed;
	double more; /* added to that: of a child of the child */
	uint64_t more_seed;
	uint32_t words;     /* rows of the embedding; 0: 64 */
	bool int8;          /* then rounded to 8 bits by row */
	const char *card;   /* README.md, or NULL */
	const char *config; /* config.json; NULL: {} */
};
/* A checkpoint folder dir/name: model.safetensors (F32: an embedding, experts of TOY_UNITS units of
 * TOY_HIDDEN numbers), config.json, and README.md where a card is given. Same facts, same bytes. */
void fixture_toy(struct fixture *x, const char *name, const struct toy *t);
void fixture_model(struct fixture *x, const char *name); /* the smallest, with a card */

/* ---- dying at a step ---- */

/* In a child: run work(x) and die at the which-th arrival at step (NULL: any). Nothing may be open
 * here meanwhile. True if it died; false if work came to its end first. */
bool fixture_dies(struct fixture *x, const char *step, int which, void (*work)(struct fixture *x));

/* ---- publishing ---- */

/* Publish dir/model as name@version with key "k"; the report is the caller's. */
json_t *fixture_publish(struct fixture *x, const char *model, const char *name,
			const char *version);

/* flow_release_verify, quietly. */
int fixture_verify(struct flow *f, const char *ref, const char *key, bool ignore_unsigned,
		   json_t **report, struct err *e) MUST_USE;

/* A committed record with the field `text` in the vault; its index. */
uint64_t fixture_secret(struct fixture *x, const char *text);

/* ---- reports ---- */

/* Members of an object: "" for text, -1 for a number, false for what is not there. */
const char *text_of(const json_t *o, const char *key);
long long number_of(const json_t *o, const char *key);
bool truth_of(const json_t *o, const char *key);
size_t count_of(const json_t *o, const char *key);                 /* items of an array */
const json_t *item_of(const json_t *o, const char *key, size_t i); /* the i-th, or NULL */
/* The item of the array whose member has that text, or NULL. */
const json_t *item_with(const json_t *o, const char *key, const char *member, const char *text);

/* Expect a result; the sentence is printed if it differs. `e` is the error in scope. */
#define expect(wanted, call)                                                          \
	do {                                                                          \
		int expect_ = (call);                                                 \
		cr_assert_eq(expect_, wanted, "%s: %d (%s)", #call, expect_, e.text); \
	} while (0)

/* Expect an error whose sentence holds these words. */
#define expect_says(wanted, words, call)                                                 \
	do {                                                                             \
		e.text[0] = 0;                                                           \
		expect(wanted, call);                                                    \
		cr_assert(strstr(e.text, words), "\"%s\" is not in: %s", words, e.text); \
	} while (0)

#endif
