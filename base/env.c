#include "base/env.h"
#include "base/check.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock_us(clockid_t id)
{
	struct timespec now;
	check(clock_gettime(id, &now) == 0);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_now_us(void *ctx)
{
	(void)ctx;
	return read_clock_us(CLOCK_REALTIME);
}

int64_t env_wait_us(void) { return read_clock_us(CLOCK_MONOTONIC); }

int64_t env_thread_us(void) { return read_clock_us(CLOCK_THREAD_CPUTIME_ID); }

static int64_t system_steady_us(void *ctx)
{
	(void)ctx;
	return read_clock_us(CLOCK_BOOTTIME); /* goes on while the machine sleeps */
}

/* Linux names each start of the machine. */
static const char *read_boot(void)
{
	static char boot[40];
	static atomic_int state; /* 0, 1 being read, 2 there */
	int unread = 0;
	if (atomic_compare_exchange_strong(&state, &unread, 1)) {
		int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, boot, sizeof boot - 1);
		boot[n < 36 ? 0 : 36] = 0;
		if (fd >= 0)
			close(fd);
		atomic_store(&state, 2);
	}
	return atomic_load(&state) == 2 && boot[0] ? boot : NULL;
}

static void system_fill(void *ctx, void *out, size_t len)
{
	(void)ctx;
	for (size_t done = 0; done < len;) {
		ssize_t n = getrandom((char *)out + done, len - done, 0);
		check(n >= 0 || errno == EINTR);
		done += n > 0 ? (size_t)n : 0;
	}
}

static void step_nothing(void *ctx, const char *step)
{
	(void)ctx;
	(void)step;
}

/* Arrivals at the step of HALLMARK_CRASH_AT, counted over the process: every env_system() shares
 * them. */
static atomic_ullong arrivals;

static void step_crash(void *ctx, const char *step)
{
	const char *at = ctx, *colon = strchr(at, ':');
	size_t name_len = colon ? (size_t)(colon - at) : strlen(at);
	if (strlen(step) != name_len || memcmp(step, at, name_len) != 0)
		return;
	uint64_t wanted = 1;
	if (colon && text_parse_u64(colon + 1, strlen(colon + 1), &wanted) < 0)
		return;
	if (atomic_fetch_add(&arrivals, 1) + 1 == wanted)
		kill(getpid(), SIGKILL);
}

static const char *system_variable(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

struct env env_system(void)
{
	char *crash_at = getenv("HALLMARK_CRASH_AT");
	return (struct env){
		.clock = { system_now_us, system_steady_us, NULL, read_boot() },
		.random = { system_fill, NULL },
		.steps = { crash_at && *crash_at ? step_crash : step_nothing, crash_at },
		.variables = { system_variable, NULL },
	};
}

/* A test may move it while other threads of what it tests look. */
static int64_t fixed_now_us(void *ctx) { return __atomic_load_n((int64_t *)ctx, __ATOMIC_RELAXED); }

struct clock clock_fixed(int64_t *time_us)
{
	return (struct clock){ fixed_now_us, fixed_now_us, time_us, NULL };
}

/* counter is the offset in the key stream in bytes, so that the sizes of calls do not change the
 * stream. */
static void seeded_fill(void *ctx, void *out, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	struct random_seeded *s = ctx;
	unsigned char *p = out;
	while (len > 0) {
		uint8_t block[64] = { 0 };
		size_t skip = s->counter % sizeof block, n = sizeof block - skip;
		n = n < len ? n : len;
		crypto_stream_chacha20_xor_ic(block, block, sizeof block, nonce,
					      s->counter / sizeof block, s->seed);
		memcpy(p, block + skip, n);
		p += n;
		len -= n;
		s->counter += n;
	}
}

struct random random_seeded(struct random_seeded *state)
{
	return (struct random){ seeded_fill, state };
}
