#include "base/package.h"

#include <errno.h>

int package_locale_enter(struct package_locale *l, struct err *e)
{
	l->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (l->utf8 == (locale_t)0)
		return err_set(e, ERR_IO,
			       "the system has no C.UTF-8 locale, which reading packages needs");
	l->before = uselocale(l->utf8);
	return 0;
}

void package_locale_leave(struct package_locale *l)
{
	uselocale(l->before);
	freelocale(l->utf8);
}

int package_error(struct archive *a, const char *what, struct err *e)
{
	int code = archive_errno(a);
	const char *text = archive_error_string(a);
	int kind = code == ENOMEM                                   ? ERR_NOMEM
		   : code == ENOSPC || code == EIO || code == EFBIG ? ERR_IO
								    : ERR_INPUT;
	if (code == ENOSPC)
		text = "the disk is full";
	return err_set(e, kind, "cannot %s the package: %s", what, text ? text : "damaged");
}
