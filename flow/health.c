#include "flow/health.h"
#include "audit/door.h"
#include "base/file.h"
#include "flow/home.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(FLOW_WHO_ROOM == AUDIT_WHO_ROOM, "one text");

bool flow_home_holder(const char *home, char who[FLOW_WHO_ROOM])
{
	return audit_claim_holder(home, who);
}

/* The time of an entry; *entries: how many there are. */
static int entry_time(struct flow *f, uint64_t index, int64_t *time_us, uint64_t *entries,
		      struct err *e)
{
	json_t *report = NULL;
	TRY(flow_audit_list(f, index, 1, &report, e));
	const json_t *first = json_array_get(json_object_get(report, "entries"), 0);
	const json_t *entry = json_object_get(first, "entry");
	*time_us = json_integer_value(json_object_get(entry, "time_us"));
	*entries = (uint64_t)json_integer_value(json_object_get(report, "size"));
	json_decref(report);
	return 0;
}

int flow_growth(struct flow *f, int64_t window_us, struct flow_growth *out, struct err *e)
{
	int64_t at, since = env_now_us(flow_env(f)) - window_us;
	uint64_t size;
	*out = (struct flow_growth){ 0 };
	TRY(entry_time(f, 0, &at, &out->entries, e));
	if (!out->entries)
		return 0;
	TRY(entry_time(f, out->entries - 1, &out->last_us, &size, e));
	/* Times never fall along the log: the first entry of the window, by halving. */
	uint64_t low = 0, high = out->entries;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		TRY(entry_time(f, middle, &at, &size, e));
		if (at < since)
			low = middle + 1;
		else
			high = middle;
	}
	out->recent = out->entries - low;
	return 0;
}

int flow_home_bytes(const char *home, uint64_t *out, struct err *e)
{
	static const char *const skip[] = { "cache", "trust", "policy", "keys", "forks" };
	struct file_tree tree = { 0 };
	struct stat st;
	*out = 0;
	int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "state folder %s", home);
	int rc = file_walk(fd, skip, sizeof skip / sizeof *skip, &tree, e);
	for (size_t i = 0; rc == 0 && i < tree.count; i++)
		if (fstatat(fd, tree.entry[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*out += (uint64_t)st.st_blocks * 512;
	file_tree_free(&tree);
	close(fd);
	return rc;
}
