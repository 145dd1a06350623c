/* A random pass for parity functions, on both sides. */
#include "tests/gpu/parity.h"
#include "base/check.h"

#include <string.h>

#define SPARE_PAGES 3

/* Host arrays of a batch, before they are shared. */
struct draft {
	uint32_t *token, *position, *sequence, *page, *first_page, *first_row, *want;
	uint8_t *far;
};

static void make_rows(struct parity *p, const struct parity_shape *s, struct draft *d, struct device_batch *b)
{
	size_t most = (size_t)s->sequences * s->rows_most;
	d->token = parity_host(p, most * 4);
	d->position = parity_host(p, most * 4);
	d->sequence = parity_host(p, most * 4);
	d->first_row = parity_host(p, (s->sequences + 1) * sizeof(uint32_t));
	b->sequences = s->sequences;
	for (uint32_t i = 0; i < s->sequences; i++) {
		uint32_t rows = parity_size(p, s->rows_most, s->rows_most);
		uint32_t past = parity_below(p, s->past_most + 1);
		d->first_row[i] = b->rows;
		for (uint32_t r = 0; r < rows; r++, b->rows++) {
			d->token[b->rows] = parity_below(p, s->vocab ? s->vocab : 1000);
			d->position[b->rows] = past + r;
			d->sequence[b->rows] = i;
		}
	}
	d->first_row[s->sequences] = b->rows;
}

static void make_want(struct parity *p, const struct parity_shape *s, struct draft *d, struct device_batch *b)
{
	uint32_t most = s->wanted < b->rows ? s->wanted : b->rows;
	d->want = parity_host(p, (size_t)b->rows * 4);
	for (uint32_t r = 0; r < b->rows; r++) {
		uint32_t left = b->rows - r, missing = most - b->wanted;
		if (parity_below(p, left) < missing) /* every subset alike */
			d->want[b->wanted++] = r;
	}
}

/* Every sequence has its pages, some one more, whose number is of a page that nobody uses. */
static uint32_t make_pages(struct parity *p, struct draft *d, const struct device_batch *b)
{
	uint32_t total = 0, next = 0;
	uint32_t *last = parity_host(p, (size_t)b->sequences * 4);
	for (uint32_t i = 0; i < b->sequences; i++) {
		last[i] = d->position[d->first_row[i + 1] - 1] / KERNEL_PAGE;
		total += last[i] + 1;
	}
	d->page = parity_host(p, ((size_t)total + b->sequences) * 4);
	d->first_page = parity_host(p, ((size_t)b->sequences + 1) * 4);
	uint32_t pages = total + SPARE_PAGES;
	uint32_t *order = parity_host(p, (size_t)pages * 4);
	for (uint32_t i = 0; i < pages; i++) {
		uint32_t j = parity_below(p, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	uint32_t at = 0;
	for (uint32_t i = 0; i < b->sequences; i++) {
		d->first_page[i] = at;
		for (uint32_t k = 0; k <= last[i]; k++)
			d->page[at++] = order[next++];
		if (parity_below(p, 2))
			d->page[at++] = order[total];
	}
	d->first_page[b->sequences] = at;
	return pages;
}

static const void *share(struct parity *p, const char *what, const void *host, size_t bytes)
{
	return host == NULL ? NULL : parity_input(p, what, host, bytes).at;
}

static unsigned char *const *page_table(struct parity *p, unsigned char *pages, size_t page_bytes,
					uint32_t count)
{
	unsigned char **at = parity_host(p, count * sizeof *at);
	for (uint32_t i = 0; i < count; i++)
		at[i] = pages + i * page_bytes;
	return at;
}

void parity_batch(struct parity *p, const struct parity_shape *s, struct parity_batch *out)
{
	struct draft d = { 0 };
	check(s->sequences > 0 && s->rows_most > 0);
	*out = (struct parity_batch){ 0 };
	struct device_batch *b = &out->host, there;
	make_rows(p, s, &d, b);
	make_want(p, s, &d, b);
	out->page_count = make_pages(p, &d, b);
	if (s->far) {
		d.far = parity_host(p, s->sequences);
		for (uint32_t i = 0; i < s->sequences; i++)
			d.far[i] = (uint8_t)parity_below(p, 2);
	}
	b->token = d.token, b->position = d.position, b->sequence = d.sequence, b->page = d.page;
	b->first_page = d.first_page, b->first_row = d.first_row, b->want = d.want, b->far = d.far;
	there = *b;
	there.token = share(p, "tokens", d.token, (size_t)b->rows * 4);
	there.position = share(p, "positions", d.position, (size_t)b->rows * 4);
	there.sequence = share(p, "sequences", d.sequence, (size_t)b->rows * 4);
	there.page = share(p, "pages' numbers", d.page, (size_t)d.first_page[b->sequences] * 4);
	there.first_page = share(p, "first pages", d.first_page, ((size_t)b->sequences + 1) * 4);
	there.first_row = share(p, "first rows", d.first_row, ((size_t)b->sequences + 1) * 4);
	there.want = share(p, "wanted rows", d.want, (size_t)b->wanted * 4);
	there.far = share(p, "far", d.far, b->sequences);
	if (s->page_bytes > 0) {
		size_t table = out->page_count * sizeof(unsigned char *);
		out->pages = parity_output(p, "pages", out->page_count * s->page_bytes);
		b->page_at = page_table(p, out->pages.host, s->page_bytes, out->page_count);
		there.page_at = share(p, "addresses of pages",
				      page_table(p, out->pages.at, s->page_bytes, out->page_count), table);
	}
	out->there = there;
	out->at = share(p, "batch", &there, sizeof there);
}

const struct device_batch *parity_part(struct parity *p, const struct parity_batch *b, uint32_t row,
				       uint32_t rows)
{
	uint32_t i = b->host.sequence[row], first = b->host.first_page[i];
	uint32_t pages[2] = { 0, b->host.first_page[i + 1] - first }, ends[2] = { 0, rows };
	struct device_batch part = b->there;
	check(row + rows <= b->host.first_row[i + 1]);
	part.rows = rows, part.sequences = 1, part.wanted = 0;
	part.token += row, part.position += row, part.page += first;
	part.far = part.far == NULL ? NULL : part.far + i;
	part.sequence = share(p, "a part's sequences", parity_host(p, rows * sizeof(uint32_t)),
			      rows * sizeof(uint32_t));
	part.first_page = share(p, "a part's first pages", pages, sizeof pages);
	part.first_row = share(p, "a part's first rows", ends, sizeof ends);
	return share(p, "a part", &part, sizeof part);
}

unsigned char *parity_page(const struct parity_batch *b, uint32_t sequence, uint32_t t)
{
	return b->host.page_at[b->host.page[b->host.first_page[sequence] + t / KERNEL_PAGE]];
}
