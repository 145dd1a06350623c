/* All that a device can tell about itself in one go: a plain program, for a machine with little on it.
 *
 *   check [small]      small: shapes for the emulator
 *
 * First parity: every operation against its truth (tests/gpu/parity.h), each in a process of its own, so that
 * one that fails, or takes the device down, never stops the rest. Then times, one line for each shape; the
 * ceiling is the rate of a large copy within the device's memory, bytes read and written. Exit 1: no device,
 * or a check that failed. */
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
	struct device *device;
	struct device_stream *stream;
	(void)with;
	if (open_device(&device, &stream) < 0)
		return 1;
	const struct device_facts *f = device_info(device);
	printf("device: %s, %u multiprocessors, %.1f GiB, CUDA driver %u.%u, library %u.%u\n", f->name,
	       f->multiprocessors, (double)f->memory_bytes / (double)(1u << 30), f->driver / 1000,
	       f->driver % 1000 / 10, f->runtime / 1000, f->runtime % 1000 / 10);
	return 0;
}

static void print(void *with, const char *line)
{
	(void)with;
	printf("%s\n", line);
}

static int one_parity(const void *with)
{
	struct parity p = { .seed = 20, .large = !small, .say = print };
	const struct parity_function *f = with;
	double began = now();
	if (open_device(&p.device, &p.stream) < 0)
		return 1;
	uint32_t failures = parity_call(&p, f);
	printf("parity %-14s %5u checks, %u failed, %.1f s\n", f->name, p.checks, failures, now() - began);
	return failures != 0;
}

static int times(const void *with)
{
	struct times t = { .small = small };
	(void)with;
	if (open_device(&t.device, &t.stream) < 0)
		return 1;
	times_all(&t);
	return 0;
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
		printf("gpu-check: %s: ended by signal %d%s\n", name, WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	int failed = 0;
	small = argc > 1 && strcmp(argv[1], "small") == 0;
	if (!apart("device", facts, NULL))
		return 1;
	for (size_t i = 0; i < parity_count; i++)
		failed += !apart(parity_all[i].name, one_parity, &parity_all[i]);
	if (failed != 0)
		printf("gpu-check: %d of %zu operations differ from the truth\n", failed, parity_count);
	else
		printf("gpu-check: all %zu operations agree with the truth\n", parity_count);
	failed += !apart("times", times, NULL);
	return failed != 0;
}
