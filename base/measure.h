/* Measures: counters, gauges and histograms that any number of threads add to without a lock and
 * without memory, and their text for a scraper: Prometheus text exposition 0.0.4, or OpenMetrics
 * 1.0 where that is asked for. Sources: prometheus.io/docs/instrumenting/exposition_formats,
 * OpenMetrics 1.0.0. */
#ifndef BASE_MEASURE_H
#define BASE_MEASURE_H

#include "base/buf.h"

#include <stdatomic.h>
#include <stdint.h>

/* All three are zero-initialised, or cleared with the struct that holds them. Adding is one atomic
 * operation (a histogram: two), ordered with nothing: a reader sees each number grow, and two of
 * them a moment apart. */
struct measure_counter {
	_Atomic uint64_t n;
};
struct measure_gauge {
	_Atomic int64_t n;
};

#define MEASURE_BOUNDS_MAX 24

/* What a histogram's numbers are: whole units, of which `per` make one of what is shown:
 * microseconds that are shown as seconds have 1,000,000. */
struct measure_scale {
	double per;
	unsigned bounds;
	uint64_t bound[MEASURE_BOUNDS_MAX]; /* rising; a bucket holds what is at most its bound */
};
extern const struct measure_scale measure_moments; /* 100 us to 10 s: one step of something */
extern const struct measure_scale measure_waits;   /* 1 ms to 20 min: a request, and its parts */
extern const struct measure_scale measure_tokens;  /* 1 to 1,000,000 */
extern const struct measure_scale measure_batches; /* 1 to 1,024: things done together */

struct measure_histogram {
	_Atomic uint64_t bucket[MEASURE_BOUNDS_MAX + 1]; /* the last: beyond every bound */
	_Atomic uint64_t sum;                            /* of the units */
};

static inline void measure_add(struct measure_counter *c, uint64_t n)
{
	atomic_fetch_add_explicit(&c->n, n, memory_order_relaxed);
}

static inline void measure_gauge_add(struct measure_gauge *g, int64_t n)
{
	atomic_fetch_add_explicit(&g->n, n, memory_order_relaxed);
}

static inline void measure_gauge_set(struct measure_gauge *g, int64_t n)
{
	atomic_store_explicit(&g->n, n, memory_order_relaxed);
}

static inline uint64_t measure_count(const struct measure_counter *c)
{
	return atomic_load_explicit(&c->n, memory_order_relaxed);
}

static inline int64_t measure_level(const struct measure_gauge *g)
{
	return atomic_load_explicit(&g->n, memory_order_relaxed);
}

/* One value, in whole units of the scale; the same scale for all of a histogram's life. A clock
 * that went back gives a negative one: it counts as 0. */
void measure_note(struct measure_histogram *h, const struct measure_scale *scale, int64_t value);

/* ---- the text ---- */

enum measure_kind { MEASURE_COUNTER, MEASURE_GAUGE, MEASURE_HISTOGRAM };

struct measure_writer {
	struct buf *out;
	bool open_metrics;
	enum measure_kind kind; /* of the open family */
	const char *name;       /* of it; borrowed */
};

/* Content-Type of what a writer writes. Static. */
const char *measure_content_type(bool open_metrics);

/* Whether an Accept value (NULL: none was sent) asks for OpenMetrics. */
bool measure_asks_open(const char *accept, size_t len);

/* Begin a family: HELP and TYPE. name: [a-zA-Z_:][a-zA-Z0-9_:]*, of a counter without "_total",
 * which is added. All samples of a family are written before the next begins, and no family twice
 * in one text. */
void measure_write_family(struct measure_writer *w, enum measure_kind kind, const char *name,
			  const char *help);

/* One sample of the open family. label: name, value, ..., NULL; or NULL: none. Values may hold any
 * bytes: what is no UTF-8 becomes U+FFFD. */
void measure_write_count(struct measure_writer *w, const char *const *label, uint64_t n);
void measure_write_number(struct measure_writer *w, const char *const *label, double n);

/* Cumulative buckets, _sum and _count, of which the last bucket and _count are the same number. */
void measure_write_histogram(struct measure_writer *w, const char *const *label,
			     const struct measure_histogram *h, const struct measure_scale *scale);

/* A family of one sample without labels. */
void measure_write_counter(struct measure_writer *w, const char *name, const char *help,
			   uint64_t n);
void measure_write_gauge(struct measure_writer *w, const char *name, const char *help, double n);

/* The end of the text: OpenMetrics wants it said. */
void measure_write_end(struct measure_writer *w);

#endif
