/* Memory of JSON's values. A request makes some hundreds of a few small sizes, and frees them all
 * at its end: more of a size than the allocator keeps for a thread, so that it would cut and join
 * them each time. Here the thread that frees a block keeps it for its next request. */
#include "base/json_memory.h"

#include "base/limits.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

/* Blocks of size i have i * STEP + OWN bytes, which is how the allocator cuts them. */
#define STEP 16u
#define OWN sizeof(size_t)
#define SIZES 40u
#ifdef __SANITIZE_ADDRESS__
#define KEPT_MOST 0 /* it would not see that a block is used after it was freed */
#else
#define KEPT_MOST KIB(32) /* bytes, for each thread */
#endif

struct block {
	struct block *next;
};

struct kept {
	struct block *first[SIZES];
	size_t bytes;
	bool watched; /* freed with its thread */
};

static _Thread_local struct kept kept;
static _Thread_local bool starved;
static pthread_key_t thread_end;

static size_t size_of(size_t i) { return i * STEP + OWN; }

static void free_kept(void *arg)
{
	struct kept *k = arg;
	for (size_t i = 0; i < SIZES; i++)
		for (struct block *b; (b = k->first[i]) != NULL;) {
			k->first[i] = b->next;
			free(b);
		}
	k->bytes = KEPT_MOST; /* what is freed later stays with nobody */
}

static void *allocate(size_t bytes)
{
	bool small = bytes <= size_of(SIZES - 1);
	size_t i = small && bytes > OWN ? (bytes - OWN + STEP - 1) / STEP : 0;
	struct block *b = small ? kept.first[i] : NULL;
	if (b) {
		kept.first[i] = b->next;
		kept.bytes -= size_of(i);
		return b;
	}
	void *p = malloc(small && KEPT_MOST ? size_of(i) : bytes);
	starved |= !p;
	return p;
}

static void let_go(void *p)
{
	struct block *b = p;
	size_t i = p ? (malloc_usable_size(p) - OWN) / STEP : SIZES;
	bool room = i < SIZES && kept.bytes + size_of(i) <= KEPT_MOST;
	if (room && !kept.watched)
		kept.watched = room = pthread_setspecific(thread_end, &kept) == 0;
	if (!room) {
		free(p);
		return;
	}
	b->next = kept.first[i];
	kept.first[i] = b;
	kept.bytes += size_of(i);
}

static void set_functions(void)
{
	if (pthread_key_create(&thread_end, free_kept) == 0)
		json_set_alloc_funcs(allocate, let_go);
}

void json_memory_use(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_functions);
	starved = false;
}

bool json_memory_starved(void) { return starved; }
void json_memory_starve(void) { starved = true; }
