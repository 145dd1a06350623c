/* What made one matrix of another: rounding, or the adding of a matrix of low rank. Told by a panel
 * of the two. Private to forks/. */
#ifndef FORKS_RELATION_H
#define FORKS_RELATION_H

#include "forks/forks.h"

#define RELATION_ROWS 128 /* of a panel, which begins at a multiple of it: FP8 scales by blocks */

/* How b is a, rounded: panels [rows][columns], rows <= RELATION_ROWS. int8 with scales by row or by
 * groups of 128, 64, 32; FP8 (E4M3, OCP) with scales by row or blocks of 128 x 128; codes of up to
 * 4 bits, whatever their levels, with scales by groups of 32 or more; a narrower float. Whether it
 * is stored so or as floats again. One value in a hundred may lie elsewhere: near a tie, or by a
 * scale that was rounded itself. */
enum fork_rounding fork_relation_rounding(const float *a, const float *b, size_t rows,
					  size_t columns);

/* Rank of b - a, of the first RELATION_COLUMNS columns, up to what storing b rounds away; 0: more
 * than half of full, or nothing but that rounding. */
#define RELATION_COLUMNS 512
struct relation_scratch {
	double gram[RELATION_ROWS * RELATION_ROWS];
	float row[RELATION_ROWS * RELATION_COLUMNS];
};
uint32_t fork_relation_rank(const float *a, const float *b, size_t rows, size_t columns,
			    struct relation_scratch *scratch);

/* Nearest E4M3 value, ties to even, saturating at 448. */
float fork_relation_e4m3(float v);

#endif
