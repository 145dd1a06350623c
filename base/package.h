/* What writing and reading of packages share; the format is told in source_package.c. */
#ifndef BASE_PACKAGE_H
#define BASE_PACKAGE_H

#include "base/err.h"

#include <archive.h>
#include <locale.h>

/* libarchive converts names by the thread's locale. A UTF-8 locale is set while it works, so that
 * names come out as they went in. */
struct package_locale {
	locale_t utf8, before;
};
int package_locale_enter(struct package_locale *l, struct err *e) MUST_USE;
void package_locale_leave(struct package_locale *l);

/* libarchive's last error as one of ours; what is "read" or "write". */
int package_error(struct archive *a, const char *what, struct err *e) MUST_USE;

#endif
