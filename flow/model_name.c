/* A name is taken apart into organisation and name, in lower case. The tables hold what stands
 * around them: a new hub or format is a line. */
#include "flow/model_name.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT 512
#define PARTS 32

struct name {
	char text[TEXT];   /* what part points into */
	char *part[PARTS]; /* between slashes, none empty */
	size_t parts;
	bool path; /* of a file system or a host that is no hub: where it ends counts */
	const char *org, *model; /* "" where there is none */
};

static const char *const hubs[] = {
	"huggingface.co", "hf.co",       "hf-mirror.com",   "modelscope.cn",
	"modelscope.ai",  "hub.hf.co",   "ai.gitee.com",    "gitee.com",
	"wisemodel.cn",   "modelers.cn", "ollama.com",      "registry.ollama.ai",
	"hf.xet.co",      "kaggle.com",  "openi.pcl.ac.cn",
};
static const char *const schemes[] = { "hf://",        "hf:",           "huggingface://",
				       "huggingface:", "modelscope://", "ms://",
				       "ollama://",    "oci://",        "model://" };
/* Before the organisation. */
static const char *const leading[] = { "models", "model", "api", "hf-models", "library" };
/* No models. */
static const char *const others[] = {
	"datasets", "spaces", "collections", "papers", "docs", "blog"
};
/* Behind the name, on a hub's pages. */
static const char *const pages[] = { "tree",    "blob",    "resolve", "raw",        "commit",
				     "commits", "summary", "files",   "discussions" };
/* Where a path ends that is told apart by what stands before. */
static const char *const endings[] = { "final",   "merged", "snapshots",
				       "weights", "hf",     "model.safetensors",
				       "last",    "best" };
/* The same model, stored in another form; at the end, as often as there are some. */
static const char *const formats[] = {
	"gguf",    "ggml",    "gptq",      "awq",       "exl2",        "exl3",   "mlx",  "fp8",
	"fp16",    "bf16",    "fp32",      "f16",       "f32",         "int8",   "int4", "w8a8",
	"w4a16",   "w8a16",   "nf4",       "fp4",       "mxfp4",       "nvfp4",  "4bit", "8bit",
	"3bit",    "2bit",    "6bit",      "4-bit",     "8-bit",       "bnb",    "hf",   "i1",
	"dynamic", "unsloth", "quantized", "quantised", "safetensors", "onnx",   "q2_k", "q3_k_s",
	"q3_k_m",  "q3_k_l",  "q4_0",      "q4_1",      "q4_k_s",      "q4_k_m", "q5_0", "q5_1",
	"q5_k_s",  "q5_k_m",  "q6_k",      "q8_0",      "iq4_xs",
};

#define IN(text, table) in(text, table, sizeof(table) / sizeof *(table))
static bool in(const char *text, const char *const *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, table[i]) == 0)
			return true;
	return false;
}

/* ---- what stands around ---- */

/* The address of "[text](address)", `href="address"` and "<address>"; blanks and quotes off. */
static void unwrap(const char *text, char out[TEXT])
{
	const char *link = strstr(text, "]("), *ref = strstr(text, "href=");
	const char *from = link ? link + 2 : ref ? ref + 5 : text;
	from += strspn(from, " \t\r\n\"'`<([");
	size_t len = strcspn(from, " \t\r\n\"'`<>()[]");
	if (len >= TEXT)
		len = TEXT - 1;
	memcpy(out, from, len);
	out[len] = 0;
	for (char *c = out; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
		if (*c == '\\')
			*c = '/';
	}
}

/* "%2f" and the like, where nothing but ASCII comes of it. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		int high = *from == '%' ? text_hex_digit(from[1]) : -1;
		int low = high >= 0 ? text_hex_digit(from[2]) : -1;
		bool plain = low >= 0 && high >= 2 && high < 8;
		*to++ = plain ? (char)(high * 16 + low) : *from;
		from += plain ? 2 : 0;
	}
	*to = 0;
}

static void split(struct name *n, char *text)
{
	n->parts = 0;
	while (*text && n->parts < PARTS) {
		text += strspn(text, "/");
		if (*text && strcmp(text, ".") != 0)
			n->part[n->parts++] = text;
		text += strcspn(text, "/");
		if (*text)
			*text++ = 0;
	}
}

static void drop_first(struct name *n)
{
	memmove(n->part, n->part + 1, --n->parts * sizeof *n->part);
}

/* ---- where it points ---- */

/* Takes the scheme off; *host: whether a host's name comes first. */
static char *skip_scheme(struct name *n, char *text, bool *host)
{
	static const char *const web[] = { "https://",   "http://", "git+https://",
					   "ssh://git@", "git@",    "ssh://" };
	for (size_t i = 0; i < sizeof web / sizeof *web; i++)
		if (text_starts(text, web[i])) {
			*host = true;
			text += strlen(web[i]);
			text[strcspn(text, "?#")] = 0;
			char *colon = strchr(text, ':'); /* git@host:org/name */
			if (colon && colon < text + strcspn(text, "/"))
				*colon = '/';
			return text;
		}
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (text_starts(text, schemes[i]))
			return text + strlen(schemes[i]);
	n->path = strchr("/.~$", *text) || strstr(text, "://") ||
		  (text[0] && text[1] == ':' && text[2] == '/');
	return text;
}

/* Takes a hub's host off, and what stands before the organisation. false: it names no model. */
static bool skip_hub(struct name *n, bool host)
{
	const char *first = n->parts ? n->part[0] : "";
	first += text_starts(first, "www.") ? 4 : 0;
	bool hub = !n->path && IN(first, hubs);
	if (hub)
		drop_first(n);
	else if (host)
		n->path = true;
	if (n->path)
		return n->parts > 0;
	while (n->parts > 1 && IN(n->part[0], leading) && (hub || n->parts > 2))
		drop_first(n);
	if (n->parts && IN(n->part[0], others))
		return false;
	if (n->parts > 2 && !hub && !IN(n->part[2], pages) && !strchr(n->part[2], '.'))
		n->path = true; /* a/b/c: no hub has that */
	return n->parts > 0;
}

static bool is_hex(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");
	return n >= 7 && text[n] == 0;
}

/* A path's organisation and name: those of a folder of a hub's cache, else where it ends. */
static void end_of_path(struct name *n)
{
	for (size_t i = 0; i < n->parts; i++) {
		char *org = n->part[i] + strlen("models--"), *model;
		if (!text_starts(n->part[i], "models--") || !(model = strstr(org, "--")))
			continue;
		*model = 0;
		n->org = org;
		n->model = model + 2;
		n->path = false;
		return;
	}
	while (n->parts > 1) {
		const char *last = n->part[n->parts - 1];
		if (!IN(last, endings) && !text_starts(last, "checkpoint") && !is_hex(last))
			break;
		n->parts--;
	}
	n->model = n->parts ? n->part[n->parts - 1] : "";
}

/* Ends the name before what is no part of it. */
static void trim_end(char *model)
{
	static const char *const tails[] = { ".git", ".gguf", ".safetensors" };
	model[strcspn(model, "@:?#")] = 0;
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
		if (text_ends(model, tails[i]))
			model[strlen(model) - strlen(tails[i])] = 0;
}

static bool read_name(const char *text, struct name *n)
{
	bool host = false;
	char *from;
	*n = (struct name){ .org = "", .model = "" };
	unwrap(text, n->text);
	unescape(n->text);
	from = skip_scheme(n, n->text, &host);
	split(n, from);
	if (!skip_hub(n, host))
		return false;
	if (n->path) {
		end_of_path(n);
	} else if (n->parts == 1) {
		n->model = n->part[0];
	} else {
		n->org = n->part[0];
		n->model = n->part[1];
	}
	trim_end((char *)n->model);
	return n->model[0] != 0;
}

/* ---- compared ---- */

/* Without what only says how it is stored. */
static void stem(const char *model, char out[TEXT])
{
	snprintf(out, TEXT, "%s", model);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
			size_t len = strlen(out), tail = strlen(formats[i]);
			if (len < tail + 2 || !text_ends(out, formats[i]) ||
			    !strchr("-_.", out[len - tail - 1]))
				continue;
			out[len - tail - 1] = 0;
			more = true;
		}
	}
}

enum flow_match flow_name_match(const char *text, const char *model)
{
	struct name a, b;
	char x[TEXT], y[TEXT];
	if (!read_name(text, &a) || !read_name(model, &b))
		return FLOW_OTHER;
	bool org = strcmp(a.org, b.org) == 0, name = strcmp(a.model, b.model) == 0;
	if (org && name && a.org[0])
		return FLOW_SAME;
	if (!org && a.org[0] && b.org[0])
		return FLOW_OTHER;
	if (name)
		return FLOW_ALIKE;
	stem(a.model, x);
	stem(b.model, y);
	return strcmp(x, y) == 0 ? FLOW_ALIKE : FLOW_OTHER;
}
