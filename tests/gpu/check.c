/* The operations of a device by themselves: a plain program, for a machine with little on it. One JSON
 * document a line on stdout; what a failed check found goes to stderr.
 *
 *   check facts        the device; copies within its memory (bytes read and written); cuBLAS, if
 *                      HALLMARK_CUBLAS names it
 *   check parity [NAME]
 *                      every operation against its truth (tests/gpu/parity.h), each in a process of its own,
 *                      so that one that fails, or takes the device down, never stops the rest
 *   check times COPY [CHOICE]
 *                      times of single operations, in all their forms, beside the rate of copies, in GB/s;
 *                      the best forms into the file CHOICE (kernels/choice.h)
 *
 * HALLMARK_GPU_SMALL=1: shapes for the emulator. Exit 1: no device, or a check that failed. */
#include "kernels/device.h"
#include "tests/gpu/parity.h"
#include "tests/gpu/times.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_EACH 120 /* then a child is ended */

static bool small;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int open_device(struct device **device, struct device_stream **stream)
{
	struct err e = { 0 };
	int rc = device_open(device, NULL, &e);
	if (rc == 0)
		rc = device_stream_open(*device, stream, &e);
	if (rc < 0)
		fprintf(stderr, "gpu-check: %s\n", e.text);
	return rc;
}

/* ---- children ---- */

static int facts(const void *with)
{
	struct times t = { .small = small };
	(void)with;
	if (open_device(&t.device, &t.stream) < 0)
		return 1;
	const struct device_facts *f = device_info(t.device);
	printf("{\"what\":\"device\",\"name\":\"%s\",\"capability\":%u,\"multiprocessors\":%u,"
	       "\"memory_bytes\":%llu,\"driver\":%u,\"runtime\":%u,\"choice\":\"%s\"}\n",
	       f->name, f->capability, f->multiprocessors, (unsigned long long)f->memory_bytes, f->driver,
	       f->runtime, strchr(device_choices(t.device)->said, '"') ? "a file that is refused"
								       : device_choices(t.device)->said);
	times_copy(&t);
	times_cublas(&t);
	return 0;
}

static void print(void *with, const char *line)
{
	(void)with;
	fprintf(stderr, "%s\n", line);
}

static int one_parity(const void *with)
{
	struct parity p = { .seed = 20, .large = !small, .say = print };
	const struct parity_function *f = with;
	double began = now();
	if (open_device(&p.device, &p.stream) < 0)
		return 1;
	uint32_t failures = parity_call(&p, f);
	printf("{\"what\":\"parity\",\"operation\":\"%s\",\"ok\":%s,\"checks\":%u,\"failed\":%u,"
	       "\"seconds\":%.2f}\n",
	       f->name, failures == 0 ? "true" : "false", p.checks, failures, now() - began);
	return failures != 0;
}

struct wanted {
	double ceiling;
	const char *choice; /* a file; NULL: none */
};

static int times(const void *with)
{
	const struct wanted *w = with;
	struct times t = { .small = small, .ceiling = w->ceiling };
	if (open_device(&t.device, &t.stream) < 0)
		return 1;
	if (w->choice != NULL && (t.choice = fopen(w->choice, "w")) == NULL) {
		fprintf(stderr, "gpu-check: cannot write %s\n", w->choice);
		return 1;
	}
	times_all(&t);
	return t.choice != NULL && fclose(t.choice) != 0;
}

/* Run work in a process of its own; what it says is on stdout. False if it failed or was ended. */
static bool apart(const char *name, int (*work)(const void *with), const void *with)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		alarm(SECONDS_EACH);
		int rc = work(with);
		fflush(stdout);
		_exit(rc);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (WIFSIGNALED(status))
		printf("{\"what\":\"%s\",\"ok\":false,\"error\":\"ended by signal %d%s\"}\n", name,
		       WTERMSIG(status), WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int parity(const char *only)
{
	int failed = 0;
	for (size_t i = 0; i < parity_count; i++)
		if (only == NULL || strcmp(only, parity_all[i].name) == 0)
			failed += !apart(parity_all[i].name, one_parity, &parity_all[i]);
	return failed != 0;
}

int main(int argc, char **argv)
{
	small = getenv("HALLMARK_GPU_SMALL") != NULL;
	struct wanted w = { argc > 2 ? strtod(argv[2], NULL) * 1e9 : 0, argc > 3 ? argv[3] : NULL };
	if (argc == 2 && strcmp(argv[1], "facts") == 0)
		return !apart("facts", facts, NULL);
	if ((argc == 2 || argc == 3) && strcmp(argv[1], "parity") == 0)
		return parity(argv[2]);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "times") == 0)
		return !apart("times", times, &w);
	fprintf(stderr, "usage: check facts | parity [NAME] | times COPY [CHOICE]\n");
	return 1;
}
