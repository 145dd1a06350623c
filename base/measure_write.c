/* The text of a family, in both forms:
 *
 *   # HELP name what it is            a counter's name has _total here, and not in OpenMetrics
 *   # TYPE name counter
 *   name_total{label="value"} 12      '\', '"' and newline are escaped in values
 *   name_bucket{le="0.005"} 3         how many were at most so much, up to le="+Inf" */
#include "base/measure.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROOM 40 /* for any number */

const char *measure_content_type(bool open_metrics)
{
	return open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			    : "text/plain; version=0.0.4; charset=utf-8";
}

/* A scraper that takes OpenMetrics names it first; one that refuses it by "q=0" is not known. */
bool measure_asks_open(const char *accept, size_t len)
{
	static const char wanted[] = "application/openmetrics-text";
	return accept && memmem(accept, len, wanted, sizeof wanted - 1) != NULL;
}

/* ---- numbers ---- */

/* The shortest decimal that is this number again. */
static const char *number_text(double n, char out[ROOM])
{
	if (isnan(n))
		return "NaN";
	if (isinf(n))
		return n > 0 ? "+Inf" : "-Inf";
	for (int digits = 6; digits <= 17; digits++) {
		double again;
		snprintf(out, ROOM, "%.*g", digits, n);
		if (text_parse_double(out, &again) == 0 && again == n)
			break;
	}
	return out;
}

/* A bound as `le` has it: in OpenMetrics always with a point or an exponent. */
static const char *bound_text(const struct measure_writer *w, double n, char out[ROOM])
{
	const char *text = number_text(n, out);
	if (w->open_metrics && text == out && !strpbrk(out, ".e"))
		strcat(out, ".0");
	return text;
}

/* ---- lines ---- */

/* quoted: '"' too. */
static void add_escaped(struct buf *out, const char *text, bool quoted)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		int n = text_utf8_decode(text + i, len - i, &cp);
		if (n <= 0) {
			buf_add_text(out, "\xef\xbf\xbd");
			i = n ? i + (size_t)-n : len;
			continue;
		}
		if (cp == '\\' || (quoted && cp == '"'))
			buf_add_byte(out, '\\');
		if (cp == '\n')
			buf_add_text(out, "\\n");
		else
			buf_add(out, text + i, (size_t)n);
		i += (size_t)n;
	}
}

static void add_label(struct buf *out, const char *name, const char *value, bool first)
{
	buf_add_byte(out, first ? '{' : ',');
	buf_add_text(out, name);
	buf_add_text(out, "=\"");
	add_escaped(out, value, true);
	buf_add_byte(out, '"');
}

/* Name and labels of a sample; le: of a bucket, or NULL. */
static void add_name(struct measure_writer *w, const char *suffix, const char *const *label,
		     const char *le)
{
	bool first = true;
	buf_add_text(w->out, w->name);
	buf_add_text(w->out, suffix);
	for (; label && label[0]; label += 2, first = false)
		add_label(w->out, label[0], label[1], first);
	if (le)
		add_label(w->out, "le", le, first);
	buf_add_text(w->out, first && !le ? " " : "} ");
}

static const char *suffix_of(const struct measure_writer *w)
{
	return w->kind == MEASURE_COUNTER ? "_total" : "";
}

void measure_write_family(struct measure_writer *w, enum measure_kind kind, const char *name,
			  const char *help)
{
	static const char *const kinds[] = { "counter", "gauge", "histogram" };
	w->kind = kind;
	w->name = name;
	const char *suffix = w->open_metrics ? "" : suffix_of(w);
	buf_printf(w->out, "# HELP %s%s ", name, suffix);
	add_escaped(w->out, help, w->open_metrics);
	buf_printf(w->out, "\n# TYPE %s%s %s\n", name, suffix, kinds[kind]);
}

void measure_write_count(struct measure_writer *w, const char *const *label, uint64_t n)
{
	add_name(w, suffix_of(w), label, NULL);
	buf_printf(w->out, "%llu\n", (unsigned long long)n);
}

void measure_write_number(struct measure_writer *w, const char *const *label, double n)
{
	char text[ROOM];
	add_name(w, suffix_of(w), label, NULL);
	buf_printf(w->out, "%s\n", number_text(n, text));
}

void measure_write_histogram(struct measure_writer *w, const char *const *label,
			     const struct measure_histogram *h, const struct measure_scale *scale)
{
	char text[ROOM];
	uint64_t seen = 0;
	for (unsigned i = 0; i <= scale->bounds; i++) {
		double bound = i < scale->bounds ? (double)scale->bound[i] / scale->per : INFINITY;
		seen += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		add_name(w, "_bucket", label, bound_text(w, bound, text));
		buf_printf(w->out, "%llu\n", (unsigned long long)seen);
	}
	double sum = (double)atomic_load_explicit(&h->sum, memory_order_relaxed) / scale->per;
	add_name(w, "_sum", label, NULL);
	buf_printf(w->out, "%s\n", number_text(sum, text));
	add_name(w, "_count", label, NULL);
	buf_printf(w->out, "%llu\n", (unsigned long long)seen);
}

void measure_write_counter(struct measure_writer *w, const char *name, const char *help, uint64_t n)
{
	measure_write_family(w, MEASURE_COUNTER, name, help);
	measure_write_count(w, NULL, n);
}

void measure_write_gauge(struct measure_writer *w, const char *name, const char *help, double n)
{
	measure_write_family(w, MEASURE_GAUGE, name, help);
	measure_write_number(w, NULL, n);
}

void measure_write_end(struct measure_writer *w)
{
	if (w->open_metrics)
		buf_add_text(w->out, "# EOF\n");
}
