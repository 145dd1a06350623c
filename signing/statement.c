/* The statement's JSON, as OMS v1.0 has it; nothing more at any level but in the resource
 * descriptors, which admit extra members (ours: size; chunks and tensors for files of at least
 * 4 MiB):
 *
 *     {"_type":"https://in-toto.io/Statement/v1",
 *      "subject":[{"name":BASENAME,"digest":{"sha256":ROOT}}],
 *      "predicateType":"https://model_signing/signature/v1.0",
 *      "predicate":{
 *        "resources":[{"name":PATH,"digest":HEX,"algorithm":"sha256",
 *            "size":N,"chunks":{"algorithm":"sha256-rfc6962","size":4194304,"count":M,"root":HEX},
 *            "tensors":{"count":T,"root":HEX}},...],
 *        "serialization":{"method":"files","hash_type":"sha256","allow_symlinks":BOOL,
 *            "ignore_paths":[...]}}}
 *
 * allow_symlinks is true where a file was a link when it was signed; what we follow does not depend
 * on it. Resources are written in code point order of their names and read in any order, without
 * repetition. ROOT is the SHA-256 of their digests, concatenated in the listed order; it is
 * recomputed on reading. Extra members that others put into a descriptor are passed over; "chunks"
 * is ours only with our algorithm, "tensors" only with count and root. */
#include "signing/statement.h"
#include "base/limits.h"
#include "base/text.h"
#include "signing/hash.h"
#include "base/names.h"
#include "signing/tensors.h"

#include <stdlib.h>
#include <string.h>

#define PREDICATE_TYPE "https://model_signing/signature/v1.0"
#define LEGACY_PREDICATE_TYPE "https://model_signing/Digests/v0.1"
#define CHUNK_ALGORITHM "sha256-rfc6962"
#define WHAT "statement"

const char *const signing_statement_ignored[STATEMENT_IGNORED] = {
	".git", ".gitattributes", ".github", ".gitignore", SIGNING_BUNDLE, ".cache", SIGNING_EXTRAS,
};

/* What tools leave in folders at any depth, and nobody means to release. */
static const char *const leftovers[] = {
	".DS_Store", ".cache", ".hallmark", ".ipynb_checkpoints", "Thumbs.db", "__pycache__",
};

static bool is_one_of(const char *const *list, size_t count, const char *part, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == len && memcmp(list[i], part, len) == 0)
			return true;
	return false;
}

size_t signing_ignored(const char *name)
{
	size_t len = strcspn(name, "/"), at = 0;
	if (is_one_of(signing_statement_ignored, STATEMENT_IGNORED, name, len))
		return len;
	for (;; at += len + 1, len = strcspn(name + at, "/")) {
		if (is_one_of(leftovers, sizeof leftovers / sizeof *leftovers, name + at, len))
			return at + len;
		if (name[at + len] == '\0')
			return 0;
	}
}

void signing_manifest_free(struct signing_manifest *m)
{
	for (size_t i = 0; i < m->file_count; i++) {
		free(m->file[i].name);
		free(m->file[i].leaf);
	}
	for (size_t i = 0; i < m->ignore_count; i++)
		free(m->ignore[i]);
	signing_tensors_free(m->tensor, m->tensor_count);
	free(m->file);
	free(m->ignore);
	free(m->model_name);
	buf_free(&m->payload);
	*m = (struct signing_manifest){ .file = NULL };
}

static int by_name(const void *key, const void *file)
{
	return strcmp(key, ((const struct signing_file *)file)->name);
}

ptrdiff_t signing_statement_find(const struct signing_manifest *m, const char *name)
{
	const struct signing_file *f =
		m->file_count ? bsearch(name, m->file, m->file_count, sizeof *m->file, by_name)
			      : NULL;
	return f ? f - m->file : -1;
}

void signing_statement_digest(struct obj *o, const struct digest *d)
{
	struct obj set = { 0 };
	char hex[65];
	digest_hex(d, hex);
	obj_text(&set, "sha256", hex);
	obj_object(o, "digest", &set);
}

static void write_digest(struct buf *b, const struct digest *d)
{
	char hex[65];
	digest_hex(d, hex);
	buf_printf(b, "\"%s\"", hex);
}

static void write_resource(struct buf *b, const struct signing_file *f)
{
	buf_add_text(b, "{\"name\":");
	text_json_string(b, f->name, strlen(f->name));
	buf_add_text(b, ",\"digest\":");
	write_digest(b, &f->digest);
	buf_add_text(b, ",\"algorithm\":\"sha256\"");
	buf_printf(b, ",\"size\":%llu", (unsigned long long)f->bytes);
	if (f->has_chunks) {
		buf_printf(b,
			   ",\"chunks\":{\"algorithm\":\"" CHUNK_ALGORITHM
			   "\",\"size\":%u,\"count\":%u,\"root\":",
			   SIGNING_CHUNK_BYTES, f->chunk_count);
		write_digest(b, &f->chunk_root);
		buf_add_text(b, "}");
	}
	if (f->has_tensors) {
		buf_printf(b, ",\"tensors\":{\"count\":%llu,\"root\":",
			   (unsigned long long)f->tensor_count);
		write_digest(b, &f->tensor_root);
		buf_add_text(b, "}");
	}
	buf_add_text(b, "}");
}

int signing_statement_root(struct signing_manifest *m, struct err *e)
{
	struct sha256 *h = NULL;
	TRY(sha256_open(&h, e));
	for (size_t i = 0; i < m->file_count; i++)
		sha256_add(h, m->file[i].digest.bytes, 32);
	m->root = sha256_take(h);
	sha256_close(h);
	return 0;
}

int signing_statement_write(struct signing_manifest *m, struct err *e)
{
	struct buf *b = &m->payload;
	TRY(signing_statement_root(m, e));
	buf_add_text(b, "{\"_type\":\"" STATEMENT_TYPE "\",\"subject\":[{\"name\":");
	text_json_string(b, m->model_name, strlen(m->model_name));
	buf_add_text(b, ",\"digest\":{\"sha256\":");
	write_digest(b, &m->root);
	buf_add_text(b,
		     "}}],\"predicateType\":\"" PREDICATE_TYPE "\",\"predicate\":{\"resources\":[");
	for (size_t i = 0; i < m->file_count; i++) {
		if (i)
			buf_add_byte(b, ',');
		write_resource(b, &m->file[i]);
	}
	buf_printf(b,
		   "],\"serialization\":{\"method\":\"files\",\"hash_type\":\"sha256\","
		   "\"allow_symlinks\":%s,\"ignore_paths\":[",
		   m->links ? "true" : "false");
	for (size_t i = 0; i < m->ignore_count; i++) {
		if (i)
			buf_add_byte(b, ',');
		text_json_string(b, m->ignore[i], strlen(m->ignore[i]));
	}
	buf_add_text(b, "]}}}");
	return buf_done(b, e);
}

static int expect_text(const json_t *o, const char *key, const char *expected, struct err *e)
{
	const char *found = NULL;
	TRY(json_get_string(o, key, &found, WHAT, e));
	if (strcmp(found, expected) != 0)
		return err_set(e, ERR_INPUT, WHAT ": \"%s\": expected %s, found \"%.100s\"", key,
			       expected, found);
	return 0;
}

static int read_hex(const json_t *o, const char *key, struct digest *out, struct err *e)
{
	const char *hex = NULL;
	TRY(json_get_string(o, key, &hex, WHAT, e));
	if (text_unhex(hex, strlen(hex), out->bytes, 32) < 0)
		return err_set(e, ERR_INPUT,
			       WHAT ": \"%s\": expected 64 lower-case hex digits, found \"%.80s\"",
			       key, hex);
	return 0;
}

/* Other digests of the subject are allowed and not used, but must look like digests. */
static int read_subject(const json_t *root, struct signing_manifest *m, struct digest *stated,
			struct err *e)
{
	json_t *subjects = NULL, *digests = NULL, *other = NULL;
	const char *name = NULL, *algorithm = NULL;
	TRY(json_get_array(root, "subject", &subjects, WHAT, e));
	const json_t *subject = json_array_get(subjects, 0);
	if (json_array_size(subjects) != 1 || !json_is_object(subject))
		return err_set(e, ERR_INPUT, WHAT ": expected one subject, found %zu",
			       json_array_size(subjects));
	TRY(json_get_string(subject, "name", &name, WHAT, e));
	if (!*name)
		return err_set(e, ERR_INPUT, WHAT ": the subject has no name");
	TRY(json_get_object(subject, "digest", &digests, WHAT, e));
	json_object_foreach(digests, algorithm, other)
	{
		const char *hex = json_string_value(other);
		if (!hex || strspn(hex, "0123456789abcdef") != strlen(hex))
			return err_set(e, ERR_INPUT,
				       WHAT
				       ": the subject's digest \"%.60s\" is not lower-case hex",
				       algorithm);
	}
	m->model_name = strdup(name);
	if (!m->model_name)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	return read_hex(digests, "sha256", stated, e);
}

static int read_chunks(const json_t *chunks, struct signing_file *f, struct err *e)
{
	uint64_t size = 0, count = 0;
	TRY(json_get_u64(chunks, "size", &size, WHAT, e));
	TRY(json_get_u64(chunks, "count", &count, WHAT, e));
	TRY(read_hex(chunks, "root", &f->chunk_root, e));
	if (size != SIGNING_CHUNK_BYTES)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: chunks of %llu bytes",
			       (unsigned long long)size);
	if (!f->has_bytes || f->bytes < SIGNING_CHUNK_BYTES ||
	    count != signing_hash_chunks(f->bytes) || count >= UINT32_MAX)
		return err_set(e, ERR_INPUT, WHAT ": %.200s: %llu chunks do not fit its size",
			       f->name, (unsigned long long)count);
	f->has_chunks = true;
	f->chunk_count = (uint32_t)count;
	return 0;
}

static int read_extra(const json_t *r, struct signing_file *f, struct err *e)
{
	const json_t *size = json_object_get(r, "size"), *chunks = json_object_get(r, "chunks");
	const json_t *tensors = json_object_get(r, "tensors");
	const char *algorithm = json_string_value(json_object_get(chunks, "algorithm"));
	if (json_is_integer(size)) {
		TRY(json_get_u64(r, "size", &f->bytes, WHAT, e));
		f->has_bytes = true;
	}
	if (algorithm && strcmp(algorithm, CHUNK_ALGORITHM) == 0)
		TRY(read_chunks(chunks, f, e));
	if (json_is_integer(json_object_get(tensors, "count")) &&
	    json_is_string(json_object_get(tensors, "root"))) {
		TRY(json_get_u64(tensors, "count", &f->tensor_count, WHAT, e));
		TRY(read_hex(tensors, "root", &f->tensor_root, e));
		f->has_tensors = true;
	}
	return 0;
}

static int read_resource(const json_t *r, struct signing_file *f, struct err *e)
{
	const char *name = NULL;
	if (!json_is_object(r))
		return err_set(e, ERR_INPUT, WHAT ": a resource is not an object");
	TRY(json_get_string(r, "name", &name, WHAT, e));
	if (strcmp(name, ".") == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: models of a single file");
	TRY(name_check(name, strlen(name), e));
	f->name = strdup(name);
	if (!f->name)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	TRY(expect_text(r, "algorithm", "sha256", e));
	TRY(read_hex(r, "digest", &f->digest, e));
	return read_extra(r, f, e);
}

static int by_file_name(const void *a, const void *b)
{
	return strcmp(((const struct signing_file *)a)->name,
		      ((const struct signing_file *)b)->name);
}

/* The root is that of the listed order; only then the files are sorted. */
static int read_resources(const json_t *predicate, struct signing_manifest *m,
			  const struct digest *stated, struct err *e)
{
	json_t *resources = NULL;
	TRY(json_get_array(predicate, "resources", &resources, WHAT, e));
	size_t count = json_array_size(resources);
	if (count == 0 || count > LIMIT_FILES)
		return err_set(e, ERR_INPUT, WHAT ": %zu resources, expected 1 to %u", count,
			       LIMIT_FILES);
	m->file = calloc(count, sizeof *m->file);
	if (!m->file)
		return err_set(e, ERR_NOMEM, "out of memory for a manifest");
	m->file_count = count;
	for (size_t i = 0; i < count; i++)
		TRY(read_resource(json_array_get(resources, i), &m->file[i], e));
	TRY(signing_statement_root(m, e));
	if (!digest_equal(&m->root, stated))
		return err_set(e, ERR_VERIFY,
			       WHAT ": the subject's digest is not the root of the listed files");
	qsort(m->file, count, sizeof *m->file, by_file_name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(m->file[i - 1].name, m->file[i].name) == 0)
			return err_set(e, ERR_INPUT, WHAT ": %.200s is listed twice",
				       m->file[i].name);
	return 0;
}

static int read_ignore(const json_t *serialization, struct signing_manifest *m, struct err *e)
{
	json_t *paths = NULL;
	if (!json_object_get(serialization, "ignore_paths"))
		return 0;
	TRY(json_get_array(serialization, "ignore_paths", &paths, WHAT, e));
	size_t count = json_array_size(paths);
	if (count > LIMIT_FILES)
		return err_set(e, ERR_INPUT, WHAT ": %zu ignored paths", count);
	m->ignore = calloc(count + 1, sizeof *m->ignore);
	for (size_t i = 0; m->ignore && i < count; i++) {
		const char *path = json_string_value(json_array_get(paths, i));
		if (!path || !*path)
			return err_set(e, ERR_INPUT, WHAT ": an ignored path that is not text");
		m->ignore[i] = strdup(path);
		if (!m->ignore[i])
			break;
		m->ignore_count++;
	}
	return m->ignore_count == count ? 0 : err_set(e, ERR_NOMEM, "out of memory for a manifest");
}

static int read_serialization(const json_t *predicate, struct signing_manifest *m, struct err *e)
{
	static const char *const keys[] = { "method",         "hash_type",    "shard_size",
					    "allow_symlinks", "ignore_paths", NULL };
	json_t *s = NULL;
	const char *method = NULL, *hash = NULL;
	TRY(json_get_object(predicate, "serialization", &s, WHAT, e));
	TRY(json_only_keys(s, keys, WHAT, e));
	TRY(json_get_string(s, "method", &method, WHAT, e));
	TRY(json_get_string(s, "hash_type", &hash, WHAT, e));
	if (strcmp(method, "files") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: OMS method %.40s", method);
	if (strcmp(hash, "sha256") != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: OMS hash type %.40s", hash);
	if (json_object_get(s, "shard_size"))
		return err_set(e, ERR_INPUT, WHAT ": a shard size with method files");
	const json_t *links = json_object_get(s, "allow_symlinks");
	if (!json_is_boolean(links))
		return err_set(e, ERR_INPUT, WHAT ": \"allow_symlinks\" is not a truth value");
	m->links = json_is_true(links);
	return read_ignore(s, m, e);
}

static int read_members(const json_t *root, struct signing_manifest *m, struct err *e)
{
	static const char *const keys[] = { "_type", "subject", "predicateType", "predicate",
					    NULL };
	static const char *const predicate_keys[] = { "resources", "serialization", NULL };
	struct digest stated;
	json_t *predicate = NULL;
	const char *type = json_string_value(json_object_get(root, "predicateType"));
	if (type && strcmp(type, LEGACY_PREDICATE_TYPE) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: the legacy layout %s", type);
	TRY(json_only_keys(root, keys, WHAT, e));
	TRY(expect_text(root, "_type", STATEMENT_TYPE, e));
	TRY(expect_text(root, "predicateType", PREDICATE_TYPE, e));
	TRY(read_subject(root, m, &stated, e));
	TRY(json_get_object(root, "predicate", &predicate, WHAT, e));
	TRY(json_only_keys(predicate, predicate_keys, "predicate", e));
	TRY(read_serialization(predicate, m, e));
	return read_resources(predicate, m, &stated, e);
}

int signing_statement_read(const void *payload, size_t len, struct signing_manifest *m,
			   struct err *e)
{
	json_t *root = NULL;
	*m = (struct signing_manifest){ .file = NULL };
	TRY(json_read(&root, payload, len, LIMIT_MANIFEST_BYTES, LIMIT_JSON_DEPTH, e));
	int result = read_members(root, m, e);
	if (result == 0) {
		buf_add(&m->payload, payload, len);
		result = buf_done(&m->payload, e);
	}
	json_decref(root);
	if (result < 0)
		signing_manifest_free(m);
	return result;
}
