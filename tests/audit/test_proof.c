#include "support.h"

#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

static void read_vector(const char *name, struct buf *out)
{
	char path[128];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "tests/vectors/tlog/%s", name);
	cr_assert_eq(file_read(path, MIB(1), out, &e), 0, "missing vector: %s", e.text);
}

/* Flips every bit of bytes[0..len), except in [skip, skip + skip_len): each must fail. */
static void every_bit_matters(struct buf *flipped, size_t skip, size_t skip_len,
			      const struct buf *proof, const struct buf *entry, const char *vkey)
{
	for (size_t i = 0; i < flipped->len * 8; i++) {
		if (i / 8 >= skip && i / 8 < skip + skip_len)
			continue;
		flipped->bytes[i / 8] = (char)(flipped->bytes[i / 8] ^ 1 << i % 8);
		cr_expect_lt(audit_proof_check(proof->bytes, proof->len, entry->bytes, entry->len,
					       vkey, NULL, NULL),
			     0, "bit %zu", i);
		flipped->bytes[i / 8] = (char)(flipped->bytes[i / 8] ^ 1 << i % 8);
	}
}

Test(audit_proof, golden_receipt_checks_offline_and_no_bit_can_change)
{
	struct buf proof = { 0 }, entry = { 0 }, vkey = { 0 };
	uint64_t index;
	struct err e = { 0 };

	read_vector("log5.3.tlog-proof", &proof);
	read_vector("log5.3.entry", &entry);
	read_vector("log5.vkey", &vkey);
	cr_assert_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len, vkey.bytes,
				       &index, &e),
		     0, "%s", e.text);
	cr_expect_eq(index, 3);
	cr_expect_eq(audit_proof_extra(proof.bytes, proof.len, &entry, &e), ERR_NOTFOUND);
	every_bit_matters(&proof, 0, 0, &proof, &entry, vkey.bytes);
	every_bit_matters(&entry, 0, 0, &proof, &entry, vkey.bytes);
	buf_free(&proof);
	buf_free(&entry);
	buf_free(&vkey);
}

Test(audit_proof, own_receipt_carries_extra_that_is_not_authenticated)
{
	struct place at;
	struct buf proof = { 0 }, entry = { 0 }, extra = { 0 };
	uint64_t index;

	place_make(&at);
	place_open(&at);
	for (int i = 0; i < 6; i++)
		place_decision(&at, NULL, "x");
	cr_assert_eq(audit_log_proof(at.log_open, 4, "disclosed", 9, &proof, NULL), 0);
	cr_assert_eq(audit_log_entry(at.log_open, 4, &entry, NULL), 0);
	place_close(&at); /* offline from here */
	cr_assert_eq(audit_proof_check(proof.bytes, proof.len, entry.bytes, entry.len,
				       at.vkey.bytes, &index, NULL),
		     0);
	cr_expect_eq(index, 4);
	cr_assert_eq(audit_proof_extra(proof.bytes, proof.len, &extra, NULL), 0);
	cr_expect(extra.len == 9 && memcmp(extra.bytes, "disclosed", 9) == 0);
	/* "c2sp.org/tlog-proof@v1\nextra " is 29 bytes; 12 of base64 follow. */
	every_bit_matters(&proof, 29, 12, &proof, &entry, at.vkey.bytes);
	buf_free(&proof);
	buf_free(&entry);
	buf_free(&extra);
	place_remove(&at);
}

Test(audit_proof, malformed_receipts_are_refused)
{
#define MAGIC "c2sp.org/tlog-proof@v1\n"
#define HASH "z0Byxnhwyz7kpBUP0J5NB4BHOSq3I6HtvEOhOSsvqFo=\n"
	static const char *const rows[] = {
		"",
		MAGIC,
		"c2sp.org/tlog-proof@v2\nindex 1\n\n",
		MAGIC "index 01\n\n",
		MAGIC "index 1\n",
		MAGIC "index -1\n\n",
		MAGIC "index 1\nAAAA\n\n",
		MAGIC "index 1\n" HASH,
		MAGIC "extra ?\nindex 1\n\n",
		MAGIC "index 1\nextra AAAA\n\n",
		MAGIC "extra AAAA\nextra AAAA\nindex 1\n\n",
		MAGIC "index 1\n\n",
	};
	struct buf vkey = { 0 }, many = { 0 };

	read_vector("log5.vkey", &vkey);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(audit_proof_check(rows[i], strlen(rows[i]), "e", 1, vkey.bytes, NULL,
					       NULL),
			     ERR_INPUT, "row %zu", i);
	buf_add_text(&many, MAGIC "index 1\n");
	for (int i = 0; i < 65; i++)
		buf_add_text(&many, HASH);
	buf_add_byte(&many, '\n');
	struct err e = { 0 };
	cr_expect_eq(audit_proof_check(many.bytes, many.len, "e", 1, vkey.bytes, NULL, &e),
		     ERR_INPUT);
	cr_expect(strstr(e.text, "64"), "%s", e.text);
	buf_free(&vkey);
	buf_free(&many);
}
