/* What this process may use of the machine: memory and cores. */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that this process may still take: what the system has available, and no more than its
 * control groups leave (versions 1 and 2, every level above it); files that can be dropped count as
 * available. UINT64_MAX where nothing says. */
uint64_t machine_memory(void);

/* Cores that this process may run on (its affinity mask); at least 1. */
unsigned machine_cores(void);

/* What the processor calls itself: printable ASCII; "" where nothing says. */
void machine_processor(char *out, size_t room);

#endif
