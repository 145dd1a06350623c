/* E-mail addresses. The regex takes every character that RFC 5321 allows in a local part, so that
 * no beginning of one stays behind; here what a container put before it is cut off again, and what
 * only looks like an address is left alone: repositories, shells, files, packages. */
#include "filters/detect.h"

#include "base/text.h"
#include "filters/view.h"

#include <ctype.h>
#include <string.h>

static bool is_alnum(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80; }

static size_t at_sign(const struct detect_hit *h)
{
	size_t at = h->end;
	while (at > h->start && h->text[at - 1] != '@')
		at--;
	return at > h->start ? at - 1 : h->end;
}

/* ---- the beginning */

/* In Chinese a word like "is" or "to" stands before a local part of ideographs. */
static size_t behind_particle(const char *t, size_t from, size_t at)
{
	static const char *const particle[] = {
		"是", "为", "為", "到", "至", "给", "給", "向", "叫"
	};
	for (size_t i = at; i > from; i--)
		for (size_t k = 0; k < sizeof particle / sizeof *particle; k++) {
			size_t n = strlen(particle[k]);
			if (i >= from + n && i < at && memcmp(t + i - n, particle[k], n) == 0)
				return i;
		}
	return from;
}

/* A script that writes no spaces touches an address on its left: it is text before it. */
static size_t behind_ideographs(const struct detect_hit *h, size_t at)
{
	size_t start = h->start;
	bool ideograph = false;
	for (size_t i = h->start; i < at;) {
		uint32_t cp = 0;
		int n = text_utf8_decode(h->text + i, at - i, &cp);
		bool now = (cp >= 0x2E80 && cp < 0xD800) || (cp >= 0x0E00 && cp < 0x0F00) ||
			   cp >= 0x20000;
		if (ideograph && !now)
			start = i;
		ideograph = now;
		i += n > 0 ? (size_t)n : 1;
	}
	return ideograph ? behind_particle(h->text, start, at) : start;
}

/* "user=" and "?v=1&user=" are a key, "bounce+user=host" is a local part. */
static size_t behind_key(const char *t, size_t from, size_t at)
{
	size_t eq = at;
	while (eq > from && t[eq - 1] != '=')
		eq--;
	if (eq == from || eq == at)
		return from;
	size_t key = eq - 1;
	while (key > from && (isalnum((unsigned char)t[key - 1]) || strchr("_.-", t[key - 1])))
		key--;
	bool is_key = key < eq - 1 && (key == from || strchr("&?{|/", t[key - 1]));
	return is_key ? eq : from;
}

/* "17^a@b.example^x", "{a@b.example}", "*a@b.example*": what comes behind it opened before it. */
static size_t behind_wrapper(const struct detect_hit *h, size_t from, size_t at)
{
	char after = h->end < h->len ? h->text[h->end] : 0;
	char open = after == '}' ? '{' : after;
	if (open && strchr("'`*~_", open))
		while (from < at && h->text[from] == open)
			from++;
	for (size_t i = at; open && strchr("|^{", open) && i > from; i--)
		if (h->text[i - 1] == open && i < at)
			return i;
	return from;
}

/* A path or a host before it: "x.example/a@b.example", "/home/a@b.example". */
static size_t behind_path(const char *t, size_t from, size_t at)
{
	size_t slash = at;
	while (slash > from && t[slash - 1] != '/')
		slash--;
	if (slash == from || slash == at || !is_alnum(t[slash]))
		return from;
	for (size_t i = from; i + 1 < slash; i++)
		if (!isalnum((unsigned char)t[i]))
			return slash;
	bool path = slash - from < 2 || (from > 0 && strchr("/:.\\", t[from - 1]));
	return path ? slash : from;
}

static size_t beginning(const struct detect_hit *h, size_t at)
{
	size_t from = behind_ideographs(h, at);
	from = behind_key(h->text, from, at);
	from = behind_wrapper(h, from, at);
	from = behind_path(h->text, from, at);
	for (size_t i = from; i + 1 < at; i++)
		if (h->text[i] == '.' && h->text[i + 1] == '.')
			from = i + 1;
	while (from < at && strchr(".'`*", h->text[from]))
		from++;
	return from;
}

/* ---- what is no address */

static bool ends_with(const struct detect_hit *h, const char *const *ending)
{
	for (; *ending; ending++) {
		size_t n = strlen(*ending);
		if (h->end - h->start > n && strncasecmp(h->text + h->end - n, *ending, n) == 0)
			return true;
	}
	return false;
}

/* image@2x.png is a file. */
static bool is_file(const struct detect_hit *h, size_t domain)
{
	static const char *const ending[] = {
		".png", ".jpg",  ".jpeg", ".gif", ".svg", ".webp", ".ico",  ".bmp", ".css", ".js",
		".mjs", ".json", ".html", ".txt", ".pdf", ".tiff", ".heic", ".mp4", ".log", ".xml",
		".yml", ".yaml", ".toml", ".tsx", ".jsx", ".java", ".avif", ".csv", ".gz",  NULL,
	};
	size_t i = domain;
	while (i < h->end && isdigit((unsigned char)h->text[i]))
		i++;
	bool scale = i > domain && i + 1 < h->end && h->text[i] == 'x' && h->text[i + 1] == '.';
	return scale || ends_with(h, ending);
}

/* package@1.2.3-rc.one: two labels or more, and all but the last begin with a digit. */
static bool is_version(const struct detect_hit *h, size_t domain)
{
	size_t labels = 0, i = domain;
	bool v = h->text[i] == 'v' && isdigit((unsigned char)h->text[i + 1]);
	for (i += v; i < h->end; labels++) {
		size_t dot = i;
		while (dot < h->end && h->text[dot] != '.')
			dot++;
		if (dot == h->end)
			break;
		if (!isdigit((unsigned char)h->text[i]))
			return false;
		i = dot + 1;
	}
	return labels > (v ? 0 : 1);
}

/* git@host:path, user@host:~$, user@host:/path, scheme://user@host, a@b.mean(). */
static bool is_code(const struct detect_hit *h, size_t at)
{
	char c = h->end < h->len ? h->text[h->end] : 0;
	char next = h->end + 1 < h->len ? h->text[h->end + 1] : 0;
	if (c == '(' || c == '[' || (c == ':' && (next == '/' || next == '~')))
		return true;
	bool url = h->start > 1 && h->text[h->start - 1] == '/' && h->text[h->start - 2] == '/';
	bool git = at - h->start == 3 && memcmp(h->text + h->start, "git", 3) == 0;
	return url || (git && (c == ':' || c == '/'));
}

enum detect_verdict detect_email(struct detect_hit *h)
{
	size_t at = at_sign(h);
	if (at == h->end) /* written out: name [at] example [dot] com */
		return DETECT_YES;
	if (h->text[h->start] == '"')
		return h->text[at - 1] == '"' ? DETECT_YES : DETECT_NO;
	size_t start = beginning(h, at);
	if (start >= at)
		return DETECT_NO;
	h->start = h->head = start;
	bool literal = h->text[at + 1] == '[';
	if (!literal && (is_file(h, at + 1) || is_version(h, at + 1) || is_code(h, at)))
		return DETECT_SKIP;
	return DETECT_YES;
}
