#include "tests/shared/counting.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t calls, live, left; /* left: allocations until one fails, that one included */
static atomic_bool poison, failed;

size_t counting_calls(void) { return atomic_load(&calls); }

size_t counting_live(void) { return atomic_load(&live); }

void counting_poison(bool on) { atomic_store(&poison, on); }

void counting_fail(size_t nth)
{
	atomic_store(&failed, false);
	atomic_store(&left, nth);
}

bool counting_failed(void) { return atomic_load(&failed); }

#if COUNTING

/* The allocator of glibc under the names it keeps for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *p);

/* Count a call; true: it is the one to fail. */
static bool fails(void)
{
	size_t n = atomic_load(&left);
	atomic_fetch_add(&calls, 1);
	while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1))
		;
	if (n != 1)
		return false;
	atomic_store(&failed, true);
	errno = ENOMEM;
	return true;
}

static void *fresh(void *p, size_t size)
{
	atomic_fetch_add(&live, p != NULL);
	if (p != NULL && atomic_load(&poison))
		memset(p, 0xff, size);
	return p;
}

void *malloc(size_t size) { return fails() ? NULL : fresh(__libc_malloc(size), size); }

void *calloc(size_t count, size_t size)
{
	void *p = fails() ? NULL : __libc_calloc(count, size);
	atomic_fetch_add(&live, p != NULL);
	return p;
}

void *realloc(void *p, size_t size)
{
	void *q = fails() ? NULL : __libc_realloc(p, size);
	atomic_fetch_add(&live, p == NULL && q != NULL);
	if (p != NULL && q == NULL && size == 0)
		atomic_fetch_sub(&live, 1);
	return q;
}

void *aligned_alloc(size_t align, size_t size)
{
	return fails() ? NULL : fresh(__libc_memalign(align, size), size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
	*out = aligned_alloc(align, size);
	return *out == NULL ? ENOMEM : 0;
}

void free(void *p)
{
	atomic_fetch_sub(&live, p != NULL);
	__libc_free(p);
}

void *counting_exempt(size_t size) { return __libc_malloc(size); }

void counting_release(void *p) { __libc_free(p); }

#else

void *counting_exempt(size_t size) { return malloc(size); }

void counting_release(void *p) { free(p); }

#endif
