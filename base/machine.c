/* Memory: MemAvailable of /proc/meminfo, and for each control group above this process its limit
 * less what it uses beyond files that can be dropped. Unreadable figures do not count. */
#include "base/machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number after a key that begins a line; false: there is no such line. */
static bool line_number(const char *path, const char *key, uint64_t *out)
{
	char line[256];
	bool found = false;
	FILE *f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		char *at = line + strlen(key), *end;
		*out = strtoull(at, &end, 10);
		found = end != at; /* "max" is no number */
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t group_left(const char *dir, const char *limit_file, const char *used_file)
{
	char path[700];
	uint64_t limit, used, dropped = 0;
	snprintf(path, sizeof path, "%s/%s", dir, limit_file);
	if (!line_number(path, "", &limit))
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/%s", dir, used_file);
	if (!line_number(path, "", &used))
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/memory.stat", dir);
	(void)line_number(path, "inactive_file ", &dropped);
	used = used > dropped ? used - dropped : 0;
	return limit > used ? limit - used : 0;
}

/* dir and all above it, up to the mount of the hierarchy. */
static uint64_t groups_left(char *dir, size_t root, const char *limit, const char *used)
{
	uint64_t left = UINT64_MAX;
	for (;;) {
		left = lesser(left, group_left(dir, limit, used));
		char *slash = strrchr(dir, '/');
		if (strlen(dir) <= root || slash == NULL)
			return left;
		*slash = '\0';
	}
}

static uint64_t cgroup_left(void)
{
	static const char two[] = "/sys/fs/cgroup", one[] = "/sys/fs/cgroup/memory";
	char line[400], dir[600];
	uint64_t left = UINT64_MAX;
	FILE *f = fopen("/proc/self/cgroup", "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *own = strstr(line, ":memory:");
		if (strncmp(line, "0::/", 4) == 0) {
			snprintf(dir, sizeof dir, "%s%s", two, line + 3);
			left = lesser(left, groups_left(dir, strlen(two), "memory.max",
							"memory.current"));
		} else if (own != NULL) {
			snprintf(dir, sizeof dir, "%s%s", one, own + strlen(":memory:"));
			left = lesser(left, groups_left(dir, strlen(one), "memory.limit_in_bytes",
							"memory.usage_in_bytes"));
		}
	}
	if (f != NULL)
		fclose(f);
	return left;
}

uint64_t machine_memory(void)
{
	uint64_t kib, left = UINT64_MAX;
	if (line_number("/proc/meminfo", "MemAvailable:", &kib))
		left = kib * 1024;
	return lesser(left, cgroup_left());
}

unsigned machine_cores(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

void machine_processor(char *out, size_t room)
{
	static const char key[] = "model name";
	char line[256];
	const char *value = NULL;
	FILE *f = fopen("/proc/cpuinfo", "re");
	while (f != NULL && value == NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, key, sizeof key - 1) == 0)
			value = strchr(line, ':');
	if (f != NULL)
		fclose(f);
	size_t n = 0;
	for (value = value ? value + 1 : ""; *value && n + 1 < room; value++)
		if (*value >= ' ' && *value <= '~' && (n > 0 || *value != ' '))
			out[n++] = *value;
	out[n] = '\0';
}
