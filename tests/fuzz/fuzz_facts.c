/* Files beside the weights: any bytes give facts that differ in nothing from themselves, and
 * findings with all members when they are another model's. */
#include "base/check.h"
#include "base/limits.h"
#include "flow/fork_findings.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const names[] = { "chat_template.jinja", "chat_template.json",
				     "config.json",         "generation_config.json",
				     "tokenizer.json",      "tokenizer_config.json" };
#define FILES (sizeof names / sizeof *names)

/* One file, of that name, or all of them. */
struct bytes {
	struct source base;
	const char *name;
	const uint8_t *at;
	size_t len;
};

static int bytes_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct bytes *b = (const struct bytes *)s;
	if (b->name && strcmp(b->name, name) != 0)
		return err_set(e, ERR_NOTFOUND, "no file %s", name);
	*bytes = b->len;
	return 0;
}

static int bytes_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		      struct err *e)
{
	const struct bytes *b = (const struct bytes *)s;
	uint64_t size;
	TRY(bytes_size(s, name, &size, e));
	if (offset > size || len > size - offset)
		return err_set(e, ERR_INPUT, "past the end");
	if (len)
		memcpy(out, b->at + offset, len);
	return 0;
}

static const char *bytes_name(struct source *s, size_t i)
{
	const struct bytes *b = (const struct bytes *)s;
	return b->name ? i ? NULL : b->name : i < FILES ? names[i] : NULL;
}

static void bytes_close(struct source *s) { (void)s; }

static const struct source_ops ops = { .size = bytes_size,
				       .read = bytes_read,
				       .name = bytes_name,
				       .close = bytes_close };

static void read_facts(struct flow_fork_facts *x, const char *name, const uint8_t *at, size_t len)
{
	struct bytes b = { .base = { .ops = &ops, .label = "bytes" }, .name = name, .at = at, .len = len };
	struct err e;
	*x = (struct flow_fork_facts){ 0 };
	(void)json_read_as(&x->config, at, len, MIB(8), 32, JSON_PYTHON, &e);
	int rc = flow_fork_facts_read(x, &b.base, &b.base, &e);
	check(rc == 0 || rc == ERR_INPUT);
}

static json_t *tell(const struct flow_fork_facts *a, const struct flow_fork_facts *b)
{
	const struct flow_fork_measure m = { .verdict = FORK_DEPENDENT, .share = NAN };
	const struct flow_fork_other other = { .facts = a, .measure = &m, .name = "a", .parent = true };
	const struct flow_fork_case c = { .suspect = b, .name = "b", .other = &other, .others = 1 };
	json_t *list = json_array(), *f;
	struct err e;
	size_t i;
	check(flow_fork_findings(&c, list, &e) == 0);
	json_array_foreach(list, i, f)
		check(json_object_size(f) == 6 && json_is_string(json_object_get(f, "detail")));
	return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const files[] = { "F-TOKENIZER", "F-TEMPLATE", "F-CONFIG" };
	struct flow_fork_facts one, same, part;
	const json_t *f;
	size_t i;
	if (len < 1)
		return 0;
	const char *name = data[0] % (FILES + 1) < FILES ? names[data[0] % (FILES + 1)] : NULL;
	read_facts(&one, name, data + 1, len - 1);
	read_facts(&same, name, data + 1, len - 1);
	read_facts(&part, name, data + 1, (len - 1) / 2);
	json_t *list = tell(&one, &same);
	json_array_foreach(list, i, f) {
		const char *kind = json_string_value(json_object_get(f, "kind"));
		const char *detail = json_string_value(json_object_get(f, "detail"));
		for (size_t k = 0; k < 3; k++)
			check(strcmp(kind, files[k]) != 0 || strstr(detail, "cannot be read"));
	}
	json_decref(list);
	json_decref(tell(&part, &one));
	json_decref(tell(&one, &part));
	flow_fork_facts_free(&one);
	flow_fork_facts_free(&same);
	flow_fork_facts_free(&part);
	return 0;
}
