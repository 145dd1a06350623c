/* The state folder, as the doctor sees it. */
#include "base/file.h"
#include "base/machine.h"
#include "base/text.h"
#include "cli/doctor.h"
#include "flow/access.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#define DAY_US (86400 * (int64_t)1000000)

/* "3 days", "5 h", "12 min", "40 s". */
static const char *span(int64_t us, char out[40])
{
	static const struct {
		int64_t us;
		const char *unit;
	} units[] = { { DAY_US, "days" }, { 3600000000, "h" }, { 60000000, "min" } };
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (us >= 2 * units[i].us) {
			snprintf(out, 40, "%lld %s", (long long)(us / units[i].us), units[i].unit);
			return out;
		}
	snprintf(out, 40, "%lld s", (long long)(us / 1000000));
	return out;
}

static void check_folder(struct cli_doctor *d)
{
	struct err why = { 0 };
	struct stat st;
	char remedy[LIMIT_PATH_BYTES + 40];
	if (flow_home_find(&d->c->env, d->c->home, d->home, &why) < 0) {
		cli_doctor_say(d, "home", CLI_FAIL, "set HALLMARK_HOME, or give --home DIR", "%s",
			       why.text);
		d->home[0] = 0;
		return;
	}
	for (size_t n = strlen(d->home); n > 1 && d->home[n - 1] == '/';)
		d->home[--n] = 0;
	if (stat(d->home, &st) < 0) {
		cli_doctor_say(d, "home", errno == ENOENT ? CLI_WARN : CLI_FAIL,
			       "the first command that writes makes it, such as `hallmark registry "
			       "init`; or give --home DIR",
			       "%.300s: %s", d->home, strerror(errno));
		d->home[0] = 0;
		return;
	}
	snprintf(remedy, sizeof remedy, "chmod 700 %s", d->home);
	if (!S_ISDIR(st.st_mode))
		cli_doctor_say(d, "home", CLI_FAIL, "name a folder", "%.300s is no folder",
			       d->home);
	else if (st.st_uid != geteuid() && geteuid() != 0)
		cli_doctor_say(d, "home", CLI_FAIL, "run as that user, or give --home DIR",
			       "%.300s belongs to user %u", d->home, (unsigned)st.st_uid);
	else if (st.st_mode & 077)
		cli_doctor_say(d, "home", CLI_FAIL, remedy,
			       "%.300s can be used by others (mode %03o)", d->home,
			       st.st_mode & 0777u);
	else
		cli_doctor_say(d, "home", CLI_OK, NULL, "%.300s, mode %03o, of user %u", d->home,
			       st.st_mode & 0777u, (unsigned)st.st_uid);
}

/* Secret keys are their owner's alone. */
static void check_keys(struct cli_doctor *d)
{
	char path[LIMIT_PATH_BYTES], remedy[LIMIT_PATH_BYTES + 80];
	struct err why = { 0 };
	struct dirent *one;
	unsigned keys = 0, open_keys = 0;
	DIR *dir = file_join(path, d->home, "keys", &why) == 0 ? opendir(path) : NULL;
	while (dir && (one = readdir(dir))) {
		struct stat st;
		if (!text_ends(one->d_name, ".key") ||
		    fstatat(dirfd(dir), one->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		keys++;
		open_keys += (st.st_mode & 077) != 0;
	}
	if (dir)
		closedir(dir);
	snprintf(remedy, sizeof remedy,
		 "chmod 600 %s/*.key; who could read them may have copied them: make new ones",
		 path);
	if (!dir)
		cli_doctor_say(d, "keys", CLI_WARN, NULL, "no folder %.300s", path);
	else if (open_keys)
		cli_doctor_say(d, "keys", CLI_FAIL, remedy,
			       "%u of %u secret keys can be used by others", open_keys, keys);
	else
		cli_doctor_say(d, "keys", CLI_OK, NULL, "%u secret keys, for their owner alone",
			       keys);
}

static void check_claim(struct cli_doctor *d)
{
	if (flow_home_holder(d->home, d->holder))
		cli_doctor_say(d, "writer", CLI_OK, NULL, "%s", d->holder);
	else
		cli_doctor_say(d, "writer", CLI_OK, NULL, "nobody writes now");
}

/* ---- the log ---- */

static void check_times(struct cli_doctor *d, const struct flow_growth *g)
{
	int64_t now = env_now_us(&d->c->env), age = now - g->last_us;
	struct timex clock = { 0 };
	char how[40];
	bool unsure = adjtimex(&clock) >= 0 && (clock.status & STA_UNSYNC);
	if (g->last_us && age < -1000000)
		cli_doctor_say(d, "clock", CLI_FAIL,
			       "set it right (timedatectl): entries are never earlier than the one "
			       "before",
			       "it is %s behind the last entry of the log", span(-age, how));
	else if (unsure)
		cli_doctor_say(d, "clock", CLI_WARN,
			       "let chrony or systemd-timesyncd keep it; records carry its time",
			       "nothing keeps it right, as far as the kernel knows");
	else
		cli_doctor_say(d, "clock", CLI_OK, NULL, "kept right, and not behind the log");
}

static void check_disk(struct cli_doctor *d, const struct flow_growth *g)
{
	static const char remedy[] = "make room, or move the state folder: a full disk stops all "
				     "answers, since none goes out unrecorded";
	struct err why = { 0 };
	uint64_t room = machine_disk(d->home), used = 0;
	double day = 0, days = 1e9;
	if (room == UINT64_MAX) {
		cli_doctor_say(d, "disk", CLI_WARN, NULL, "what is free is not known");
		return;
	}
	if (g->entries && g->recent && flow_home_bytes(d->home, &used, &why) == 0)
		day = (double)used / (double)g->entries * (double)g->recent;
	if (day > 0)
		days = (double)room / day;
	enum cli_health health = room < MIB(100) || days < 2     ? CLI_FAIL
				 : room < MIB(1024) || days < 14 ? CLI_WARN
								 : CLI_OK;
	if (day > 0)
		cli_doctor_say(d, "disk", health, remedy,
			       "%.1f GB free, enough for %.0f days at the last day's rate (%llu "
			       "entries, %.1f MB)",
			       (double)room / 1e9, days, (unsigned long long)g->recent, day / 1e6);
	else
		cli_doctor_say(d, "disk", health, remedy, "%.1f GB free; no entry in the last day",
			       (double)room / 1e9);
}

/* Opened as every command does: signature of the checkpoint, and the newest part against it. */
static void check_log(struct cli_doctor *d)
{
	struct err why = { 0 };
	struct flow_options o = cli_flow_options(d->c, true);
	struct flow_growth g = { 0 };
	char age[40];
	o.home = d->home;
	o.quiet = true;
	int rc = flow_open(&d->f, &o, &why);
	if (rc == 0)
		rc = flow_growth(d->f, DAY_US, &g, &why);
	else
		d->f = NULL;
	if (rc == ERR_NOTFOUND) {
		cli_doctor_say(d, "log", CLI_WARN, "`hallmark registry init` begins one", "%s",
			       why.text);
	} else if (rc < 0) {
		d->wrong |= rc == ERR_VERIFY;
		cli_doctor_say(d, "log", CLI_FAIL,
			       "`hallmark audit verify` says all that is wrong; put a backup back, "
			       "or see \"what is found when\" in docs/trust.md",
			       "%s", why.text);
	} else {
		cli_doctor_say(d, "log", CLI_OK, NULL,
			       "%llu entries under a valid checkpoint, the last %s ago",
			       (unsigned long long)g.entries,
			       span(env_now_us(&d->c->env) - g.last_us, age));
	}
	check_times(d, &g);
	check_disk(d, &g);
}

/* ---- tokens ---- */

struct tokens {
	size_t usable, expired, revoked, endless; /* endless: admins that never expire */
	char name[80];                            /* of one of these */
};

static void count_token(const json_t *t, int64_t now, struct tokens *n)
{
	const char *expires = json_string_value(json_object_get(t, "expires"));
	const char *roles = json_string_value(json_object_get(t, "roles"));
	const char *name = json_string_value(json_object_get(t, "name"));
	int64_t end = 0;
	bool ends = expires && text_time_parse(expires, &end) == 0;
	if (json_is_string(json_object_get(t, "revoked"))) {
		n->revoked++;
	} else if (ends && end <= now) {
		n->expired++;
	} else {
		n->usable++;
		if (!ends && roles && strstr(roles, "admin")) {
			n->endless++;
			snprintf(n->name, sizeof n->name, "%.64s", name ? name : "");
		}
	}
}

static void check_tokens(struct cli_doctor *d)
{
	struct err why = { 0 };
	struct tokens n = { 0 };
	json_t *report = NULL, *t;
	size_t i;
	if (!d->f)
		return;
	if (flow_token_list(d->f, &report, &why) < 0) {
		cli_doctor_say(d, "tokens", CLI_WARN, NULL, "%s", why.text);
		return;
	}
	json_array_foreach(json_object_get(report, "tokens"), i, t)
		count_token(t, env_now_us(&d->c->env), &n);
	json_decref(report);
	d->tokens = n.usable;
	if (n.endless)
		cli_doctor_say(d, "tokens", CLI_WARN,
			       "`hallmark token new` with --expires, then `hallmark token revoke` "
			       "the old one",
			       "%zu in use; %zu with the role admin never expire, such as %s",
			       n.usable, n.endless, n.name);
	else
		cli_doctor_say(d, "tokens", CLI_OK, NULL, "%zu in use, %zu expired, %zu revoked",
			       n.usable, n.expired, n.revoked);
}

void cli_doctor_state(struct cli_doctor *d)
{
	check_folder(d);
	if (!d->home[0])
		return;
	check_keys(d);
	check_claim(d);
	check_log(d);
	check_tokens(d);
}
