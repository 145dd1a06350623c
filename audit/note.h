/* Private to audit/: verifier keys and checkpoint bodies. */
#ifndef AUDIT_NOTE_H
#define AUDIT_NOTE_H

#include "base/buf.h"
#include "base/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define NOTE_NAME_ROOM 256

struct note_key {
	char name[NOTE_NAME_ROOM];
	uint8_t id[4], public_key[32];
};

/* "name+hex8+base64(alg || key)"; alg 01 only, others ERR_UNSUPPORTED. A final newline is taken. */
int audit_note_key_parse(const char *vkey, struct note_key *out, struct err *e) MUST_USE;

/* Appends the verifier key, without newline. */
void audit_note_key_text(const char *name, const uint8_t public_key[32], struct buf *out);

/* Not empty, UTF-8, no Unicode space, no control, no '+', fits NOTE_NAME_ROOM. */
bool audit_note_name_valid(const char *name, size_t len);

struct checkpoint {
	char origin[NOTE_NAME_ROOM];
	uint64_t size;
	struct digest root;
};

/* "origin\nsize\nbase64 root\n", then extension lines, which are passed over. */
int audit_checkpoint_parse(const char *text, size_t len, struct checkpoint *out,
			   struct err *e) MUST_USE;
void audit_checkpoint_text(const char *origin, uint64_t size, const struct digest *root,
			   struct buf *out);

/* A signed checkpoint under this key, whose name must be its origin. */
int audit_checkpoint_open(const void *note, size_t len, const char *vkey, struct checkpoint *out,
			  struct err *e) MUST_USE;

#endif
