/* Signature checks against published vectors. */
#include "support.h"

#include "signing/ecdsa.h"

#include <stdlib.h>
#include <string.h>

#define DIR "tests/vectors/signatures/"
#define ROOM 65536

static uint8_t message[ROOM], signature[ROOM];

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	cr_assert_not_null(s, "no \"%s\"", key);
	return s;
}

Test(signing_vectors, ecdsa_p256_verdicts_are_those_of_wycheproof)
{
	json_t *root = read_json_xz(DIR "ecdsa_secp256r1_sha256_test.json.xz");
	struct err e = { 0 };
	size_t i, j, count = 0, valid = 0;
	json_t *group, *t;
	json_array_foreach(json_object_get(root, "testGroups"), i, group)
	{
		const char *pem = text(group, "publicKeyPem");
		json_array_foreach(json_object_get(group, "tests"), j, t)
		{
			size_t len = unhex(text(t, "msg"), message, ROOM),
			       sig = unhex(text(t, "sig"), signature, ROOM);
			int result = signing_ecdsa_check(pem, message, len, signature, sig, &e);
			bool expected = strcmp(text(t, "result"), "valid") == 0;
			cr_assert_eq(result == 0, expected, "tcId %lld (%s): %d",
				     json_integer_value(json_object_get(t, "tcId")), text(t, "comment"),
				     result);
			count++;
			valid += expected;
		}
	}
	cr_assert_eq((json_int_t)count, json_integer_value(json_object_get(root, "numberOfTests")));
	cr_assert(valid > 100 && count - valid > 100);
	json_decref(root);
}

Test(signing_vectors, ed25519_verdicts_are_those_of_wycheproof)
{
	json_t *root = read_json_xz(DIR "ed25519_test.json.xz");
	size_t i, j, count = 0;
	json_t *group, *t;
	json_array_foreach(json_object_get(root, "testGroups"), i, group)
	{
		uint8_t key[32];
		cr_assert_eq(unhex(text(json_object_get(group, "publicKey"), "pk"), key, 32), 32u);
		json_array_foreach(json_object_get(group, "tests"), j, t)
		{
			size_t len = unhex(text(t, "msg"), message, ROOM),
			       sig = unhex(text(t, "sig"), signature, ROOM);
			bool expected = strcmp(text(t, "result"), "valid") == 0;
			count++;
			if (sig != 64) { /* readers refuse these before the check, which takes 64 bytes */
				cr_assert(!expected);
				continue;
			}
			cr_assert_eq(signing_ed25519_check(key, message, len, signature) == 0, expected,
				     "tcId %lld", json_integer_value(json_object_get(t, "tcId")));
		}
	}
	cr_assert_eq((json_int_t)count, json_integer_value(json_object_get(root, "numberOfTests")));
	json_decref(root);
}

static bool flagged(const json_t *flags, const char *flag)
{
	size_t i;
	json_t *f;
	json_array_foreach(flags, i, f) {
		if (strcmp(json_string_value(f), flag) == 0)
			return true;
	}
	return false;
}

/* Points of low order and other spellings of points are never accepted: a signature has one meaning. */
Test(signing_vectors, ed25519_refuses_low_order_and_non_canonical_points)
{
	static const char *const never[] = {
		"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue",
	};
	json_t *root = read_json_xz(DIR "ed25519vectors.json.xz");
	size_t i, refused = 0;
	json_t *t;
	json_array_foreach(root, i, t)
	{
		uint8_t key[32];
		const json_t *flags = json_object_get(t, "flags");
		const char *words = text(t, "msg");
		cr_assert_eq(unhex(text(t, "key"), key, 32), 32u);
		cr_assert_eq(unhex(text(t, "sig"), signature, ROOM), 64u);
		int result = signing_ed25519_check(key, words, strlen(words), signature);
		bool refuse = false;
		for (size_t f = 0; f < sizeof never / sizeof *never; f++)
			refuse = refuse || flagged(flags, never[f]);
		cr_assert(!refuse || result == ERR_VERIFY, "number %lld",
			  json_integer_value(json_object_get(t, "number")));
		cr_assert(json_array_size(flags) > 0 || result == 0, "a plain signature must verify");
		refused += refuse;
	}
	cr_assert_gt(refused, 500u);
	json_decref(root);
}
