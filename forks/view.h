/* The vectors of two sketches in one view, so that they can be multiplied: raw ones as they are,
 * token ones over the tokens that both have. Private to forks/. */
#ifndef FORKS_VIEW_H
#define FORKS_VIEW_H

#include "forks/dots.h"
#include "forks/rungs.h"

#define VIEW_TOKENS_MIN 32 /* fewer tokens in common tell units too badly apart */

struct view_part {
	const int16_t *v;  /* [kept][width] */
	uint32_t width;    /* a multiple of 16; 0: the part has no vectors in this view */
	const float *norm; /* [kept] */
	double scale; /* of the norms: 1, of token vectors what makes their sum of squares that of
			 the raw vectors, so that embeddings that grew do not count */
};
/* As the sketch has it; scale 1. */
static inline struct view_part fork_view_part(const struct sketch_part *p, enum rung_view view)
{
	if (view == RUNG_RAW)
		return (struct view_part){ p->raw, p->raw_width, p->norm, 1 };
	return p->token ? (struct view_part){ p->token, p->token_width, p->token_norm, 1 }
			: (struct view_part){ 0 };
}

struct fork_view {
	const struct fork_sketch *sketch;
	struct view_part (*part)[ROLE_PARTS]; /* [blocks] */
	int16_t *gathered;                    /* where the models' tokens differ */
};

/* Both are empty where the sketches have too few tokens in common. The sketches are borrowed. */
int fork_views_open(struct fork_view *va, struct fork_view *vb, const struct fork_sketch *a,
		    const struct fork_sketch *b, enum rung_view view, struct err *e) MUST_USE;
void fork_view_close(struct fork_view *v);

/* Vectors of two parts are multiplied over the narrower's width: raw ones longer than the other's
 * were cut, or are nothing alike. */
static inline uint32_t fork_view_width(const struct view_part *a, const struct view_part *b)
{
	return a->width < b->width ? a->width : b->width;
}

#endif
