#include "counting.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t calls;
static atomic_bool poison;

size_t counting_calls(void)
{
	return atomic_load(&calls);
}

void counting_poison(bool on)
{
	atomic_store(&poison, on);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

/* The allocator of glibc under the names it keeps for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void *fresh(void *p, size_t size)
{
	atomic_fetch_add(&calls, 1);
	if (p != NULL && atomic_load(&poison))
		memset(p, 0xff, size);
	return p;
}

void *malloc(size_t size)
{
	return fresh(__libc_malloc(size), size);
}

void *calloc(size_t count, size_t size)
{
	atomic_fetch_add(&calls, 1);
	return __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
	atomic_fetch_add(&calls, 1);
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	return fresh(__libc_memalign(align, size), size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	*out = fresh(__libc_memalign(align, size), size);
	return *out == NULL ? ENOMEM : 0;
}

#endif
