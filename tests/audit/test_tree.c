#include "audit/audit.h"
#include "audit/tree.h"
#include "base/limits.h"
#include "base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- vectors of transparency-dev/merkle ---- */

/* A root of another length than 32 stands for itself: only its equality matters. A proof hash of
 * another length is what the formats refuse before the arithmetic. */
static bool get_hash(const json_t *v, bool root, struct digest *out)
{
	struct buf b = { 0 };
	bool ok = json_is_string(v) &&
		  text_unbase64(&b, json_string_value(v), json_string_length(v)) == 0;

	if (ok && b.len == 32)
		memcpy(out->bytes, b.bytes, 32);
	else if (root)
		*out = digest_of(b.bytes, b.len);
	else
		ok = false;
	buf_free(&b);
	return ok || root;
}

static uint64_t get_size(const json_t *o, const char *key)
{
	double v = json_real_value(json_object_get(o, key));
	return v >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)v;
}

static int check_case(const json_t *o, bool inclusion)
{
	struct digest path[128], a, b;
	const json_t *proof = json_object_get(o, "proof"), *item;
	size_t i;

	if (json_array_size(proof) > 128)
		return ERR_VERIFY;
	json_array_foreach(proof, i, item) {
		if (!get_hash(item, false, &path[i]))
			return ERR_VERIFY;
	}
	if (!get_hash(json_object_get(o, inclusion ? "leafHash" : "root1"), !inclusion, &a))
		return ERR_VERIFY;
	get_hash(json_object_get(o, inclusion ? "root" : "root2"), true, &b);
	if (inclusion)
		return audit_inclusion_check(get_size(o, "leafIdx"), get_size(o, "treeSize"), &a,
					     path, json_array_size(proof), &b);
	return audit_consistency_check(get_size(o, "size1"), get_size(o, "size2"), &a, &b, path,
				       json_array_size(proof));
}

Test(audit_tree, published_vectors_pass_and_fail_as_they_say)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int right = 0, wrong = 0;

	archive_read_support_filter_xz(a);
	archive_read_support_format_tar(a);
	cr_assert_eq(archive_read_open_filename(a, "tests/vectors/merkle/merkle.tar.xz", 1 << 16),
		     ARCHIVE_OK, "missing vectors");
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		char name[256], text[16384];
		snprintf(name, sizeof(name), "%s", archive_entry_pathname(entry));
		bool inclusion = strncmp(name, "inclusion/", 10) == 0;
		if (archive_entry_filetype(entry) != AE_IFREG ||
		    !(inclusion || strncmp(name, "consistency/", 12) == 0))
			continue;
		la_ssize_t n = archive_read_data(a, text, sizeof(text));
		cr_assert(n > 0 && n < (la_ssize_t)sizeof(text), "%s", name);
		json_t *o = json_loadb(text, (size_t)n, JSON_DECODE_INT_AS_REAL, NULL);
		cr_assert(o, "%s", name);
		bool want_error = json_is_true(json_object_get(o, "wantErr"));
		cr_expect_eq(check_case(o, inclusion), want_error ? ERR_VERIFY : 0, "%s", name);
		*(want_error ? &wrong : &right) += 1;
		json_decref(o);
	}
	archive_read_free(a);
	cr_expect(right >= 7 && wrong >= 60, "%d and %d cases", right, wrong);
}

/* ---- properties over small trees ---- */

#define LEAVES 70
static struct digest leaf[LEAVES];

static int slow_node(void *ctx, int height, uint64_t index, struct digest *out, struct err *e)
{
	uint64_t begin = index << height, end = begin + ((uint64_t)1 << height);

	(void)ctx;
	(void)e;
	cr_assert_leq(end, LEAVES);
	struct tree_range r = { .count = 0 };
	for (uint64_t i = begin; i < end; i++)
		audit_tree_range_add(&r, 0, &leaf[i]);
	*out = audit_tree_range_root(&r);
	return 0;
}

static const struct tree_reader slow = { slow_node, NULL };

/* The definition of RFC 6962 section 2.1, word for word. */
static struct digest mth(uint64_t begin, uint64_t end)
{
	uint64_t k = 1;

	if (begin == end)
		return digest_of("", 0);
	if (end - begin == 1)
		return leaf[begin];
	while (k * 2 < end - begin)
		k *= 2;
	struct digest l = mth(begin, begin + k), r = mth(begin + k, end);
	return digest_tagged(0x01, l.bytes, 32, r.bytes, 32);
}

static void make_leaves(void)
{
	for (int i = 0; i < LEAVES; i++)
		leaf[i] = audit_tree_leaf(&i, sizeof(i));
}

TestSuite(audit_tree, .init = make_leaves);

Test(audit_tree, root_is_that_of_the_definition)
{
	for (uint64_t n = 0; n <= LEAVES; n++) {
		struct digest expected = mth(0, n), got;
		struct merkle m = { .count = 0 };
		cr_assert_eq(audit_tree_root(&slow, n, &got, NULL), 0);
		cr_expect(digest_equal(&got, &expected), "%d", (int)n);
		for (uint64_t i = 0; i < n; i++)
			merkle_add(&m, &leaf[i]);
		got = merkle_root(&m);
		cr_expect(digest_equal(&got, &expected), "%d", (int)n);
	}
}

Test(audit_tree, inclusion_proof_of_every_leaf_passes_and_of_a_neighbour_fails)
{
	struct digest path[TREE_PATH_MAX];
	size_t count;

	for (uint64_t n = 1; n <= LEAVES; n++) {
		struct digest root = mth(0, n);
		for (uint64_t i = 0; i < n; i++) {
			cr_assert_eq(audit_tree_inclusion_path(&slow, i, n, path, &count, NULL), 0);
			cr_expect_eq(audit_inclusion_check(i, n, &leaf[i], path, count, &root), 0);
			cr_expect_eq(audit_inclusion_check(i, n, &leaf[(i + 1) % LEAVES], path,
							   count, &root),
				     ERR_VERIFY);
			cr_expect_eq(audit_inclusion_check(i + 1, n, &leaf[i], path, count, &root),
				     ERR_VERIFY);
			if (count)
				cr_expect_eq(audit_inclusion_check(i, n, &leaf[i], path, count - 1,
								   &root),
					     ERR_VERIFY);
			cr_expect_eq(audit_inclusion_check(i, n, &leaf[i], path, TREE_PATH_MAX + 1,
							   &root),
				     ERR_VERIFY);
		}
	}
}

Test(audit_tree, consistency_proof_of_every_pair_passes_and_changed_ones_fail)
{
	struct digest path[TREE_PATH_MAX + 1] = { 0 };
	size_t count;

	for (uint64_t n = 1; n <= LEAVES; n++)
		for (uint64_t m = 1; m <= n; m++) {
			struct digest a = mth(0, m), b = mth(0, n), other = leaf[0];
			other.bytes[0] ^= 1;
			cr_assert_eq(audit_tree_consistency_path(&slow, m, n, path, &count, NULL),
				     0);
			cr_expect_eq(audit_consistency_check(m, n, &a, &b, path, count), 0, "%d %d",
				     (int)m, (int)n);
			cr_expect_eq(audit_consistency_check(m, n, &other, &b, path, count),
				     ERR_VERIFY);
			cr_expect_eq(audit_consistency_check(m, n, &a, &other, path, count),
				     ERR_VERIFY);
			cr_expect_eq(audit_consistency_check(m, n, &a, &b, path, count + 1),
				     ERR_VERIFY);
			if (count)
				cr_expect_eq(audit_consistency_check(m, n, &a, &b, path, count - 1),
					     ERR_VERIFY);
			for (size_t i = 0; i < count; i++) {
				path[i].bytes[31] ^= 0x80;
				cr_expect_eq(audit_consistency_check(m, n, &a, &b, path, count),
					     ERR_VERIFY);
				path[i].bytes[31] ^= 0x80;
			}
		}
}

Test(audit_tree, sizes_that_make_no_sense_fail)
{
	struct digest empty = digest_of("", 0);

	cr_expect_eq(audit_inclusion_check(0, 0, &leaf[0], NULL, 0, &empty), ERR_VERIFY);
	cr_expect_eq(audit_inclusion_check(UINT64_MAX, UINT64_MAX, &leaf[0], NULL, 0, &empty),
		     ERR_VERIFY);
	cr_expect_eq(audit_consistency_check(0, 0, &empty, &empty, NULL, 0), ERR_VERIFY);
	cr_expect_eq(audit_consistency_check(0, 5, &empty, &leaf[0], NULL, 0), ERR_VERIFY);
	cr_expect_eq(audit_consistency_check(6, 5, &empty, &empty, &empty, 1), ERR_VERIFY);
	cr_expect_eq(audit_consistency_check(4, 5, &leaf[0], &leaf[0], NULL, 0), ERR_VERIFY);
}
