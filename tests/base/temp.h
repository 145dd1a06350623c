/* A temporary folder for one test. */
#ifndef TESTS_BASE_TEMP_H
#define TESTS_BASE_TEMP_H

#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct temp {
	char dir[64];
	char path[LIMIT_PATH_BYTES];
};

static inline void temp_open(struct temp *t)
{
	snprintf(t->dir, sizeof t->dir, "/tmp/hallmark-test-XXXXXX");
	cr_assert_not_null(mkdtemp(t->dir));
}

/* dir/name, until the next call. */
static inline const char *temp_path(struct temp *t, const char *name)
{
	cr_assert_eq(file_join(t->path, t->dir, name, NULL), 0);
	return t->path;
}

static inline void temp_close(struct temp *t) { cr_assert_eq(file_remove_tree(t->dir, NULL), 0); }

#endif
