/* Private: the seam between what decides which tokens are computed (scheduler, sessions, sampling)
 * and what computes them. Above it nothing knows where weights and caches lie: a pass is plain
 * arrays of numbers, so that a device gets it in one upload, and pages of the cache are numbers.
 * cpu.c is one implementation; tests/engine/plain_backend.c is another, for proving the seam.
 *
 * Bits: within one regime the logits of a row depend on the tokens before it alone,
 * not on the other rows of a pass, on how a text is cut into passes, or on threads.
 *
 * What recurrent layers know of a text lies in a slot, all layers together: it is stepped in place
 * and copied whole, as attention's cache is by pages.
 *
 * What may come without a change of the functions here: a row that names an adapter. It is one more
 * array of struct pass, NULL where unused. */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

#include "base/pool.h"
#include "engine/pass.h"
#include "kernels/attention.h"
#include "kernels/kernels.h"
#include "model/weights.h"

/* One forward pass. Everything is borrowed until forward returns. A sequence is named by its place
 * in this pass, [0, sequences); each has at least one row. */
struct pass {
	uint32_t rows, sequences, wanted;
	/* [rows] each. The rows of a sequence follow one another, sequences and positions
	 * ascending; positions by one. Token ids are below vocab. */
	const uint32_t *token, *position, *sequence;
	/* Position t of sequence s lies in page[first_page[s] + t / KERNEL_PAGE]. first_page
	 * [sequences + 1], ascending; the last is the length of page. Pages behind the one of a
	 * sequence's last row are undefined. Cache rows before a sequence's first row were written
	 * by earlier passes or copied; rows of this pass write theirs, each to a page that no other
	 * sequence holds. */
	const uint32_t *page, *first_page;
	/* [sequences] each, NULL where no layer has state. The slot that a sequence steps: it has
	 * seen the tokens before the sequence's first row, or that row is of position 0 and begins
	 * from nothing, whatever lies there. After row save_row of the pass, which is one of the
	 * sequence's, the slot is copied to slot save, which no sequence of the pass steps;
	 * NO_SAVE: no copy. */
	const uint32_t *state, *save_row, *save;
	/* [sequences], NULL: none. Sequences that turn by the far table of every layer (config's
	 * rope_far), at all of their positions. */
	const bool *far;
	const uint32_t *want; /* [wanted], ascending: rows whose logits are asked for */
	float *const *logits; /* out, [wanted]: host memory of [vocab] each */
	uint16_t *expert;     /* out, NULL: not asked for; [moe_layers][rows][top_k], best first */
	/* [wanted] each, NULL: no row asks; draw[i] NULL: this one does not. A backend that `draws`
	 * may put the id that sampler_draw would give into *drawn[i], bit for bit from the same
	 * logits, and leave logits[i] as it is if that id ends nothing; *drawn[i] is UINT32_MAX
	 * before. */
	const struct engine_draw *const *draw;
	uint32_t *const *drawn;
};

#define NO_SAVE UINT32_MAX

/* What a backend is opened with; all of it is borrowed until close. */
struct backend_order {
	const struct model_config *config;
	const struct kernels *kernels; /* the host's: what draws are made with, too */
	struct pool *pool;             /* used within calls alone, under the caller's lock */
	enum kernel_cache cache;       /* how cache rows store their numbers */
	bool fast;                     /* of a GPU: numerics. The CPU's are those of kernels */
	uint32_t which;                /* GPU, from 0 */
};

/* A rate that this machine can reach at most, measured now. */
enum backend_peak {
	BACKEND_PEAK_READ,     /* bytes a second: all packed weights, read once */
	BACKEND_PEAK_MULTIPLY, /* operations a second, in the most used weight format */
	BACKEND_PEAK_FLOAT     /* operations a second, in f32 */
};

/* Functions are called under one lock (struct engine), never two at a time, but for `pages` and
 * `states`, which may run beside any other. */
struct backend {
	struct model_keeper
		keeper;     /* first: takes the weights (model/weights.h), once, after open */
	const char *device; /* what it computes on: "cpu", "cuda" */
	const char *layout; /* of weights, where a choice names it: "cuda/1"; or NULL */
	const char
		*device_name;  /* what that calls itself; "": unknown; borrowed from the backend */
	const char *set;       /* its kernels: "avx512"; a record says what computed */
	const char *numerics;  /* "canonical", "fast": what was asked for and could be done */
	const char *regime;    /* the class of its bits: "cpu/1" (kernels/kernels.h) */
	uint64_t page_bytes;   /* that a page of KERNEL_PAGE positions takes, all layers together */
	uint64_t state_bytes;  /* that a slot takes; 0: no layer has state, and no pass slots */
	uint32_t rows_max;     /* of one pass */
	uint32_t rows_alone;   /* of prompts in a pass that nobody waits for; 0: as on a CPU */
	uint64_t weight_bytes; /* that the weights take, once placed */
	bool draws;            /* ids, where a row of a pass asks for one */
	_Atomic bool lost;     /* what it computes on failed: every pass is refused from now on */

	/* Make memory for so many more pages of the cache, contents undefined. They are numbered
	 * on from those made before, from 0. ERR_NOMEM: none was made. Thread-safe. */
	int (*pages)(struct backend *b, uint64_t count, struct err *e) MUST_USE;
	/* Copy a page whole, all layers. */
	void (*page_copy)(struct backend *b, uint32_t from, uint32_t to);
	/* The same for slots of state; state_copy also where `to` is nobody's. */
	int (*states)(struct backend *b, uint64_t count, struct err *e) MUST_USE;
	void (*state_copy)(struct backend *b, uint32_t from, uint32_t to);
	/* Sequences will have this many positions: have what depends on a position ready (rotary
	 * tables). ERR_NOMEM. */
	int (*positions)(struct backend *b, uint32_t count, struct err *e) MUST_USE;
	/* Bytes that more pages could take now. NULL: those that the host has left. */
	uint64_t (*memory)(const struct backend *b);
	/* Compute a pass: cache rows written, states stepped, logits and experts handed out.
	 * Allocates nothing once it has seen a pass of this size. ERR_NOMEM, before anything was
	 * computed: no state was stepped. ERR_UNAVAILABLE: what it computes on is lost, for good;
	 * what is in its pages is undefined then. */
	int (*forward)(struct backend *b, const struct pass *p, struct err *e) MUST_USE;
	/* What the passes so far had to read and do. */
	void (*load)(const struct backend *b, struct engine_traffic *out);
	/* ERR_UNSUPPORTED: cannot be measured here, with the reason. */
	int (*peak)(struct backend *b, enum backend_peak what, double *rate,
		    struct err *e) MUST_USE;
	void (*close)(struct backend *b);
};

/* The host's processor, by the kernel set of the order (cpu.c). */
int cpu_open(struct backend **out, const struct backend_order *o, struct err *e) MUST_USE;

/* A GPU (cuda.c). ERR_UNAVAILABLE: there is none that can be used, or it has too little memory;
 * ERR_UNSUPPORTED: the model has what is not computed there, by name. */
int cuda_open(struct backend **out, const struct backend_order *o, struct err *e) MUST_USE;
/* The kernel set and regime that GPU `which` would have; ERR_UNAVAILABLE as of cuda_open. */
int cuda_means(uint32_t which, bool fast, struct engine_means *out, struct err *e) MUST_USE;

/* Opens a backend: cpu_open, or another. */
typedef int backend_opener(struct backend **out, const struct backend_order *o, struct err *e);

/* engine.c: engine_open with a backend of the caller's choice, which the engine closes. */
int engine_open_with(struct engine **out, struct source *src, const struct engine_options *o,
		     backend_opener *open, struct err *e) MUST_USE;
/* Of this config, with the random weights of seed (model/synthetic.h) and no text. */
int engine_open_invented(struct engine **out, const struct model_config *c, uint64_t seed,
			 const struct engine_options *o, backend_opener *open,
			 struct err *e) MUST_USE;

#endif
