/* Receipts: .tlog-proof (C2SP tlog-proof).
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>            optional, not authenticated
 *   index <decimal>
 *   <base64 hash>             from the leaf's sibling to the root's child, at most 64
 *                             one blank line
 *   <signed checkpoint>
 *
 * Valid when the checkpoint is signed by the log and the hashes lead from the entry to its root. */
#include "audit/log_in.h"

#include "base/text.h"

#include <string.h>

static const char magic[] = "c2sp.org/tlog-proof@v1";

/* ---- making ---- */

int audit_proof_make(const struct tree_reader *nodes, uint64_t index, uint64_t size,
		     const struct buf *note, const struct audit_extra *extra, struct buf *out,
		     struct err *e)
{
	struct digest path[TREE_PATH_MAX];
	size_t count;

	TRY(audit_tree_inclusion_path(nodes, index, size, path, &count, e));
	buf_add_text(out, magic);
	buf_add_byte(out, '\n');
	if (extra) {
		buf_add_text(out, "extra ");
		text_base64(out, extra->bytes, extra->len);
		buf_add_byte(out, '\n');
	}
	buf_printf(out, "index %llu\n", (unsigned long long)index);
	for (size_t i = 0; i < count; i++) {
		text_base64(out, path[i].bytes, 32);
		buf_add_byte(out, '\n');
	}
	buf_add_byte(out, '\n');
	buf_add(out, note->bytes, note->len);
	return buf_done(out, e);
}

int audit_log_proof(struct audit_log *log, uint64_t index, const void *extra, size_t extra_len,
		    struct buf *out, struct err *e)
{
	const struct audit_extra beside = { extra, extra_len };
	struct tile_nodes nodes = { .dir = log->dir };
	struct tree_reader reader = audit_tile_nodes_reader(&nodes);
	struct buf note = { 0 };
	struct err why = { 0 };
	int rc = audit_log_catch_up(log, &why);

	TRY(audit_log_have(log, index, e));
	pthread_mutex_lock(&log->lock);
	nodes.size = log->laid;
	const struct buf *newest = log->laid == log->size ? &log->checkpoint : &log->laid_note;
	buf_add(&note, newest->bytes, newest->len);
	pthread_mutex_unlock(&log->lock);
	if (index < nodes.size)
		rc = buf_done(&note, e);
	else if (rc < 0)
		err_set(e, rc, "%s", why.text);
	else
		rc = err_set(e, ERR_NOTFOUND, "the log has no entry %llu",
			     (unsigned long long)index);
	if (rc == 0)
		rc = audit_proof_make(&reader, index, nodes.size, &note, extra ? &beside : NULL,
				      out, e);
	buf_free(&note);
	audit_tile_nodes_close(&nodes);
	return rc;
}

/* ---- reading ---- */

struct proof {
	struct buf extra;
	bool has_extra;
	uint64_t index;
	struct digest path[TREE_PATH_MAX];
	size_t count;
	const char *checkpoint; /* into the text */
	size_t checkpoint_len;
};

static int bad_proof(struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "tlog-proof: %s", why);
}

static const char *take_line(const char **at, const char *end, size_t *len)
{
	const char *line = *at,
		   *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

	if (!newline)
		return NULL;
	*len = (size_t)(newline - line);
	*at = newline + 1;
	return line;
}

static bool line_is(const char *line, size_t len, const char *prefix)
{
	return line && len >= strlen(prefix) && memcmp(line, prefix, strlen(prefix)) == 0;
}

static int parse_path(struct proof *p, const char **at, const char *end, struct err *e)
{
	for (;;) {
		struct buf hash = { 0 };
		size_t len;
		const char *line = take_line(at, end, &len);
		if (!line)
			return bad_proof(e, "no blank line before the checkpoint");
		if (len == 0)
			return 0;
		if (p->count == TREE_PATH_MAX)
			return bad_proof(e, "more than 64 hashes");
		bool ok = text_unbase64(&hash, line, len) == 0 && hash.len == 32;
		if (ok)
			memcpy(p->path[p->count++].bytes, hash.bytes, 32);
		buf_free(&hash);
		if (!ok)
			return bad_proof(e, "a hash is not 32 bytes in base64");
	}
}

/* p->extra is the caller's to free, also after an error. */
static int parse_proof(const char *text, size_t text_len, struct proof *p, struct err *e)
{
	const char *at = text, *end = text + text_len, *line;
	size_t len;

	line = take_line(&at, end, &len);
	if (!line || len != sizeof(magic) - 1 || memcmp(line, magic, len) != 0)
		return bad_proof(e, "the first line is not c2sp.org/tlog-proof@v1");
	line = take_line(&at, end, &len);
	if (line_is(line, len, "extra ")) {
		p->has_extra = true;
		if (text_unbase64(&p->extra, line + 6, len - 6) < 0)
			return bad_proof(e, "extra is not base64");
		line = take_line(&at, end, &len);
	}
	if (!line_is(line, len, "index ") || text_parse_u64(line + 6, len - 6, &p->index) < 0)
		return bad_proof(e, "no index line");
	TRY(parse_path(p, &at, end, e));
	p->checkpoint = at;
	p->checkpoint_len = (size_t)(end - at);
	return 0;
}

int audit_proof_check(const void *proof, size_t len, const void *entry, size_t entry_len,
		      const char *vkey, uint64_t *index, struct err *e)
{
	struct proof p = { .has_extra = false };
	struct digest leaf = audit_tree_leaf(entry, entry_len);
	struct checkpoint c;
	int rc = parse_proof(proof, len, &p, e);

	buf_free(&p.extra);
	TRY(rc);
	TRY(audit_checkpoint_open(p.checkpoint, p.checkpoint_len, vkey, &c, e));
	if (audit_inclusion_check(p.index, c.size, &leaf, p.path, p.count, &c.root) < 0)
		return err_set(e, ERR_VERIFY, "the entry is not entry %llu of the signed log",
			       (unsigned long long)p.index);
	if (index)
		*index = p.index;
	return 0;
}

int audit_proof_extra(const void *proof, size_t len, struct buf *out, struct err *e)
{
	struct proof p = { .has_extra = false };
	int rc = parse_proof(proof, len, &p, e);

	if (rc == 0 && !p.has_extra)
		rc = err_set(e, ERR_NOTFOUND, "the receipt carries no extra bytes");
	if (rc == 0) {
		buf_add(out, p.extra.bytes, p.extra.len);
		rc = buf_done(out, e);
	}
	buf_free(&p.extra);
	return rc;
}
