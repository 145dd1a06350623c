/* Receipts of earlier answers, for those whose they are.
 *
 *   id    = PREFIX WORKER "-" N "-" TAIL    the answer's; TAIL = 32 hex digits of HMAC-SHA-256 of
 *                                           "WORKER/N" under a key of the state folder
 *   or      WORKER "/" N                    the record's, which the log has for all to see
 *
 * Records are numbered, so whoever can count knows what they are called. Holding an id with its
 * tail is the right to its receipt; by the record's name it is for the token that asked, which the
 * record names as its client, and for whoever may read any. All others are told the same as of an
 * answer that never was. */
#include "serve/receipt.h"
#include "api/api.h"
#include "audit/audit.h"
#include "audit/keyed.h"
#include "base/limits.h"
#include "base/text.h"
#include "serve/decision.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* RFC 2104, by the SHA-256 of libcrypto: libsodium's is in plain C. */
void serve_receipt_tail(const uint8_t key[16], const char *record, char out[RECEIPT_TAIL_ROOM])
{
	uint8_t inner[64] = { 0 }, outer[64];
	memcpy(inner, key, 16);
	for (size_t i = 0; i < sizeof inner; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	const struct digest_part text[] = { { inner, sizeof inner }, { record, strlen(record) } };
	struct digest d = digest_parts(text, 2);
	const struct digest_part around[] = { { outer, sizeof outer },
					      { d.bytes, sizeof d.bytes } };
	d = digest_parts(around, 2);
	text_hex(d.bytes, 16, out);
	explicit_bzero(inner, sizeof inner);
	explicit_bzero(outer, sizeof outer);
}

int serve_receipt_key(struct flow *f, uint8_t key[16], struct err *e)
{
	return flow_read_only(f) ? 0 : audit_log_secret(flow_log(f), "ids of answers", key, e);
}

struct answer_id {
	char worker[80], record[104];
	uint64_t n;
	bool held; /* with its tail */
};

static int none(struct err *e) { return err_set(e, ERR_NOTFOUND, "no such receipt"); }

/* ERR_NOTFOUND: no id, or one whose tail is another. */
static int read_id(const uint8_t key[16], const char *id, struct answer_id *out)
{
	char tail[RECEIPT_TAIL_ROOM];
	const char *rest = api_id_tail(id);
	size_t len = strcspn(rest, "-/");
	*out = (struct answer_id){ 0 };
	if (len == 0 || len >= sizeof out->worker || !rest[len])
		return ERR_NOTFOUND;
	memcpy(out->worker, rest, len);
	const char *number = rest + len + 1;
	size_t digits = strcspn(number, "-");
	if (text_parse_u64(number, digits, &out->n) < 0)
		return ERR_NOTFOUND;
	snprintf(out->record, sizeof out->record, "%s/%llu", out->worker,
		 (unsigned long long)out->n);
	if (!number[digits])
		return rest[len] == '/' ? 0 : ERR_NOTFOUND;
	out->held = true;
	serve_receipt_tail(key, out->record, tail);
	bool same = strlen(number + digits + 1) == sizeof tail - 1 &&
		    sodium_memcmp(number + digits + 1, tail, sizeof tail - 1) == 0;
	return same && rest[len] == '-' ? 0 : ERR_NOTFOUND;
}

/* Who asked for an erasure, and why, is not for every client. */
static int check_decision(struct flow *f, uint64_t index, struct err *e)
{
	struct buf text = { 0 };
	json_t *entry = NULL;
	int rc = audit_log_entry(flow_log(f), index, &text, e);
	if (rc == 0)
		rc = json_read(&entry, text.bytes, text.len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH,
			       e);
	const char *type = json_string_value(json_object_get(entry, "type"));
	if (rc == 0 && (!type || strcmp(type, "decision") != 0))
		rc = none(e);
	json_decref(entry);
	buf_free(&text);
	return rc;
}

/* ERR_NOTFOUND: another asked, or nobody knows who: what the vault held is erased. */
static int check_asker(struct flow *f, uint64_t index, const char *client, struct err *e)
{
	json_t *vault = NULL, *field;
	size_t i;
	bool same = false;
	int rc = audit_vault_read(flow_log(f), index, &vault, e);
	json_array_foreach(json_object_get(vault, "fields"), i, field) {
		const char *name = json_string_value(json_object_get(field, "name"));
		const char *value = json_string_value(json_object_get(field, "value"));
		if (name && strcmp(name, "client") == 0)
			same = value && strcmp(value, client) == 0;
	}
	json_decref(vault);
	return rc == 0 && !same ? none(e) : rc;
}

int serve_host_receipt(struct serve_host *h, const char *id, const struct serve_reader *who,
		       struct buf *out, struct err *e)
{
	struct answer_id a;
	uint64_t index;
	int rc = read_id(h->id_key, id, &a);
	bool known = who->client && who->client[0];
	if (rc < 0 || (!a.held && !who->any && !known))
		return none(e);
	rc = audit_log_find(flow_log(h->flow), a.worker, a.n, &index, e);
	if (rc == 0)
		rc = check_decision(h->flow, index, e);
	if (rc == 0 && !a.held && !who->any)
		rc = check_asker(h->flow, index, who->client, e);
	if (rc == 0)
		rc = flow_audit_proof(h->flow, index, true, serve_decision_shown, out, e);
	return rc == ERR_NOTFOUND ? none(e) : rc;
}
