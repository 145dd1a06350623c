/* A temporary folder with a model, an identity, and a clock and randomness that repeat. */
#ifndef TESTS_SIGNING_SUPPORT_H
#define TESTS_SIGNING_SUPPORT_H

#include "signing/release.h"

#include <criterion/criterion.h>

#define CHUNK SIGNING_CHUNK_BYTES
#define BIG_BYTES (2 * CHUNK + 1234) /* size of the model's big.bin: three chunks */

struct world {
	char dir[64];   /* the temporary folder */
	char model[80]; /* dir/model, once world_model made it */
	char path[4200];
	struct env env;
	struct random_seeded seed;
	int64_t time_us;
	struct signing_identity *id; /* named "k", its files in dir/keys */
};

void world_open(struct world *w);
void world_close(struct world *w);

/* dir/name, until the next call. */
const char *world_path(struct world *w, const char *name);

/* Write dir/name, making its folders. */
void world_write(struct world *w, const char *name, const void *bytes, size_t len);
void world_text(struct world *w, const char *name, const char *text);
void world_flip(struct world *w, const char *name, uint64_t offset);

/* dir/model: big.bin (three chunks, two tensors and a gap between them), small.bin (one tensor), an empty
 * file, text, a folder, names that sort apart by component and by code point. Not signed yet. */
void world_model(struct world *w);
extern const struct signing_range world_ranges[];
extern const size_t world_range_count;

/* Make the manifest of dir/model in place and write its model.sig; m is to be freed. */
void world_sign(struct world *w, struct signing_manifest *m);

/* What signing does over a source, done to a folder as it stands. */
int make_folder(struct signing_manifest *m, const char *dir, const struct signing_range *range, size_t ranges,
		struct err *e) MUST_USE;
int check_folder(struct signing_report *r, const struct signing_manifest *m, const char *dir, unsigned flags,
		 struct err *e) MUST_USE;

/* Byte i of the deterministic contents of big.bin. */
uint8_t world_byte(uint64_t i);

/* A whole file; b is to be freed. */
void read_whole(const char *path, struct buf *b);
/* A JSON document, compressed with xz. */
json_t *read_json_xz(const char *path);
/* Hex of a JSON string into out; its bytes. */
size_t unhex(const char *hex, uint8_t *out, size_t room);

/* Expect a result; the sentence is printed if it differs. */
#define expect(wanted, call)                                                          \
	do {                                                                          \
		int expect_ = (call);                                                 \
		cr_assert_eq(expect_, wanted, "%s: %d (%s)", #call, expect_, e.text); \
	} while (0)

#endif
