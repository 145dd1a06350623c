/* HOME/cache/sketches/HEX.sketch, HEX of the model's root:
 *
 *   digest   32 bytes: SHA-256 of the root, then the last 32 bytes of the file
 *   sketch   as fork_sketch_write has it; ends in the digest of its bytes, which reading it checks
 *
 * A file that is torn, renamed or of another version reads as if it were not there, and is made
 * again. Each writer has a name of its own until it renames, and all write the same bytes. */
#include "flow/fork_cache.h"
#include "flow/fork.h"
#include "base/file.h"
#include "base/machine.h"

#include <string.h>

#define FOLDER "cache/sketches"

/* Says whose sketch the file holds. b: the whole file, at least two digests long. */
static struct digest checksum(const struct digest *root, const struct buf *b)
{
	struct digest end;
	memcpy(end.bytes, b->bytes + b->len - sizeof end.bytes, sizeof end.bytes);
	return digest_tagged('s', root->bytes, sizeof root->bytes, end.bytes, sizeof end.bytes);
}

static int sketch_path(const struct flow *f, const struct digest *root, char out[LIMIT_PATH_BYTES],
		       struct err *e)
{
	char hex[65], name[sizeof FOLDER + 80];
	digest_hex(root, hex);
	snprintf(name, sizeof name, FOLDER "/%s.sketch", hex);
	return flow_path(f, name, out, e);
}

static int read_sketch(const char *path, const struct digest *root, struct fork_sketch **out,
		       struct err *e)
{
	struct buf b = { 0 };
	struct digest is;
	int rc = 0;
	TRY_OUT(file_read(path, LIMIT_SKETCH_BYTES, &b, e));
	if (b.len < 2 * sizeof is.bytes)
		TRY_OUT(err_set(e, ERR_INPUT, "%s: %zu bytes are no sketch", path, b.len));
	is = checksum(root, &b);
	if (memcmp(is.bytes, b.bytes, sizeof is.bytes) != 0)
		TRY_OUT(err_set(e, ERR_INPUT, "%s: the digest of its bytes is another", path));
	rc = fork_sketch_read(out, b.bytes + sizeof is.bytes, b.len - sizeof is.bytes, e);
out:
	buf_free(&b);
	return rc;
}

int flow_fork_sketch_kept(struct flow *f, const struct digest *root, struct fork_sketch **out,
			  struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct err why = { 0 };
	*out = NULL;
	if (!f)
		return err_set(e, ERR_NOTFOUND, "no state folder keeps sketches");
	TRY(sketch_path(f, root, path, e));
	int rc = read_sketch(path, root, out, &why);
	if (rc == ERR_NOMEM)
		return err_set(e, rc, "%s", why.text);
	return rc < 0 ? err_set(e, ERR_NOTFOUND, "no sketch is kept: %s", why.text) : 0;
}

static int write_sketch(struct flow *f, const struct digest *root, const struct fork_sketch *s,
			struct err *e)
{
	char path[LIMIT_PATH_BYTES], folder[LIMIT_PATH_BYTES];
	struct buf b = { 0 };
	struct digest is = { { 0 } };
	int rc = 0;
	TRY(flow_path(f, FOLDER, folder, e));
	TRY(sketch_path(f, root, path, e));
	TRY(file_make_dirs(folder, 0700, e));
	buf_add(&b, is.bytes, sizeof is.bytes);
	TRY_OUT(fork_sketch_write(s, &b, e));
	TRY_OUT(buf_done(&b, e));
	is = checksum(root, &b);
	memcpy(b.bytes, is.bytes, sizeof is.bytes);
	rc = file_write_unsynced(path, folder, b.bytes, b.len, 0600, e);
out:
	buf_free(&b);
	return rc;
}

bool flow_fork_sketch_is_kept(const struct flow *f, const struct digest *root)
{
	char path[LIMIT_PATH_BYTES];
	struct err none;
	return sketch_path(f, root, path, &none) == 0 && file_exists(path);
}

uint64_t flow_fork_model_bytes(const struct flow_fork_model *m)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < model_values_count(m->values); i++)
		bytes += model_value_bytes(model_values_at(m->values, i));
	return bytes;
}

static void add_read(void *bar, uint64_t bytes) { progress_add(bar, bytes); }

static int make_sketch(struct flow_fork_model *m, struct pool *pool, struct progress *bar,
		       struct fork_sketch **out, struct err *e)
{
	TRY(flow_fork_model_tokens(m, e));
	struct fork_model model = m->model;
	model.pool = pool;
	model.progress = bar ? add_read : NULL;
	model.progress_ctx = bar;
	return fork_sketch_make(out, &model, e);
}

int flow_fork_sketch(struct flow *f, struct flow_fork_model *m, const struct digest *root,
		     struct pool *pool, struct progress *bar, struct fork_sketch **out,
		     struct err *e)
{
	struct err why;
	int rc = flow_fork_sketch_kept(f, root, out, &why);
	if (rc != ERR_NOTFOUND)
		return rc < 0 ? err_set(e, rc, "%s", why.text) : 0;
	TRY(make_sketch(m, pool, bar, out, e));
	rc = f ? write_sketch(f, root, *out, &why) : 0;
	(void)rc; /* the next one makes it again */
	return 0;
}

int flow_fork_keep(struct flow *f, const char *ref, struct err *e)
{
	struct flow_fork_model m;
	struct fork_sketch *s = NULL;
	struct progress bar = { 0 };
	struct pool *pool = NULL;
	struct digest root;
	TRY(flow_fork_model_open(f, ref, &m, e));
	int rc = 0;
	TRY_OUT(flow_fork_model_root(f, &m, &root, e));
	TRY_OUT(pool_open(&pool, machine_cores(), NULL, e));
	progress_start(&bar, "sketching", flow_fork_model_bytes(&m), f->quiet);
	rc = flow_fork_sketch(f, &m, &root, pool, &bar, &s, e);
	progress_end(&bar);
out:
	fork_sketch_free(s);
	pool_close(pool);
	flow_fork_model_close(&m);
	return rc;
}
