/* What a random draw of a report is for; keeps the streams of one seed apart (base/philox.h). */
#ifndef FORKS_DRAWS_H
#define FORKS_DRAWS_H

#include "base/philox.h"

enum philox_domain {
	PHILOX_SKETCH = 1,
	PHILOX_FIT = 6,
	PHILOX_TIES = 7,
	/* Plus what is asked: view and half of a trace, or S2. */
	PHILOX_TEST = 16,
	PHILOX_NULL = 32,
};

#endif
