/* Private to serve/: ids of answers, and whose their receipts are. */
#ifndef SERVE_RECEIPT_H
#define SERVE_RECEIPT_H

#include "serve/service.h"

#define RECEIPT_TAIL_ROOM 33

/* What follows "WORKER-N" in an answer's id: 32 hex digits that nobody can find who has not been
 * told. The same whenever it is asked for. */
void serve_receipt_tail(const uint8_t key[16], const char *record, char out[RECEIPT_TAIL_ROOM]);
/* The key of the state folder. */
int serve_receipt_key(struct flow *f, uint8_t key[16], struct err *e) MUST_USE;

#endif
