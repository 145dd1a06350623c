/* Private: what a step of so many rows costs, learned from the steps that were made. A row's cost
 * depends on model, machine and batch: a few rows may cost what one does, or each its own. What it
 * attends to comes on top, for each row: with long texts that is most of it. Only who is stepped
 * when follows from it, never a bit of an answer. */
#ifndef ENGINE_STEP_COST_H
#define ENGINE_STEP_COST_H

#include <stdbool.h>
#include <stdint.h>

#define STEP_SIZES 22 /* 1, 2, 3, 4, 6, 8, 12, ... 2048 rows */
/* Tokens before a row at which attention takes as long as a step of that row alone, where nothing
 * is known of it: 2,000 to 6,000 in the shapes that are measured. */
#define CONTEXT_EVEN 4096u

struct step_cost {
	/* Least of late, of steps of this size up to the next; 0: unknown. us: without attention;
	 * far_us: of attention, for each position that a row attends to. */
	double us[STEP_SIZES], far_us[STEP_SIZES];
	bool guessed; /* texts were never short: what attention takes is only guessed */
};

/* A step of so many rows, which attended to so many positions together, took so long. */
void step_cost_learn(struct step_cost *c, uint32_t rows, uint64_t attended, int64_t took_us);
/* Microseconds of a step at the beginning of its texts, as far as is known; of sizes that were
 * never made: as if rows cost the same each. 0: nothing is known. */
double step_cost_us(const struct step_cost *c, uint32_t rows);
/* And of each position attended to. 0: nothing is known. */
double step_cost_far_us(const struct step_cost *c, uint32_t rows);
/* The most rows (>= rows) that cost at most `most_us`. */
uint32_t step_cost_within(const struct step_cost *c, uint32_t rows, double most_us);
/* Whether a step of about so many rows was ever made. */
bool step_cost_knows(const struct step_cost *c, uint32_t rows);

#endif
