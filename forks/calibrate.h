/* Null pairs of S1 and S2 within one model. Private to forks/. */
#ifndef FORKS_CALIBRATE_H
#define FORKS_CALIBRATE_H

#include "forks/old.h"

#define CALIBRATION_PAIRS_MIN 300
#define CALIBRATION_PAIRS 480 /* aimed at; a layer's share is rounded up */

/* fork_calibrate for S2, by the same pairs and the same rule. */
int fork_calibrate_s2(const struct fork_model *m, uint64_t seed, struct fork_old_calibration *out,
		      struct err *e) MUST_USE;

#endif
