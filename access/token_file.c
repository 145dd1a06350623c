/* A file of tokens, beside those of the table: for deployments whose secrets come from elsewhere.
 *
 *   line   = NAME SP ROLES SP SECRET LF     blanks may be many; '#' begins a comment
 *   ROLES  = names with commas between them
 *   SECRET = of 32 to 200 printable bytes, or "sha256:" and 64 hex digits: its digest
 *
 * They have no limits, and count while the file stays as it was when the server began. Its id
 * derives from the digest, so that receipts belong to it the next time too. */
#include "access/live.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX KIB(256)
#define SECRET_MIN 32

static int word(char **at, const char **out)
{
	*at += strspn(*at, " \t");
	*out = *at;
	size_t len = strcspn(*at, " \t");
	bool more = (*at)[len] != 0;
	(*at)[len] = 0;
	*at += len + more;
	return len > 0;
}

static int take_secret(const char *text, struct digest *out, struct err *e)
{
	size_t len = strlen(text);
	if (text_starts(text, "sha256:"))
		return digest_parse(text, out, e);
	if (len < SECRET_MIN || len > 200)
		return err_set(e, ERR_INPUT, "a secret has 32 to 200 bytes, or is sha256:HEX");
	*out = digest_of(text, len);
	return 0;
}

static int take_line(char *line, const struct env *env, struct access_row *row, struct err *e)
{
	const char *name, *roles, *secret, *rest;
	char hex[17];
	*row = (struct access_row){ 0 };
	if (!word(&line, &name) || !word(&line, &roles) || !word(&line, &secret) ||
	    word(&line, &rest))
		return err_set(e, ERR_INPUT, "expected NAME ROLES SECRET");
	if (strlen(name) >= sizeof row->grant.name || strlen(roles) >= sizeof row->grant.roles)
		return err_set(e, ERR_INPUT, "the name or the roles are too long");
	strcpy(row->grant.name, name);
	strcpy(row->grant.roles, roles);
	TRY(access_grant_check(&row->grant, e));
	TRY(take_secret(secret, &row->secret, e));
	struct digest id = digest_of(row->secret.bytes, sizeof row->secret.bytes);
	text_hex(id.bytes, 8, hex);
	snprintf(row->grant.id, sizeof row->grant.id, "tok_%s", hex);
	row->grant.made_us = env_now_us(env);
	return 0;
}

static int take_lines(char *text, const struct env *env,
		      int (*take)(void *, const struct access_row *, struct err *), void *ctx,
		      struct err *e)
{
	struct access_row row;
	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");
		bool more = text[len] != 0;
		text[len] = 0;
		text[strcspn(text, "#\r")] = 0;
		if (text[strspn(text, " \t")]) {
			int rc = take_line(text, env, &row, e);
			if (rc == 0)
				rc = take(ctx, &row, e);
			if (rc < 0)
				return err_prefix(e, "line %u", number);
		}
		text += len + more;
	}
	return 0;
}

int access_file_read(const char *path, const struct env *env,
		     int (*take)(void *, const struct access_row *, struct err *), void *ctx,
		     struct err *e)
{
	struct buf b = { 0 };
	int rc = file_read_secret(path, FILE_MAX, &b, e);
	if (rc == 0 && b.bytes && memchr(b.bytes, 0, b.len))
		rc = err_set(e, ERR_INPUT, "no text: it has a NUL");
	if (rc == 0 && b.bytes)
		rc = take_lines(b.bytes, env, take, ctx, e);
	if (rc < 0)
		err_prefix(e, "%s", path);
	buf_wipe(&b);
	return rc;
}
