/* Private: what a step of so many rows costs, learned from the steps that were made. A row's cost
 * depends on model, machine and batch: a few rows may cost what one does, or each its own. Only who
 * is stepped when follows from it, never a bit of an answer. */
#ifndef ENGINE_STEP_COST_H
#define ENGINE_STEP_COST_H

#include <stdint.h>

#define STEP_SIZES 22 /* 1, 2, 3, 4, 6, 8, 12, ... 2048 rows */

struct step_cost {
	double us[STEP_SIZES]; /* least of late, of steps of this size up to the next; 0: unknown */
};

/* A step of so many rows took so long. */
void step_cost_learn(struct step_cost *c, uint32_t rows, int64_t took_us);
/* Microseconds of a step, as far as is known; of sizes that were never made: as if rows cost the
 * same each. 0: nothing is known. */
double step_cost_us(const struct step_cost *c, uint32_t rows);
/* The most rows that cost at most `times` what `rows` do (>= rows). */
uint32_t step_cost_rows(const struct step_cost *c, uint32_t rows, double times);

#endif
