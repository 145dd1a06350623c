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

/* Bytes that a user may still write to the file system of a path; UINT64_MAX where nothing says. */
uint64_t machine_disk(const char *path);

/* This process as the system sees it; 0 for what is not known. */
struct machine_process {
	uint64_t resident_bytes, virtual_bytes;
	uint64_t files, files_max;   /* open descriptors, and how many there may be */
	double processor_s, start_s; /* used by all threads; since 1970 */
};
void machine_process(struct machine_process *out);

#endif
