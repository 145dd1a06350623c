/* Initialisations with structure in the order of units, as two independent models may both have
 * them. */
#ifndef TESTS_FORKS_STRUCTURED_H
#define TESTS_FORKS_STRUCTURED_H

#include "drawn.h"

enum structure {
	STRUCTURE_IDENTITY,
	STRUCTURE_IDENTITY_NOISE,
	STRUCTURE_IDENTITY_WEAK, /* as much noise as identity */
	STRUCTURE_IDENTITY_GATE, /* the first part alone */
	STRUCTURE_SINUSOID,
	STRUCTURE_SINUSOID_NOISE,
	STRUCTURE_WAVES, /* slow ones: neighbours are alike */
	STRUCTURE_SORTED,
	STRUCTURE_BLOCKS,
	STRUCTURE_BAND,
	STRUCTURE_TRIANGLE,
	STRUCTURE_CONSTANT,
	STRUCTURE_CONSTANT_NOISE,
	STRUCTURE_ZEROS_AT_END,
	STRUCTURE_REPEATED_HALF,
	STRUCTURE_REPEATED_NOISE,
	STRUCTURE_REPEATED_UNITS,
	STRUCTURE_LOW_RANK,
	STRUCTURE_RAMP,
	STRUCTURE_HADAMARD,
	STRUCTURE_LAST_PART_ZERO,
	STRUCTURES
};
const char *structure_name(enum structure s);
/* Change the block's drawn vectors into such ones: what is random in them is the block's own. */
void structure_block(struct drawn_block *b, enum structure s);

#endif
