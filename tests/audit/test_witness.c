/* Writes a log for the Go witness (case_go_sumdb.sh); without WITNESS_DIR it only checks it itself. */
#include "support.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(audit_witness, log_with_full_and_partial_tiles_and_a_receipt, .timeout = 120)
{
	const char *dir = getenv("WITNESS_DIR");
	struct place at;
	struct buf proof = { 0 };
	struct err e = { 0 };
	char command[512];

	place_make(&at);
	place_open(&at);
	for (int i = 0; i < 530; i++)
		i % 10 ? place_note(&at, "witness") : place_decision(&at, NULL, "w");
	cr_assert_eq(audit_log_proof(at.log_open, 300, NULL, 0, &proof, &e), 0, "%s", e.text);
	place_expect_clean(&at);
	place_close(&at);
	place_write(&at, "vkey", at.vkey.bytes, at.vkey.len);
	place_write(&at, "300.tlog-proof", proof.bytes, proof.len);
	if (dir) {
		snprintf(command, sizeof(command),
			 "cp -r '%s/log' '%s/vkey' '%s/300.tlog-proof' '%s/'", at.home, at.home,
			 at.home, dir);
		cr_assert_eq(system(command), 0);
	}
	buf_free(&proof);
	place_remove(&at);
}
