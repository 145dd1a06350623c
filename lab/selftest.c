/* Selftest: proves on the user's own machine that the engine computes, the tokenizer splits and the
 * template renders what independent implementations do. Without arguments: the segmentation
 * property of the filters on built-in rules. */
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "engine/engine.h"
#include "model/gguf.h"
#include "model/tensors.h"
#include "template/template.h"
#include "tokenizer/tokenizer.h"
#include "filters/filters.h"
#include "lab/lab.h"
#include "lab/oracle.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int keep_name(char ***list, size_t *count, const char *name, struct err *e)
{
	char **grown = realloc(*list, (*count + 1) * sizeof *grown);
	char *copy = grown ? strdup(name) : NULL;
	if (grown)
		*list = grown;
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory for a list of cases");
	grown[(*count)++] = copy;
	return 0;
}

/* Folders below dir that hold expected.safetensors, sorted; free each and the list, also after an
 * error. */
static int list_cases(const char *dir, char ***out, size_t *count, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	char path[LIMIT_PATH_BYTES + 300];
	int rc = 0;
	*out = NULL;
	*count = 0;
	if (!d)
		return err_errno(e, "open %s", dir);
	while (rc == 0 && (x = readdir(d))) {
		snprintf(path, sizeof path, "%s/%s/expected.safetensors", dir, x->d_name);
		if (file_exists(path))
			rc = keep_name(out, count, x->d_name, e);
	}
	closedir(d);
	TRY(rc);
	if (*count == 0)
		return err_set(e, ERR_NOTFOUND,
			       "%s holds no oracle case (folders with expected.safetensors)", dir);
	qsort(*out, *count, sizeof **out, by_name);
	return 0;
}

static int run_oracles(const struct lab_selftest *t, json_t *cases, struct err *e)
{
	char **name;
	size_t count;
	int rc = list_cases(t->oracles, &name, &count, e);
	for (size_t i = 0; i < count; i++) {
		if (rc == 0)
			rc = lab_oracle_run(t, name[i], cases, e);
		free(name[i]);
	}
	free(name);
	return rc;
}

static int write_dump(const struct lab_selftest *t, const char *name, struct buf *text,
		      struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	int rc = buf_done(text, e);
	if (rc == 0 && t->dump) {
		rc = file_make_dirs(t->dump, 0755, e);
		if (rc == 0)
			rc = file_join(path, t->dump, name, e);
		if (rc == 0)
			rc = file_write_durable(path, text->bytes ? text->bytes : "", text->len,
						0644, e);
	}
	buf_free(text);
	return rc;
}

static void add_case(json_t *cases, const char *name, bool ok, const char *detail)
{
	json_array_append_new(cases, json_pack("{s:s,s:b,s:f,s:f,s:s}", "name", name, "ok", ok,
					       "max_error", ok ? 0.0 : 1.0, "tolerance", 0.0,
					       "detail", detail));
}

static bool same_ids(const json_t *want, const struct token_ids *got)
{
	if (json_array_size(want) != got->count)
		return false;
	for (size_t i = 0; i < got->count; i++)
		if (json_integer_value(json_array_get(want, i)) != (json_int_t)got->id[i])
			return false;
	return true;
}

/* ---- tokenizer ---- */

static int tokenizer_line(const struct tokenizer *tok, const json_t *want, size_t line,
			  json_t *cases, struct buf *dump, struct err *e)
{
	const json_t *text = json_object_get(want, "text");
	struct token_ids ids = { 0 };
	struct buf decoded = { 0 };
	struct err why = { 0 };
	char name[32];
	int rc = tokenizer_encode(tok, json_string_value(text), json_string_length(text), true,
				  false, &ids, &why);
	if (rc == 0)
		rc = tokenizer_decode(tok, ids.id, ids.count, false, &decoded, &why);
	const json_t *back = json_object_get(want, "decoded");
	bool ok =
		rc == 0 && same_ids(json_object_get(want, "ids"), &ids) &&
		json_string_length(back) == decoded.len &&
		memcmp(json_string_value(back), decoded.len ? decoded.bytes : "", decoded.len) == 0;
	snprintf(name, sizeof name, "line %zu", line);
	add_case(cases, name, ok, why.text);
	buf_add_text(dump, "{\"ids\":[");
	for (size_t i = 0; i < ids.count; i++)
		buf_printf(dump, "%s%u", i ? "," : "", ids.id[i]);
	buf_add_text(dump, "],\"decoded\":");
	text_json_string(dump, decoded.bytes ? decoded.bytes : "", decoded.len);
	buf_add_text(dump, "}\n");
	token_ids_free(&ids);
	buf_free(&decoded);
	return buf_done(dump, e);
}

/* tokenizer.json, or what a GGUF file has in place of it. */
static int read_tokenizer(const char *path, struct buf *out, struct err *e)
{
	struct source *under = NULL, *gguf = NULL;
	if (!text_ends(path, ".gguf"))
		return file_read(path, LIMIT_JSON_BYTES, out, e);
	int rc = model_gguf_files(&under, path, e);
	if (rc == 0)
		rc = model_gguf_folder(&gguf, under, e);
	if (rc == 0)
		rc = source_read_file(gguf, "tokenizer.json", LIMIT_JSON_BYTES, out, e);
	source_close(gguf);
	source_close(under);
	return rc;
}

static int run_tokenizer(const struct lab_selftest *t, json_t *cases, struct err *e)
{
	struct buf file = { 0 }, lines = { 0 }, dump = { 0 };
	struct tokenizer *tok = NULL;
	json_error_t why; /* a case may hold NUL, which no document of ours does */
	if (!t->cases)
		return err_set(e, ERR_USAGE, "selftest --tokenizer FILE needs --cases FILE");
	int rc = read_tokenizer(t->tokenizer, &file, e);
	if (rc == 0)
		rc = tokenizer_open(&tok, file.bytes, file.len, e);
	if (rc == 0)
		rc = file_read(t->cases, LIMIT_JSON_BYTES, &lines, e);
	size_t line = 0;
	for (char *at = lines.bytes; rc == 0 && at && *at;) {
		size_t n = strcspn(at, "\n");
		json_t *want = NULL;
		line++;
		if (n > 0) {
			want = json_loadb(at, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
			rc = want ? tokenizer_line(tok, want, line, cases, &dump, e)
				  : err_set(e, ERR_INPUT, "%s line %zu: %s", t->cases, line,
					    why.text);
		}
		json_decref(want);
		at += n + (at[n] == '\n');
	}
	if (rc == 0)
		rc = write_dump(t, "tokenizer.jsonl", &dump, e);
	buf_free(&dump);
	buf_free(&lines);
	buf_free(&file);
	if (tok)
		tokenizer_close(tok);
	return rc;
}

/* ---- templates ---- */

static int64_t parse_now(const char *now)
{
	struct tm tm = { 0 };
	if (!now || sscanf(now, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64_t)timegm(&tm) * 1000000;
}

static json_t *template_vars(const json_t *want)
{
	json_t *vars = json_deep_copy(json_object_get(want, "vars"));
	json_t *prompt = json_object_get(want, "add_generation_prompt");
	if (!vars)
		vars = json_object();
	json_object_set(vars, "messages", json_object_get(want, "messages"));
	json_t *tools = json_object_get(want, "tools");
	json_object_set(vars, "tools", tools ? tools : json_null());
	if (prompt && !json_is_null(prompt))
		json_object_set(vars, "add_generation_prompt", prompt);
	return vars;
}

static int template_case(const json_t *want, json_t *cases, struct buf *dump, struct err *e)
{
	const json_t *text = json_object_get(want, "template"),
		     *expected = json_object_get(want, "expected");
	const char *name = json_string_value(json_object_get(want, "name"));
	struct buf out = { 0 };
	struct err why = { 0 };
	json_t *vars = template_vars(want);
	int rc = template_render(json_string_value(text), json_string_length(text), vars,
				 parse_now(json_string_value(json_object_get(want, "now"))), &out,
				 NULL, &why);
	bool ok = json_is_string(expected) ? rc == 0 && json_string_length(expected) == out.len &&
						     memcmp(json_string_value(expected),
							    out.len ? out.bytes : "", out.len) == 0
					   : rc < 0;
	add_case(cases, name ? name : "?", ok, rc < 0 ? why.text : "");
	buf_add_text(dump, rc < 0 ? "{\"error\":" : "{\"text\":");
	if (rc < 0)
		text_json_string(dump, why.text, strlen(why.text));
	else
		text_json_string(dump, out.bytes ? out.bytes : "", out.len);
	buf_add_text(dump, "}\n");
	json_decref(vars);
	buf_free(&out);
	return buf_done(dump, e);
}

static int run_templates(const struct lab_selftest *t, json_t *cases, struct err *e)
{
	struct buf file = { 0 }, dump = { 0 };
	json_t *list = NULL, *want;
	size_t i;
	int rc = file_read(t->templates, LIMIT_JSON_BYTES, &file, e);
	if (rc == 0)
		rc = json_read(&list, file.bytes, file.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH, e);
	if (rc == 0 && !json_is_array(list))
		rc = err_set(e, ERR_INPUT, "%s: expected a list of cases", t->templates);
	if (rc == 0) {
		json_array_foreach(list, i, want) {
			rc = template_case(want, cases, &dump, e);
			if (rc < 0)
				break;
		}
	}
	if (rc == 0)
		rc = write_dump(t, "templates.jsonl", &dump, e);
	buf_free(&dump);
	buf_free(&file);
	json_decref(list);
	return rc;
}

/* ---- segmentation ---- */

/* Feed text in two pieces cut at `cut`; append output and findings as text. */
static int scan_cut(const struct filter_set *set, const char *text, size_t cut, struct buf *out,
		    struct err *e)
{
	struct filter_stream *f;
	struct cleared c;
	size_t len = strlen(text);
	TRY(filter_stream_open(&f, set, false, e));
	int rc = filter_stream_push(f, text, cut, &c, e);
	if (rc >= 0)
		buf_add(out, c.bytes, c.len);
	if (rc == FILTER_OPEN)
		rc = filter_stream_push(f, text + cut, len - cut, &c, e);
	if (rc >= 0)
		buf_add(out, c.bytes, c.len);
	if (rc == FILTER_OPEN)
		rc = filter_stream_end(f, &c, e);
	if (rc >= 0) {
		const struct filter_record *r = filter_stream_record(f);
		buf_add(out, c.bytes, c.len);
		for (size_t i = 0; i < r->findings; i++)
			buf_printf(out, "|%s %llu %llu", r->finding[i].rules,
				   (unsigned long long)r->finding[i].start,
				   (unsigned long long)r->finding[i].end);
	}
	filter_stream_close(f);
	return rc < 0 ? rc : buf_done(out, e);
}

static int run_segmentation(json_t *cases, struct err *e)
{
	static const char *const words[] = { "Project Larkspur" };
	static const struct filter_rule rules[] = {
		{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
		{ .id = "mail", .action = FILTER_REDACT, .detector = "email" },
		{ .id = "name",
		  .action = FILTER_REDACT,
		  .literal = words,
		  .literal_count = 1,
		  .fold = FILTER_FOLD_STRICT },
	};
	static const char *const texts[] = {
		"card 4111 1111 1111 1111, mail a.b@example.com.",
		"Proj\xc3\xa9"
		"ct project l\xe2\x80\x8b"
		"arkspur!",
		"\xf0\x9f\x98\x80 4111-1111",
	};
	struct filter_set *set;
	TRY(filter_set_build(&set, rules, sizeof rules / sizeof *rules, e));
	int rc = 0;
	for (size_t t = 0; rc == 0 && t < sizeof texts / sizeof *texts; t++) {
		struct buf whole = { 0 };
		bool same = true;
		rc = scan_cut(set, texts[t], 0, &whole, e);
		for (size_t cut = 1; rc == 0 && cut <= strlen(texts[t]); cut++) {
			struct buf cutted = { 0 };
			rc = scan_cut(set, texts[t], cut, &cutted, e);
			same = same && cutted.len == whole.len &&
			       (whole.len == 0 ||
				memcmp(cutted.bytes, whole.bytes, whole.len) == 0);
			buf_free(&cutted);
		}
		add_case(cases, "segmentation", same, same ? "" : texts[t]);
		buf_free(&whole);
	}
	filter_set_free(set);
	return rc;
}

/* Without reference models nothing is computed; a device that was asked for must be there. */
static int find_device(const struct lab_selftest *t, struct err *e)
{
	const struct serve_compute how = { .device = t->device, .threads = t->threads };
	struct engine_options options;
	struct engine_means means;
	TRY(serve_compute_read(&how, &options, e));
	return engine_means(&options, &means, e);
}

int lab_selftest(const struct lab_selftest *t, json_t **report, struct err *e)
{
	json_t *cases = json_array(), *item;
	size_t i;
	json_int_t passed = 0;
	int rc = json_ok(cases, e);
	if (rc == 0)
		rc = t->oracles ? run_oracles(t, cases, e) : find_device(t, e);
	if (rc == 0 && t->tokenizer)
		rc = run_tokenizer(t, cases, e);
	if (rc == 0 && t->templates)
		rc = run_templates(t, cases, e);
	if (rc == 0 && !t->oracles && !t->tokenizer && !t->templates)
		rc = run_segmentation(cases, e);
	json_array_foreach(cases, i, item)
		passed += json_is_true(json_object_get(item, "ok"));
	*report = rc == 0 ? json_pack("{s:O,s:I,s:I}", "cases", cases, "passed", passed, "failed",
				      (json_int_t)json_array_size(cases) - passed)
			  : NULL;
	json_decref(cases);
	return rc < 0 ? rc : json_ok(*report, e);
}
