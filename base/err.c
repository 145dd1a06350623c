#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(err_set)(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	char text[sizeof e->text]; /* the arguments may point into e->text */
	va_list args;
	va_start(args, fmt);
	int len = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	e->code = code;
	e->kind = NULL;
	e->at[0] = 0;
	/* a sentence may quote input, and cut a quotation within a character */
	text_escape(e->text, sizeof e->text, text, strlen(text), len >= (int)sizeof text);
	return code;
}

static int code_of_errno(int number)
{
	if (number == ENOENT)
		return ERR_NOTFOUND;
	return number == ENOMEM ? ERR_NOMEM : ERR_IO;
}

int(err_errno)(struct err *e, const char *fmt, ...)
{
	int number = errno, code = code_of_errno(number);
	if (!e)
		return code;
	char context[400], reason[100];
	va_list args;
	va_start(args, fmt);
	vsnprintf(context, sizeof context, fmt, args);
	va_end(args);
	return err_set(e, code, "%s: %s", context, strerror_r(number, reason, sizeof reason));
}

int err_at(struct err *e, int code, const char *kind, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list args;
	va_start(args, fmt);
	vsnprintf(e->at, sizeof e->at, fmt, args);
	va_end(args);
	e->kind = kind;
	return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	if (!e)
		return ERR_IO;
	if (e->code == 0)
		err_set(e, ERR_IO, "%s", err_name(ERR_IO));
	char context[sizeof e->text];
	struct err was = *e; /* its kind and place stay */
	va_list args;
	va_start(args, fmt);
	vsnprintf(context, sizeof context, fmt, args);
	va_end(args);
	size_t n = strlen(context);
	if (strncmp(was.text, context, n) == 0 && (was.text[n] == ':' || was.text[n] == '/'))
		return was.code;
	err_set(e, was.code, "%s: %s", context, was.text);
	return err_at(e, was.code, was.kind, "%s", was.at);
}

const char *err_name(int code)
{
	static const char *const names[] = {
		"no error",
		"malformed input",
		"wrong usage",
		"verification failed",
		"denied by policy",
		"not found",
		"conflict with what exists",
		"unavailable, try again",
		"not supported",
		"input or output error",
		"out of memory",
	};
	int i = code >= 0 ? 0 : -code;
	return i < (int)(sizeof names / sizeof *names) ? names[i] : "unknown error";
}

int err_exit_status(int code)
{
	switch (code) {
	case ERR_USAGE:
		return 2;
	case ERR_VERIFY:
		return 3;
	case ERR_DENIED:
		return 4;
	case ERR_NOTFOUND:
		return 5;
	case ERR_CONFLICT:
		return 6;
	case ERR_UNAVAILABLE:
		return 7;
	default:
		return code < 0 ? 1 : 0;
	}
}
