/* The right to write: HOME/log/lock, locked by the process that writes (flock), for as long as it
 * does. For those who wait, the file says who that is:
 *
 *   PID SP START SP COMMAND LF      START: field 22 of /proc/PID/stat, when the process began
 *
 * The lock alone decides. What the file says counts only while it is held and that very process
 * lives: what a crash left, or a process of another container, names nobody. */
#include "audit/claim.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NOBODY "another process"

/* ---- who holds it ---- */

/* 0: there is no such process, or no /proc. */
static unsigned long long process_start(long pid)
{
	char path[40], text[1024], *at;
	unsigned long long start = 0;

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	size_t len = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[len] = 0;
	at = strrchr(text, ')'); /* the name before it may hold anything */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		start = strtoull(at, NULL, 10);
	return start;
}

static void write_holder(int fd, const char *command)
{
	char text[AUDIT_WHO_ROOM];
	long pid = (long)getpid();
	int len = snprintf(text, sizeof text, "%ld %llu %.80s\n", pid, process_start(pid),
			   command ? command : "-");

	/* It is told to people alone: where it cannot be written they wait all the same. */
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
		(void)!ftruncate(fd, 0);
}

static void read_holder(const char *path, char who[AUDIT_WHO_ROOM])
{
	char text[AUDIT_WHO_ROOM] = "", command[81] = "";
	unsigned long long start = 0;
	long pid = 0;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = 0;
	snprintf(who, AUDIT_WHO_ROOM, NOBODY);
	if (sscanf(text, "%ld %llu %80[a-z0-9 -]", &pid, &start, command) != 3 || pid <= 0 ||
	    start == 0 || process_start(pid) != start)
		return;
	if (strcmp(command, "-") == 0)
		snprintf(who, AUDIT_WHO_ROOM, "process %ld", pid);
	else
		snprintf(who, AUDIT_WHO_ROOM, "`hallmark %s` (process %ld)", command, pid);
}

/* ---- taking it ---- */

static void pause_a_little(const struct env *env)
{
	uint8_t jitter;

	env_random(env, &jitter, sizeof jitter); /* many that wait do not come at the same time */
	nanosleep(&(struct timespec){ .tv_nsec = 10000000L + jitter * 100000L }, NULL);
}

/* Who looks whether the lock is held holds it for an instant, and says nothing: not to be told from
 * a writer but by trying again. */
#define TRIES 3

/* One attempt. ERR_CONFLICT: held, and no door is open. */
static int try_claim(const char *path, const struct audit_claiming *how, struct audit_claim *claim,
		     struct err *e)
{
	int rc = file_lock(path, &claim->lock_fd, e);

	if (rc != ERR_CONFLICT || how->alone)
		return rc;
	rc = audit_guest_enter(&claim->guest, how->home, how->command, e);
	return rc == ERR_NOTFOUND || rc == ERR_UNAVAILABLE ? ERR_CONFLICT : rc;
}

static int wait_for_claim(const char *path, const struct audit_claiming *how,
			  struct audit_claim *claim, struct err *e)
{
	int64_t begin = env_steady_us(how->env), end = begin + (int64_t)how->wait_ms * 1000;
	char who[AUDIT_WHO_ROOM] = "";
	bool told = false;

	for (int tried = 1;; tried++) {
		int rc = try_claim(path, how, claim, e);
		if (rc != ERR_CONFLICT)
			return rc;
		read_holder(path, who);
		bool more = env_steady_us(how->env) < end;
		if (!more && (tried >= TRIES || strcmp(who, NOBODY) != 0))
			break;
		if (more && !told && tried >= TRIES && how->waiting) {
			how->waiting(how->ctx, who);
			told = true;
		}
		pause_a_little(how->env);
	}
	if (how->wait_ms == 0)
		return err_set(e, ERR_CONFLICT, "%s writes to %.300s", who, how->home);
	return err_set(e, ERR_CONFLICT,
		       "%s writes to %.300s, and did so for the %u s that were waited", who,
		       how->home, how->wait_ms / 1000);
}

int audit_claim_take(struct audit_claim **out, const struct audit_claiming *how, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct audit_claim *claim = calloc(1, sizeof *claim);

	*out = NULL;
	if (!claim)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = file_join(path, how->home, "log/lock", e);
	if (rc == 0)
		rc = wait_for_claim(path, how, claim, e);
	if (rc < 0) {
		free(claim);
		return rc;
	}
	if (!claim->guest)
		write_holder(claim->lock_fd, how->command);
	*out = claim;
	return 0;
}

void audit_claim_drop(struct audit_claim *claim)
{
	if (!claim)
		return;
	if (claim->guest) {
		audit_guest_leave(claim->guest);
	} else {
		(void)!ftruncate(claim->lock_fd, 0);
		file_unlock(claim->lock_fd);
	}
	free(claim);
}

bool audit_claim_holder(const char *home, char who[AUDIT_WHO_ROOM])
{
	char path[LIMIT_PATH_BYTES];
	who[0] = 0;
	int fd = file_join(path, home, "log/lock", NULL) == 0
			 ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
			 : -1;
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (fd >= 0)
		close(fd);
	if (held)
		read_holder(path, who);
	return held;
}

bool audit_claim_is_guest(const struct audit_claim *claim) { return claim && claim->guest; }
