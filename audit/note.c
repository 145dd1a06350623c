/* Signed note (C2SP signed-note) and the checkpoint in it (C2SP tlog-checkpoint).
 *
 *   note        text, one blank line, then 1..100 lines "— name base64(keyid[4] || signature)\n"
 *   text        UTF-8, ends in a newline, no control character below 0x20 but newline;
 *               split from the signatures at the last blank line
 *   keyid       first 4 bytes of SHA-256(name || 0x0A || alg || public key)
 *   vkey        name "+" hex8(keyid) "+" base64(alg || public key)
 *   checkpoint  origin, decimal size, base64 root of 32 bytes, one a line, then optional
 *               extension lines
 *
 * A line by an unknown (name, keyid) is passed over; one by the known key that fails refuses the
 * note. Only alg 01 (Ed25519) is read; the table of algorithms is the
 * switch in audit_note_key_parse. */
#include "audit/note.h"

#include "audit/audit.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define NOTE_BYTES_MAX 1000000u
#define NOTE_LINES_MAX 100
#define ALG_ED25519 0x01
static const char dash[] = "\xe2\x80\x94 ";

static bool is_space(uint32_t cp)
{
	return cp <= 0x20 || cp == 0x7f || (cp >= 0x80 && cp <= 0xa0) || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
	       cp == 0x205f || cp == 0x3000;
}

bool audit_note_name_valid(const char *name, size_t len)
{
	if (len == 0 || len >= NOTE_NAME_ROOM)
		return false;
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		int n = text_utf8_decode(name + i, len - i, &cp);
		if (n <= 0 || is_space(cp) || cp == '+')
			return false;
		i += (size_t)n;
	}
	return true;
}

static void key_id(const char *name, const uint8_t public_key[32], uint8_t id[4])
{
	struct digest d;
	char bytes[NOTE_NAME_ROOM + 34];
	size_t n = strlen(name);

	memcpy(bytes, name, n);
	bytes[n++] = '\n';
	bytes[n++] = ALG_ED25519;
	memcpy(bytes + n, public_key, 32);
	d = digest_of(bytes, n + 32);
	memcpy(id, d.bytes, 4);
}

void audit_note_key_text(const char *name, const uint8_t public_key[32], struct buf *out)
{
	uint8_t id[4], key[33] = { ALG_ED25519 };
	char hex[9];

	key_id(name, public_key, id);
	text_hex(id, 4, hex);
	memcpy(key + 1, public_key, 32);
	buf_printf(out, "%s+%s+", name, hex);
	text_base64(out, key, sizeof(key));
}

static int bad_key(struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "verifier key: %s; expected name+keyid+key", why);
}

static int parse_key_bytes(const struct buf *key, struct note_key *out, struct err *e)
{
	if (key->len == 0)
		return bad_key(e, "no key bytes");
	switch ((unsigned char)key->bytes[0]) {
	case ALG_ED25519:
		if (key->len != 33)
			return bad_key(e, "an Ed25519 key has 32 bytes");
		memcpy(out->public_key, key->bytes + 1, 32);
		return 0;
	default:
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: verifier key algorithm %02x",
			       (unsigned char)key->bytes[0]);
	}
}

int audit_note_key_parse(const char *vkey, struct note_key *out, struct err *e)
{
	size_t len = strcspn(vkey, "\n");
	const char *plus = memchr(vkey, '+', len), *second;
	struct buf key = { 0 };
	uint8_t id[4];
	int rc;

	memset(out, 0, sizeof(*out));
	if (vkey[len] == '\n' && vkey[len + 1] != 0)
		return bad_key(e, "more than one line");
	second = plus ? memchr(plus + 1, '+', len - (size_t)(plus + 1 - vkey)) : NULL;
	if (!second || second - plus != 9 || text_unhex(plus + 1, 8, out->id, 4) < 0)
		return bad_key(e, "malformed");
	if (!audit_note_name_valid(vkey, (size_t)(plus - vkey)))
		return bad_key(e, "the name is empty, too long or holds a space");
	memcpy(out->name, vkey, (size_t)(plus - vkey));
	rc = text_unbase64(&key, second + 1, len - (size_t)(second + 1 - vkey));
	rc = rc < 0 ? bad_key(e, "the key is not base64") : parse_key_bytes(&key, out, e);
	buf_free(&key);
	TRY(rc);
	key_id(out->name, out->public_key, id);
	return memcmp(id, out->id, 4) == 0 ? 0
					   : bad_key(e, "the key id does not belong to the key");
}

int audit_note_sign(const struct signing_identity *id, const char *name, const char *text,
		    size_t len, struct buf *out, struct err *e)
{
	const struct signing_public *pub = signing_identity_public(id);
	uint8_t signature[4 + 64];

	if (!pub->has_ed25519 || !audit_note_name_valid(name, strlen(name)))
		return err_set(e, ERR_INPUT,
			       "cannot sign a note as \"%.100s\": bad name, or no Ed25519 key",
			       name);
	if (len == 0 || text[len - 1] != '\n')
		return err_set(e, ERR_INPUT, "the text of a note ends in a newline");
	key_id(name, pub->ed25519, signature);
	signing_ed25519(id, text, len, signature + 4);
	buf_add(out, text, len);
	buf_printf(out, "\n%s%s ", dash, name);
	text_base64(out, signature, sizeof(signature));
	buf_add_byte(out, '\n');
	return buf_done(out, e);
}

/* ---- opening ---- */

static int bad_note(struct err *e, const char *why)
{
	return err_set(e, ERR_INPUT, "signed note: %s", why);
}

static int check_bytes(const char *note, size_t len, struct err *e)
{
	if (len > NOTE_BYTES_MAX)
		return bad_note(e, "too long");
	if (len == 0 || note[len - 1] != '\n')
		return bad_note(e, "does not end in a newline");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)note[i] < 0x20 && note[i] != '\n')
			return bad_note(e, "holds a control character");
	return text_utf8_valid(note, len) ? 0 : bad_note(e, "is not UTF-8");
}

/* Offset of the newline that ends the text: the first of the last pair. */
static bool find_split(const char *note, size_t len, size_t *split)
{
	for (size_t i = len - 1; i > 0; i--)
		if (note[i] == '\n' && note[i - 1] == '\n') {
			*split = i;
			return i + 1 < len;
		}
	return false;
}

/* One signature line without its newline. 1 when it is by the key and right, 0 when by another. */
static int check_line(const char *line, size_t len, const struct note_key *key, const char *text,
		      size_t text_len, struct err *e)
{
	struct buf raw = { 0 };
	const char *space;
	int rc = 0;

	if (len < sizeof(dash) || memcmp(line, dash, sizeof(dash) - 1) != 0)
		return bad_note(e, "malformed signature line");
	line += sizeof(dash) - 1;
	len -= sizeof(dash) - 1;
	space = memchr(line, ' ', len);
	if (!space || !audit_note_name_valid(line, (size_t)(space - line)))
		return bad_note(e, "malformed signature line");
	size_t name_len = (size_t)(space - line);
	if (text_unbase64(&raw, space + 1, len - name_len - 1) < 0 || raw.len < 5) {
		rc = bad_note(e, "malformed signature");
	} else if (name_len == strlen(key->name) && memcmp(line, key->name, name_len) == 0 &&
		   memcmp(raw.bytes, key->id, 4) == 0) {
		if (raw.len != 68 || signing_ed25519_check(key->public_key, text, text_len,
							   (uint8_t *)raw.bytes + 4) < 0)
			rc = err_set(e, ERR_VERIFY, "the signature of %s does not fit the note",
				     key->name);
		else
			rc = 1;
	}
	buf_free(&raw);
	return rc;
}

static int check_lines(const char *lines, size_t len, const struct note_key *key, const char *text,
		       size_t text_len, struct err *e)
{
	int found = 0, count = 0;

	for (size_t at = 0; at < len;) {
		size_t n =
			(size_t)((const char *)memchr(lines + at, '\n', len - at) - (lines + at));
		if (++count > NOTE_LINES_MAX)
			return bad_note(e, "more than 100 signatures");
		int rc = check_line(lines + at, n, key, text, text_len, e);
		TRY(rc);
		found += rc;
		at += n + 1;
	}
	if (!found)
		return err_set(e, ERR_VERIFY, "no signature by %s", key->name);
	return 0;
}

int audit_note_open(const void *note, size_t len, const char *vkey, struct buf *text, struct err *e)
{
	const char *s = note;
	struct note_key key;
	size_t split;

	TRY(audit_note_key_parse(vkey, &key, e));
	TRY(check_bytes(s, len, e));
	if (!find_split(s, len, &split))
		return bad_note(e, "no blank line before the signatures");
	TRY(check_lines(s + split + 1, len - split - 1, &key, s, split, e));
	buf_add(text, s, split);
	return buf_done(text, e);
}

/* ---- checkpoint ---- */

void audit_checkpoint_text(const char *origin, uint64_t size, const struct digest *root,
			   struct buf *out)
{
	buf_printf(out, "%s\n%llu\n", origin, (unsigned long long)size);
	text_base64(out, root->bytes, 32);
	buf_add_byte(out, '\n');
}

/* The next line of text[*at..len) without its newline, or NULL. */
static const char *next_line(const char *text, size_t len, size_t *at, size_t *n)
{
	const char *line = text + *at, *end = *at < len ? memchr(line, '\n', len - *at) : NULL;

	if (!end)
		return NULL;
	*n = (size_t)(end - line);
	*at += *n + 1;
	return line;
}

int audit_checkpoint_parse(const char *text, size_t len, struct checkpoint *out, struct err *e)
{
	size_t at = 0, n;
	const char *line = next_line(text, len, &at, &n);
	struct buf root = { 0 };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (!line || n == 0 || n >= sizeof(out->origin))
		return err_set(e, ERR_INPUT, "checkpoint: no usable origin line");
	memcpy(out->origin, line, n);
	line = next_line(text, len, &at, &n);
	if (!line || text_parse_u64(line, n, &out->size) < 0 || out->size > INT64_MAX)
		return err_set(e, ERR_INPUT, "checkpoint: malformed size");
	line = next_line(text, len, &at, &n);
	if (!line || text_unbase64(&root, line, n) < 0 || root.len != 32)
		rc = err_set(e, ERR_INPUT, "checkpoint: the root is not 32 bytes in base64");
	else
		memcpy(out->root.bytes, root.bytes, 32);
	buf_free(&root);
	while (rc == 0 && at < len) {
		line = next_line(text, len, &at, &n);
		if (!line || n == 0)
			rc = err_set(e, ERR_INPUT, "checkpoint: malformed extension line");
	}
	return rc;
}

int audit_checkpoint_open(const void *note, size_t len, const char *vkey, struct checkpoint *out,
			  struct err *e)
{
	struct buf text = { 0 };
	struct note_key key;
	int rc = audit_note_key_parse(vkey, &key, e);

	if (rc == 0)
		rc = audit_note_open(note, len, vkey, &text, e);
	if (rc == 0)
		rc = audit_checkpoint_parse(text.bytes, text.len, out, e);
	if (rc == 0 && strcmp(out->origin, key.name) != 0)
		rc = err_set(e, ERR_VERIFY,
			     "the checkpoint is of \"%.100s\", the key of \"%.100s\"", out->origin,
			     key.name);
	buf_free(&text);
	return rc;
}

int audit_vkey_check(const char *vkey, struct err *e)
{
	struct note_key key;

	return audit_note_key_parse(vkey, &key, e);
}
