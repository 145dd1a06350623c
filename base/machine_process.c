/* A process as /proc/self/stat has it. Source: proc(5). */
#include "base/machine.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

uint64_t machine_disk(const char *path)
{
	struct statvfs fs;
	return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

static uint64_t count_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;
	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

/* When the process started, by the boot's clock and the wall's, read a moment apart. */
static double start_of(double ticks_after_boot)
{
	struct timespec boot, wall;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	double since = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
		       ticks_after_boot / (double)sysconf(_SC_CLK_TCK);
	return (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - since;
}

/* The command's name may hold anything: fields are counted after its last parenthesis. */
static void read_stat(struct machine_process *out)
{
	unsigned long long user, system, start, virtual;
	char text[1024];
	long resident;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	const char *at = strrchr(text, ')');
	if (!at || sscanf(at,
			  ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
			  "%*d %*d %*d %llu %llu %ld",
			  &user, &system, &start, &virtual, &resident) != 5)
		return;
	out->processor_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	out->start_s = start_of((double)start);
	out->virtual_bytes = virtual;
	out->resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void machine_process(struct machine_process *out)
{
	struct rlimit files;
	*out = (struct machine_process){ .files = count_files() };
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		out->files_max = files.rlim_cur;
	read_stat(out);
}
