#include "base/progress.h"
#include "base/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_US 100000

static bool wanted(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(STDERR_FILENO) && !(no_color && *no_color) &&
	       !(term && strcmp(term, "dumb") == 0);
}

/* How long it will go on at the rate so far; "" before that can be said. */
static const char *remaining(const struct progress *p, double seconds, char out[32])
{
	out[0] = 0;
	if (seconds < 2 || p->done == 0 || p->done >= p->total)
		return out;
	double left = seconds * (double)(p->total - p->done) / (double)p->done;
	unsigned s = left < 1e6 ? (unsigned)(left + 0.5) : 1000000;
	snprintf(out, 32, ", %u:%02u:%02u left", s / 3600, s / 60 % 60, s % 60);
	return out;
}

static void draw(struct progress *p, int64_t at_us)
{
	enum { CELLS = 24 };
	static const char full[] = "########################", none[] = "........................";
	char left[32];
	double part = p->total ? (double)p->done / (double)p->total : 1;
	int cells = part >= 1 ? CELLS : (int)(part * CELLS);
	double seconds = (double)(at_us - p->started_us) / 1e6;
	double rate = seconds > 0 ? (double)p->done / 1e9 / seconds : 0;
	fprintf(stderr, "\r%s [%.*s%.*s] %3d%%  %.2f of %.2f GB, %.2f GB/s%s\033[K", p->label,
		cells, full, CELLS - cells, none, part >= 1 ? 100 : (int)(part * 100),
		(double)p->done / 1e9, (double)p->total / 1e9, rate, remaining(p, seconds, left));
	fflush(stderr);
	p->shown_us = at_us;
}

void progress_start(struct progress *p, const char *label, uint64_t total, bool quiet)
{
	*p = (struct progress){ .label = label, .total = total, .on = !quiet && wanted() };
	if (!p->on)
		return;
	p->started_us = env_wait_us();
	draw(p, p->started_us);
}

void progress_add(struct progress *p, uint64_t bytes)
{
	p->done += bytes;
	if (!p->on)
		return;
	int64_t at_us = env_wait_us();
	if (at_us - p->shown_us >= REDRAW_US)
		draw(p, at_us);
}

void progress_end(struct progress *p)
{
	if (!p->on)
		return;
	draw(p, env_wait_us());
	fputc('\n', stderr);
	p->on = false;
}
