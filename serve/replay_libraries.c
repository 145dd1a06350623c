/* A bundle means the same on every machine as far as the rules go; the libraries that match them
 * are the machine's. Which ones they were stands in the entry "bundle" of the process that
 * answered. */
#include "serve/replay_libraries.h"

#include "audit/audit.h"
#include "base/limits.h"
#include "filters/filters.h"

#include <string.h>

#define LOADED_WITHIN 64 /* a process loads its policy among its first records */

/* "tables" of an entry that says that this bundle was loaded, or NULL. Borrowed. */
static const char *loaded_tables(const json_t *entry, const char *bundle)
{
	const char *type = json_string_value(json_object_get(entry, "type"));
	const json_t *body = json_object_get(entry, "body");
	const char *digest = json_string_value(json_object_get(body, "digest"));
	if (!type || strcmp(type, "bundle") != 0 || !digest || strcmp(digest, bundle) != 0)
		return NULL;
	return json_string_value(json_object_get(body, "tables"));
}

/* The entry with this number of a worker; *out NULL: there is none. */
static int numbered_entry(struct audit_log *log, const char *worker, uint64_t n, json_t **out,
			  struct err *e)
{
	uint64_t index;
	struct buf text = { 0 };
	*out = NULL;
	int rc = audit_log_find(log, worker, n, &index, e);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc == 0)
		rc = audit_log_entry(log, index, &text, e);
	if (rc == 0)
		rc = json_read(out, text.bytes, text.len, LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e);
	buf_free(&text);
	return rc;
}

/* What the bundle was matched with in the process of this entry, into tables; "" where no entry
 * says it. */
static int recorded_tables(struct audit_log *log, const json_t *entry, const char *bundle,
			   char *tables, size_t room, struct err *e)
{
	const char *worker = json_string_value(json_object_get(entry, "worker"));
	json_int_t n = json_integer_value(json_object_get(entry, "n"));
	*tables = 0;
	for (json_int_t i = 0; *bundle && worker && i < n && i < LOADED_WITHIN; i++) {
		json_t *before;
		TRY(numbered_entry(log, worker, (uint64_t)i, &before, e));
		const char *found = loaded_tables(before, bundle);
		if (found)
			snprintf(tables, room, "%s", found);
		json_decref(before);
	}
	return 0;
}

/* The version of a name in "NAME-VERSION NAME-VERSION ...", and its length; 0: it is not there. */
static size_t version_in(const char *tables, const char *name, size_t len, const char **version)
{
	for (const char *s = tables; *s; s += strspn(s, " ")) {
		size_t n = strcspn(s, " ");
		*version = s + len + 1;
		if (n > len + 1 && strncmp(s, name, len) == 0 && s[len] == '-')
			return n - len - 1;
		s += n;
	}
	*version = "";
	return 0;
}

int serve_replay_libraries(struct flow *f, const json_t *entry, const char *bundle, json_t **out,
			   struct err *e)
{
	char was[256];
	struct arr list = { 0 };
	TRY(recorded_tables(flow_log(f), entry, bundle, was, sizeof was, e));
	for (const char *s = was; *s; s += strspn(s, " ")) {
		size_t name = strcspn(s, "- ");
		const char *then, *now;
		size_t n = version_in(was, s, name, &then),
		       m = version_in(filter_tables_version(), s, name, &now);
		if (n != m || memcmp(then, now, n) != 0) {
			struct obj row = { 0 };
			obj_bytes(&row, "name", s, name);
			obj_bytes(&row, "recorded", then, n);
			obj_bytes(&row, "found", now, m);
			arr_object(&list, &row);
		}
		s += strcspn(s, " ");
	}
	*out = arr_take(&list);
	return json_ok(*out, e);
}
