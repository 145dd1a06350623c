/* Threads of a launch as fibers on one thread of the host. A block's threads run warp by warp, lane by lane,
 * each until it waits; what is waited for lets it go on. Blocks run one after the other, or all at once in a
 * cooperative launch. */
#include "tests/emulator/emulator.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>

#define STACK_BYTES (256u << 10)
#define PAGE_BYTES 4096
#define ARENA_BYTES (320u << 10) /* shared memory of a block and the guards within it */
#define ARENA_START 1024         /* where dynamic shared memory begins: as aligned as any copy needs */
#define DECLARATIONS 64
#define WARP_LANES 32
#define PATIENCE 1000 /* looks at a value that nobody changes */
#define NOBODY 0xffffffffu

dim3 gridDim, blockDim, blockIdx, threadIdx;

namespace
{

enum fiber_state { READY, AT_WARP, AT_BARRIER, AT_VALUE, AT_PHASE, AT_LATE, DONE };

struct fiber {
	void *stack_pointer, *fake_stack;
	enum fiber_state state;
	struct emulator_site site;
	unsigned mask; /* at a warp operation */
	void *mine;
	const uint32_t *watched; /* what it loaded last, and what was there */
	uint32_t last;
	unsigned asked; /* how often it looked again */
	bool launch_waited;
	struct emulator_copies copies;
	struct emulator_products products;
	struct emulator_phase *phase; /* that it waits for, and its parity */
	unsigned parity;
	dim3 index;
	unsigned block;
};

struct declaration {
	const void *name;
	size_t at, bytes;
};

struct block {
	dim3 index;
	size_t number;
	unsigned first, done; /* its fibers are first to first + threads - 1 */
	unsigned at_barrier;  /* how many; all there, or not if apart */
	struct emulator_site site;
	bool apart;
	char *arena;
	size_t arena_end;
	unsigned declarations;
	struct declaration declaration[DECLARATIONS]; /* [0] is dynamic */
	struct emulator_async *async;                 /* NULL: nobody asked for it */
};

struct machine {
	std::vector<struct fiber> fiber;
	std::vector<uint32_t> at_warp; /* lanes of each warp that are AT_WARP */
	std::vector<struct block> block; /* those that run at once */
	char *stacks;
	unsigned stacks_mapped, threads, resident, running, at_value;
	int lane_step; /* 1 or -1 */
	enum emulator_order order;
	const struct emulator_kernel *kernel;
	struct emulator_watch *watch;
	uint32_t shuffle;
	bool faulted, stopped;
	void *stack_pointer, *fake_stack; /* of the scheduler */
	const void *stack_bottom;
	size_t stack_bytes;
	bool from_scheduler;
	char why[600];
} m;

unsigned random_below(unsigned n)
{
	m.shuffle = m.shuffle * 1664525u + 1013904223u;
	return (unsigned)((uint64_t)m.shuffle * n >> 32);
}

struct fiber &running() { return m.fiber[m.running]; }
struct block &here() { return m.block[running().block]; }
unsigned fibers_of(const struct block &b) { return b.first + m.threads; }

/* ---- switching ---- */

/* Save the callee-saved registers, *save = rsp; continue at to. */
extern "C" void emulator_switch(void **save, void *to) __attribute__((visibility("hidden")));
asm(".text\n"
    ".hidden emulator_switch\n"
    ".globl emulator_switch\n"
    "emulator_switch:\n"
    "	push %rbp\n	push %rbx\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
    "	mov %rsp, (%rdi)\n"
    "	mov %rsi, %rsp\n"
    "	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbx\n	pop %rbp\n"
    "	ret\n");

char *stack_of(unsigned fiber)
{
	return m.stacks + (size_t)fiber * (STACK_BYTES + PAGE_BYTES) + PAGE_BYTES;
}

void arrive(void *fake_stack)
{
	const void *bottom = nullptr;
	size_t bytes = 0;
	__sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
	(void)fake_stack;
	if (m.from_scheduler) {
		m.stack_bottom = bottom;
		m.stack_bytes = bytes;
	}
	m.from_scheduler = false;
}

void become(unsigned next)
{
	struct fiber &f = m.fiber[next];
	m.running = next;
	threadIdx = f.index;
	blockIdx = m.block[f.block].index;
}

/* The next lane of the running fiber's warp that can go on, in this warp's direction. */
unsigned ready_lane()
{
	unsigned first = m.running / WARP_LANES * WARP_LANES, lane = m.running % WARP_LANES;
	for (unsigned i = 1; i < WARP_LANES; i++) {
		lane = (lane + (unsigned)m.lane_step) % WARP_LANES;
		if (first + lane < m.fiber.size() && m.fiber[first + lane].state == READY)
			return first + lane;
	}
	return NOBODY;
}

/* Let others run. for_ever: this fiber will not come back. */
void leave(bool for_ever)
{
	unsigned self = m.running, next = m.faulted ? NOBODY : ready_lane();
	struct fiber &f = m.fiber[self];
	void **fake_stack = for_ever ? nullptr : &f.fake_stack;
	(void)fake_stack;
	if (next == NOBODY) {
		__sanitizer_start_switch_fiber(fake_stack, m.stack_bottom, m.stack_bytes);
		emulator_switch(&f.stack_pointer, m.stack_pointer);
	} else {
		become(next);
		__sanitizer_start_switch_fiber(fake_stack, stack_of(next), STACK_BYTES);
		emulator_switch(&f.stack_pointer, m.fiber[next].stack_pointer);
	}
	arrive(f.fake_stack);
}

void fiber_main()
{
	arrive(nullptr);
	m.kernel->thread();
	running().state = DONE;
	here().done++;
	leave(true);
	abort();
}

void resume(unsigned next)
{
	become(next);
	m.from_scheduler = true;
	__sanitizer_start_switch_fiber(&m.fake_stack, stack_of(next), STACK_BYTES);
	emulator_switch(&m.stack_pointer, m.fiber[next].stack_pointer);
	__sanitizer_finish_switch_fiber(m.fake_stack, nullptr, nullptr);
}

void *reserve(size_t bytes)
{
	void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	if (at == MAP_FAILED)
		abort();
	return at;
}

/* Fibers begin at a multiple of a warp, so that no warp spans two blocks. */
unsigned fibers_a_block() { return (m.threads + WARP_LANES - 1) / WARP_LANES * WARP_LANES; }

void stacks_map(unsigned fibers)
{
	if (m.stacks == nullptr)
		m.stacks = (char *)reserve((size_t)EMULATOR_FIBERS * (STACK_BYTES + PAGE_BYTES));
	for (; m.stacks_mapped < fibers; m.stacks_mapped++)
		mprotect(stack_of(m.stacks_mapped) - PAGE_BYTES, PAGE_BYTES, PROT_NONE);
}

void fiber_start(unsigned number, unsigned thread, unsigned block)
{
	struct fiber &f = m.fiber[number];
	unsigned x = blockDim.x, y = blockDim.y;
	f.state = READY;
	f.fake_stack = nullptr;
	f.watched = nullptr;
	f.asked = 0;
	f.launch_waited = false;
	f.copies.begun.clear();
	f.copies.group = 0;
	f.products = {};
	f.index = dim3(thread % x, thread / x % y, thread / x / y);
	f.block = block;
	ASAN_UNPOISON_MEMORY_REGION(stack_of(number), STACK_BYTES); /* a fault leaves frames behind */
	/* not all at the same place of a page: they would fight for a few lines of the cache */
	void **top = (void **)(stack_of(number) + STACK_BYTES - number * 9 % 64 * 64);
	*--top = nullptr; /* fiber_main's return address, as if called */
	*--top = (void *)fiber_main;
	for (int i = 0; i < 6; i++)
		*--top = nullptr;
	f.stack_pointer = top;
}

/* ---- shared memory ---- */

void set_why(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void set_why(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(m.why, sizeof m.why, fmt, args);
	va_end(args);
	m.faulted = true;
}

/* The next piece of the arena, between guards, poisoned. */
void *declare(struct block &b, const void *name, size_t bytes)
{
	if (b.declarations == DECLARATIONS || b.arena_end + bytes + 1024 > ARENA_BYTES)
		return nullptr;
	size_t at = b.arena_end;
	b.declaration[b.declarations++] = { name, at, bytes };
	ASAN_UNPOISON_MEMORY_REGION(b.arena + at, bytes);
	memset(b.arena + at, 0xff, bytes);
	b.arena_end = (at + bytes + EMULATOR_GUARD_BYTES + 255) / 256 * 256;
	if (EMULATOR_GUARDS != 0) {
		memset(b.arena + at - EMULATOR_GUARD_BYTES, EMULATOR_GUARD, EMULATOR_GUARD_BYTES);
		memset(b.arena + at + bytes, EMULATOR_GUARD, b.arena_end - at - bytes);
	}
	return b.arena + at;
}

void block_start(struct block &b, size_t number)
{
	dim3 grid = m.kernel->grid;
	b.index = dim3((unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
		       (unsigned)(number / grid.x / grid.y));
	b.number = number;
	b.done = b.declarations = b.at_barrier = 0;
	if (b.arena == nullptr)
		b.arena = (char *)reserve(ARENA_BYTES);
	b.arena_end = ARENA_START;
	ASAN_POISON_MEMORY_REGION(b.arena, ARENA_BYTES);
	declare(b, nullptr, m.kernel->dynamic_bytes);
	if (b.async != nullptr) {
		b.async->barrier.clear();
		memset(b.async->view.data(), 0xff, ARENA_BYTES);
	}
	for (unsigned i = 0; i < m.threads; i++)
		fiber_start(b.first + i, i, (unsigned)(&b - m.block.data()));
}

bool guards_whole(const struct block &b, const struct declaration &d)
{
	size_t end = (d.at + d.bytes + EMULATOR_GUARD_BYTES + 255) / 256 * 256;
	for (size_t i = d.at - EMULATOR_GUARD_BYTES; i < end && EMULATOR_GUARDS != 0; i++) {
		if ((i < d.at || i >= d.at + d.bytes) && (unsigned char)b.arena[i] != EMULATOR_GUARD)
			return false;
	}
	return true;
}

/* What is under way when a thread returns, or differs from warp to warp of a warpgroup; "": nothing. */
const char *left_undone(const struct block &b)
{
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		unsigned group = (i - b.first) / (4 * WARP_LANES) * 4 * WARP_LANES;
		const struct emulator_products &p = m.fiber[i].products;
		const struct emulator_products &other = m.fiber[b.first + group].products;
		if (!p.begun.empty())
			return "a thread returned before its ptx_wgmma were waited for";
		if (p.count != other.count || p.digest != other.digest ||
		    (p.count > 0 && group + 4 * WARP_LANES > m.threads))
			return "warps of a warpgroup came to different ptx_wgmma";
	}
	for (const auto &barrier : b.async != nullptr ? b.async->barrier : decltype(b.async->barrier)()) {
		if (!barrier.second.copies.empty())
			return "a block ended before its ptx_bulk_copy had been waited for";
	}
	return "";
}

void block_end(struct block &b)
{
	unsigned waited = 0;
	for (unsigned i = 0; i < b.declarations && !m.faulted; i++) {
		if (!guards_whole(b, b.declaration[i]))
			set_why("a write outside shared memory of %zu bytes", b.declaration[i].bytes);
	}
	for (unsigned i = b.first; i < fibers_of(b); i++)
		waited += m.fiber[i].launch_waited;
	if (!m.faulted && *left_undone(b) != '\0')
		set_why("%s", left_undone(b));
	if (!m.faulted && m.kernel->programmatic && waited == 0)
		set_why("launched to start early, and no thread called ptx_launch_wait");
}

/* ---- waiting ---- */

bool same(const struct emulator_site &a, const struct emulator_site &b)
{
	return a.line == b.line && (a.what == b.what || strcmp(a.what, b.what) == 0) &&
	       (a.file == b.file || strcmp(a.file, b.file) == 0);
}

std::string place(const struct block &b, unsigned fiber)
{
	char text[200];
	if (fiber >= fibers_of(b))
		return "does not exist";
	const struct fiber &f = m.fiber[fiber];
	if (f.state == DONE)
		return "has returned";
	snprintf(text, sizeof text, "waits in %s at %s:%d", f.site.what, f.site.file, f.site.line);
	return text;
}

bool waits_with(const struct block &b, unsigned fiber, const struct fiber &f)
{
	const struct fiber &other = m.fiber[fiber];
	return fiber < fibers_of(b) && other.state == AT_WARP && same(other.site, f.site) && other.mask == f.mask;
}

/* Have all lanes of the running fiber's mask come to its side? */
bool all_have_come()
{
	const struct fiber &f = running();
	unsigned first = m.running / WARP_LANES * WARP_LANES;
	if (f.mask & ~m.at_warp[m.running / WARP_LANES])
		return false;
	for (unsigned i = 0; i < WARP_LANES; i++) {
		if ((f.mask >> i & 1) && !waits_with(here(), first + i, f))
			return false;
	}
	return true;
}

/* One lane that fiber's mask names and that is not there. */
unsigned missing_lane(const struct block &b, unsigned fiber)
{
	const struct fiber &f = m.fiber[fiber];
	unsigned lane = 0, first = fiber / WARP_LANES * WARP_LANES;
	while (lane < WARP_LANES - 1 && (!(f.mask >> lane & 1) || waits_with(b, first + lane, f)))
		lane++;
	return lane;
}

/* Nobody in the whole grid can go on. Who loaded the same twice need not wait for another value: let each
 * look once more. */
bool ask_again(struct block &b)
{
	bool any = false;
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		struct fiber &f = m.fiber[i];
		if (f.state == AT_VALUE && f.asked++ < PATIENCE) {
			f.state = READY;
			m.at_value--;
			any = true;
		}
	}
	return any;
}

/* Nobody in the whole grid can go on: now copies land that somebody waits for, or, if none do, products are
 * done. */
bool let_land(struct block &b)
{
	bool any = false;
	for (unsigned i = b.first; i < fibers_of(b); i++)
		any |= m.fiber[i].state == AT_PHASE && emulator_phase_land(m.fiber[i].phase);
	for (unsigned i = b.first; i < fibers_of(b) && !any; i++)
		any |= m.fiber[i].state == AT_LATE;
	for (unsigned i = b.first; i < fibers_of(b) && any; i++) {
		if (m.fiber[i].state == AT_LATE)
			m.fiber[i].state = READY;
	}
	return any;
}

/* Nobody in the whole grid can go on: say who waits for whom in a block that is not done. */
void explain(const struct block &b)
{
	unsigned waiting = m.running = b.first;
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		const struct fiber &f = m.fiber[i];
		if (f.state == AT_VALUE)
			return set_why("thread %u %s for a change that nobody makes", i - b.first,
				       place(b, i).c_str());
	}
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		const struct fiber &f = m.fiber[i];
		if (f.state == AT_PHASE)
			return set_why("thread %u %s for phase %u, of which %u arrivals and %ld bytes never come",
				       i - b.first, place(b, i).c_str(), f.phase->number, f.phase->pending,
				       f.phase->bytes);
	}
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		unsigned lane = m.fiber[i].state == AT_WARP ? missing_lane(b, i) : 0;
		if (m.fiber[i].state == AT_WARP)
			return set_why("thread %u %s with mask %08x for lane %u, which %s", i - b.first,
				       place(b, i).c_str(), m.fiber[i].mask, lane,
				       place(b, i / WARP_LANES * WARP_LANES + lane).c_str());
	}
	while (m.fiber[waiting].state == DONE)
		waiting++;
	for (unsigned i = b.first; i < fibers_of(b); i++) {
		if (m.fiber[i].state == DONE || !same(m.fiber[i].site, m.fiber[waiting].site))
			return set_why("__syncthreads diverges: thread %u %s, thread %u %s", waiting - b.first,
				       place(b, waiting).c_str(), i - b.first, place(b, i).c_str());
	}
}

bool watched(const struct block &b, struct emulator_site site)
{
	if (m.watch == nullptr || m.watch->barrier(m.watch, b.number, site))
		return true;
	m.stopped = true;
	return false;
}

/* All threads of a block wait at one barrier: let them go on. */
bool open_barrier(struct block &b)
{
	if (b.at_barrier != m.threads || b.apart)
		return false;
	b.at_barrier = 0;
	for (unsigned i = b.first; i < fibers_of(b); i++)
		m.fiber[i].state = READY;
	m.running = b.first; /* for the watch */
	return watched(b, b.site);
}

/* ---- a launch ---- */

/* Those that waited for a value which is another now can go on. */
void wake(unsigned first, unsigned end)
{
	for (unsigned i = first; i < end && m.at_value != 0; i++) {
		struct fiber &f = m.fiber[i];
		if (f.state == AT_VALUE ? *f.watched != f.last
					: f.state == AT_PHASE && emulator_phase_over(f.phase, f.parity)) {
			f.state = READY;
			m.at_value--;
		}
	}
}

bool run_warp(const struct block &b, unsigned warp)
{
	unsigned first = b.first + warp * WARP_LANES;
	unsigned end = first + WARP_LANES < fibers_of(b) ? first + WARP_LANES : fibers_of(b);
	unsigned lanes = end - first, start = 0;
	m.lane_step = m.order == EMULATOR_DESCENDING ? -1 : 1;
	if (m.order == EMULATOR_SHUFFLED) {
		start = random_below(lanes);
		m.lane_step = random_below(2) ? 1 : -1;
	} else if (m.order == EMULATOR_DESCENDING) {
		start = lanes - 1;
	}
	wake(first, end);
	for (unsigned i = 0; i < lanes; i++) {
		unsigned lane = m.lane_step > 0 ? start + i : start + lanes - i;
		if (m.fiber[first + lane % lanes].state == READY) {
			resume(first + lane % lanes);
			return true;
		}
	}
	return false;
}

/* The i-th of n in this launch's order, which for shuffled ones begins at start. */
unsigned in_order(unsigned i, unsigned n, unsigned start, bool down)
{
	return down ? (start + n - i) % n : (start + i) % n;
}

/* Let each warp run until it waits; true if any did anything. */
bool run_warps(struct block &b)
{
	unsigned warps = (m.threads + WARP_LANES - 1) / WARP_LANES, start = 0;
	bool ran = false, down = m.order == EMULATOR_DESCENDING;
	if (m.order == EMULATOR_SHUFFLED) {
		start = random_below(warps);
		down = random_below(2);
	} else if (down) {
		start = warps - 1;
	}
	for (unsigned i = 0; i < warps && !m.faulted; i++) {
		while (!m.faulted && run_warp(b, in_order(i, warps, start, down)))
			ran = true;
	}
	return ran;
}

/* Run the block until all of its threads have returned or wait for another block. */
bool run_block(struct block &b)
{
	bool ran = false;
	while (!m.faulted && !m.stopped && b.done < m.threads && (run_warps(b) || open_barrier(b)))
		ran = true;
	if (ran && b.done == m.threads && !m.faulted && !m.stopped) {
		m.running = b.first;
		watched(b, { nullptr, nullptr, 0 });
		block_end(b);
	}
	return ran;
}

/* The blocks that m.block holds, until all are done. */
void run_resident()
{
	unsigned done = 0;
	while (done < m.resident && !m.faulted && !m.stopped) {
		bool ran = false, down = m.order == EMULATOR_BLOCKS_DESCENDING;
		unsigned start = down ? m.resident - 1 : 0;
		if (m.order == EMULATOR_SHUFFLED)
			start = random_below(m.resident);
		for (unsigned i = 0; i < m.resident && !m.faulted && !m.stopped; i++) {
			struct block &b = m.block[in_order(i, m.resident, start, down)];
			bool before = b.done == m.threads;
			ran |= run_block(b);
			done += !before && b.done == m.threads;
		}
		bool stuck = !ran && !m.faulted && !m.stopped;
		for (unsigned i = 0; i < m.resident && stuck; i++)
			ran |= let_land(m.block[i]);
		stuck = stuck && !ran;
		for (unsigned i = 0; i < m.resident && stuck; i++)
			ran |= ask_again(m.block[i]);
		for (unsigned i = 0; i < m.resident && stuck && !ran && !m.faulted; i++) {
			if (m.block[i].done < m.threads)
				explain(m.block[i]);
		}
	}
}

void machine_start(const struct emulator_kernel &kernel, enum emulator_order order,
		   struct emulator_watch *watch)
{
	size_t blocks = (size_t)kernel.grid.x * kernel.grid.y * kernel.grid.z;
	m.kernel = &kernel;
	m.order = order;
	m.watch = watch;
	m.faulted = m.stopped = false;
	m.at_value = 0;
	m.shuffle = 1;
	gridDim = kernel.grid;
	blockDim = kernel.block;
	m.threads = kernel.block.x * kernel.block.y * kernel.block.z;
	m.resident = kernel.cooperative ? (unsigned)blocks : 1;
	unsigned fibers = m.resident * fibers_a_block();
	stacks_map(fibers);
	if (m.fiber.size() < fibers)
		m.fiber.resize(fibers);
	for (unsigned i = 0; i < m.fiber.size(); i++)
		m.fiber[i].state = DONE;
	m.at_warp.assign(m.fiber.size() / WARP_LANES, 0);
	if (m.block.size() < m.resident)
		m.block.resize(m.resident);
	for (unsigned i = 0; i < m.resident; i++)
		m.block[i].first = i * fibers_a_block();
}

} /* namespace */

bool emulator_run(const struct emulator_kernel &kernel, enum emulator_order order,
		  struct emulator_watch *watch)
{
	size_t blocks = (size_t)kernel.grid.x * kernel.grid.y * kernel.grid.z;
	size_t at = 0;
	machine_start(kernel, order, watch);
	for (size_t i = 0; i < blocks && !m.faulted && !m.stopped; i += m.resident) {
		for (unsigned r = 0; r < m.resident; r++) {
			at = order == EMULATOR_BLOCKS_DESCENDING && m.resident == 1 ? blocks - 1 - i : i + r;
			block_start(m.block[r], at);
		}
		run_resident();
	}
	if (m.faulted) {
		size_t said = strlen(m.why);
		snprintf(m.why + said, sizeof m.why - said, " (%.100s, block %zu)", kernel.name.c_str(),
			 here().number);
	}
	m.kernel = nullptr;
	return !m.faulted;
}

void emulator_say(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(m.why, sizeof m.why, fmt, args);
	va_end(args);
}

const char *emulator_why() { return m.why; }

[[noreturn]] void emulator_fault(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(m.why, sizeof m.why, fmt, args);
	va_end(args);
	m.faulted = true;
	leave(true);
	abort();
}

/* What the compiler puts before each access (-fsanitize=alignment): the machine faults where a host would
 * load. */
struct emulator_mismatch {
	const char *file;
	uint32_t line, column;
	const struct {
		uint16_t kind, info;
		char name[1];
	} *type;
	unsigned char log_alignment, access;
};
extern "C" void __ubsan_handle_type_mismatch_v1(struct emulator_mismatch *what, uintptr_t at);
extern "C" void __ubsan_handle_type_mismatch_v1(struct emulator_mismatch *what, uintptr_t at)
{
	unsigned alignment = 1u << what->log_alignment;
	if (m.kernel == nullptr) /* host code */
		abort();
	emulator_fault("%s of %s at %s:%u: an address that is %u behind a multiple of %u",
		       what->access == 1 ? "a store" : "an access", what->type->name, what->file, what->line,
		       (unsigned)(at % alignment), alignment);
}

unsigned emulator_lane() { return m.running % WARP_LANES; }

void emulator_barrier(struct emulator_site site)
{
	struct fiber &f = running();
	struct block &b = here();
	f.state = AT_BARRIER;
	f.site = site;
	if (b.at_barrier++ == 0) {
		b.site = site;
		b.apart = false;
	} else {
		b.apart |= !same(b.site, site);
	}
	f.watched = nullptr;
	f.asked = 0;
	leave(false);
}

void emulator_collective(struct emulator_site site, unsigned mask, void *mine, emulator_work *work)
{
	struct fiber &f = running();
	unsigned first = m.running / WARP_LANES * WARP_LANES;
	f.state = AT_WARP;
	f.site = site;
	f.mask = mask;
	f.mine = mine;
	m.at_warp[m.running / WARP_LANES] |= 1u << emulator_lane();
	if (!(mask >> emulator_lane() & 1))
		emulator_fault("%s at %s:%d: lane %u is not in its mask %08x", site.what, site.file,
			       site.line, emulator_lane(), mask);
	if (!all_have_come())
		return leave(false);
	void *lane[WARP_LANES] = {};
	m.at_warp[m.running / WARP_LANES] &= ~mask;
	for (unsigned i = 0; i < WARP_LANES; i++) {
		if (mask >> i & 1) {
			lane[i] = m.fiber[first + i].mine;
			m.fiber[first + i].state = READY;
		}
	}
	if (work != nullptr)
		work(lane, mask);
}

/* Loading the same twice from the same place is taken for waiting for another value. */
uint32_t emulator_load_acquire(struct emulator_site site, const uint32_t *at)
{
	struct fiber &f = running();
	emulator_aligned(site, at, 4);
	if (f.watched != at || f.last != *at) {
		f.asked = 0;
	} else {
		f.state = AT_VALUE;
		f.site = site;
		m.at_value++;
		leave(false);
	}
	f.watched = at;
	f.last = *at;
	return f.last;
}

void emulator_launch_wait() { running().launch_waited = true; }

struct emulator_copies *emulator_begun() { return &running().copies; }

struct emulator_products *emulator_products_begun() { return &running().products; }

unsigned emulator_thread() { return m.running - here().first; }

void emulator_wait_phase(struct emulator_site site, struct emulator_phase *b, unsigned parity)
{
	struct fiber &f = running();
	f.site = site;
	f.phase = b;
	f.parity = parity;
	f.state = AT_PHASE;
	m.at_value++;
	leave(false);
}

void emulator_wait_late(struct emulator_site site)
{
	running().site = site;
	running().state = AT_LATE;
	leave(false);
}

char *emulator_arena() { return here().arena; }

struct emulator_async *emulator_async_here()
{
	struct block &b = here();
	if (b.async == nullptr) {
		b.async = new struct emulator_async();
		b.async->view.assign(ARENA_BYTES, 0xff);
	}
	return b.async;
}

void emulator_in_shared(struct emulator_site site, const void *at, unsigned bytes, unsigned aligned)
{
	const struct block &b = here();
	emulator_aligned(site, at, aligned != 0 ? aligned : bytes);
	for (unsigned i = 0; i < b.declarations; i++) {
		const char *start = b.arena + b.declaration[i].at, *end = start + b.declaration[i].bytes;
		if ((const char *)at >= start && (const char *)at + bytes <= end)
			return;
	}
	emulator_fault("%s at %s:%d: not within shared memory", site.what, site.file, site.line);
}

void emulator_shared_each(const std::function<void(const unsigned char *at, size_t bytes)> &see)
{
	const struct block &b = here();
	for (unsigned i = 0; i < b.declarations; i++)
		see((const unsigned char *)b.arena + b.declaration[i].at, b.declaration[i].bytes);
}

void *emulator_shared(const void *name, size_t bytes)
{
	struct block &b = here();
	size_t sum = bytes;
	for (unsigned i = 0; i < b.declarations; i++) {
		if (b.declaration[i].name == name)
			return b.arena + b.declaration[i].at;
		sum += b.declaration[i].bytes;
	}
	void *at = sum <= m.kernel->shared_most ? declare(b, name, bytes) : nullptr;
	if (at == nullptr)
		emulator_fault("shared memory of %zu bytes, where %zu are allowed", sum, m.kernel->shared_most);
	return at;
}

void *emulator_shared_dynamic() { return here().arena + here().declaration[0].at; }
