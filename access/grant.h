/* Private: what a token is made with, as it is kept. */
#ifndef ACCESS_GRANT_H
#define ACCESS_GRANT_H

#include "access/access.h"

#define ACCESS_RATE_MAX 1000000000u /* a minute: what buckets count in 64 bits */

/* Back from access_grant_json. ERR_VERIFY or ERR_INPUT: it is none. */
int access_grant_read(const json_t *o, struct access_grant *g, struct err *e) MUST_USE;

/* In constant time. */
bool access_digest_same(const struct digest *a, const struct digest *b);

/* ---- table.c ---- */

struct access_row {
	struct access_grant grant;
	struct digest secret;
	int64_t changed;
	uint64_t spent, today; /* tokens of models: in all, and since `day` began */
};
/* Rows changed after *seen, which is moved on; take returns 0 to go on. day_hour: the first hour of
 * today, since 1970. */
int access_rows_changed(struct store *s, int64_t *seen, int64_t day_hour,
			int (*take)(void *ctx, const struct access_row *row, struct err *e),
			void *ctx, struct err *e) MUST_USE;

/* What was counted of a token, a model and an hour. */
struct access_cell {
	struct access_cell *next;
	int64_t hour; /* since 1970 */
	struct access_usage sum;
	char model[];
};
/* Add them to the table, in one transaction of the caller's. */
int access_cells_add(struct store_tx *tx, const char *token, const struct access_cell *cells,
		     struct err *e) MUST_USE;

#endif
