/* A package from anywhere: where it is accepted, each file read by its place is what unpacking would give. */
#include "base/check.h"
#include "base/limits.h"
#include "base/package.h"
#include "base/source.h"
#include "base/text.h"

#include <archive_entry.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define APART ".hallmark"

static void compare_entry(struct archive *a, struct archive_entry *entry, struct source *s,
			  struct source *beside)
{
	static char streamed[1 << 16];
	struct err e = { 0 };
	struct buf placed = { 0 };
	const char *name = archive_entry_pathname(entry);
	bool apart = text_starts(name, APART "/");
	if (archive_entry_filetype(entry) != AE_IFREG)
		return;
	check(source_read_file(apart ? beside : s, name + (apart ? sizeof APART : 0), SIZE_MAX,
			       &placed, &e) == 0);
	size_t done = 0;
	for (;;) {
		la_ssize_t n = archive_read_data(a, streamed, sizeof streamed);
		check(n >= 0);
		if (n == 0)
			break;
		check((size_t)n <= placed.len - done &&
		      memcmp(placed.bytes + done, streamed, (size_t)n) == 0);
		done += (size_t)n;
	}
	check(done == placed.len);
	buf_free(&placed);
}

static void compare(const uint8_t *bytes, size_t len, struct source *s, struct source *beside)
{
	struct err e = { 0 };
	struct package_locale locale;
	struct archive_entry *entry = NULL;
	struct archive *a = archive_read_new();
	check(package_locale_enter(&locale, &e) == 0);
	check(archive_read_support_format_tar(a) == ARCHIVE_OK);
	check(archive_read_open_memory(a, bytes, len) == ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK)
		compare_entry(a, entry, s, beside);
	archive_read_free(a);
	package_locale_leave(&locale);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct err e = { 0 };
	struct source *s = NULL, *beside = NULL;
	char path[32];
	int fd = memfd_create("package", MFD_CLOEXEC);
	check(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (source_open_package(&s, &beside, path, APART, &e) == 0)
		compare(bytes, len, s, beside);
	source_close(s);
	source_close(beside);
	close(fd);
	return 0;
}
