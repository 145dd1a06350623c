#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *emulated(const char *name)
{
	static char path[4200];
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	cr_assert_gt(len, 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof path, "%s/../emulator/%s", self, name);
	return path;
}
