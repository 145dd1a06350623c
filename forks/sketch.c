/* Making a sketch: roles -> what is to be kept -> the pass over the files -> calibrations. */
#include "forks/sketch_in.h"

#include <stdlib.h>
#include <string.h>

/* Blocks that turned out not to be finite are taken out again, by name. */
static void blocks_settle(struct plan *p)
{
	struct fork_sketch *s = p->sketch;
	size_t kept = 0;

	for (size_t i = 0; i < p->of_roles; i++) {
		struct plan_block *b = &p->block[i];
		double squares = 0, values = 0;
		bool bad = b->broken;

		if (!b->chosen)
			continue;
		for (uint32_t k = 0; k < b->parts; k++) {
			bad = bad || b->bad[k];
			squares += b->squares[k];
			values += (double)b->block->kept * (double)b->part[k].width;
		}
		if (bad) {
			fork_plan_note(p, "%s: left out: values that are not finite, or not read",
				       b->of->name);
			continue;
		}
		b->block->mean_square = squares / values;
		s->block[kept++] = *b->block;
	}
	s->blocks = kept;
}

static int notes_keep(struct plan *p, struct err *e)
{
	TRY(buf_done(&p->notes, e));
	p->sketch->notes =
		arena_copy(&p->sketch->arena, p->notes.bytes ? p->notes.bytes : "", p->notes.len);
	return p->sketch->notes ? 0 : plan_nomem(e);
}

int fork_sketch_make(struct fork_sketch **out, const struct fork_model *m, struct err *e)
{
	struct plan p = { .model = m };
	int rc = 0;

	*out = NULL;
	p.sketch = calloc(1, sizeof *p.sketch);
	if (!p.sketch)
		return plan_nomem(e);
	TRY_OUT(fork_plan_open(&p, e));
	TRY_OUT(fork_pass_run(&p, e));
	blocks_settle(&p);
	TRY_OUT(notes_keep(&p, e));
	TRY_OUT(fork_sketch_calibrate(p.sketch, SKETCH_SEED, m->pool, e));
	*out = p.sketch;
	p.sketch = NULL;
out:
	fork_plan_free(&p);
	fork_sketch_free(p.sketch);
	return rc;
}
