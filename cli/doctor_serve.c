/* What `serve` would meet here: configuration, limits of the machine, TLS, policy. */
#include "base/file.h"
#include "base/machine.h"
#include "base/text.h"
#include "cli/doctor.h"
#include "kernels/choice.h"
#include "kernels/kernels.h"
#include "net/tls.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_ENOUGH 1024 /* connections, tiles, databases */
#define PATHS_MAX 64

static void check_config(struct cli_doctor *d)
{
	const struct cli *c = d->c;
	char near[120];
	const char *stray = cli_config_stray(NULL, near);
	unsigned files = 0;
	if (c->config_err.code) {
		cli_doctor_say(d, "config", CLI_FAIL,
			       "mend it; `hallmark config show --origin` then says what holds",
			       "%s", c->config_err.text);
		return;
	}
	for (size_t i = 0; c->config && i < c->config->files; i++)
		files += c->config->file[i].root != NULL;
	if (stray)
		cli_doctor_say(d, "config", CLI_WARN,
			       *near ? near : "unset it, or see `hallmark config show --json`",
			       "the environment has %.*s, which means nothing",
			       (int)strcspn(stray, "="), stray);
	else
		cli_doctor_say(d, "config", CLI_OK, NULL, "%u files read, without mistakes", files);
}

static void check_files(struct cli_doctor *d)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		cli_doctor_say(d, "descriptors", CLI_WARN, NULL, "their limit is not known");
	else if (files.rlim_max < FILES_ENOUGH)
		cli_doctor_say(d, "descriptors", CLI_WARN,
			       "raise the hard limit: LimitNOFILE=65536 in a unit, or ulimit -Hn",
			       "at most %llu, each connection takes one",
			       (unsigned long long)files.rlim_max);
	else
		cli_doctor_say(d, "descriptors", CLI_OK, NULL,
			       "at most %llu, which `serve` raises itself to",
			       (unsigned long long)files.rlim_max);
}

static void check_kernels(struct cli_doctor *d)
{
	const struct kernels *k = NULL;
	struct err why = { 0 };
	char name[120];
	machine_processor(name, sizeof name);
	if (kernels_pick(&k, NULL, false, &why) < 0)
		cli_doctor_say(d, "kernels", CLI_FAIL, "unset HALLMARK_KERNELS", "%s", why.text);
	else if (strcmp(k->name, "plain") == 0)
		cli_doctor_say(d, "kernels", CLI_WARN,
			       "a processor with AVX2 computes many times faster",
			       "plain, %u cores, %s", machine_cores(), name);
	else
		cli_doctor_say(d, "kernels", CLI_OK, NULL, "%s, %u cores, %s", k->name,
			       machine_cores(), name);
}

static void check_gpu(struct cli_doctor *d)
{
	struct device *device = NULL;
	struct err why = { 0 };
	uint64_t bytes = 0;
	if (device_open(&device, NULL, &why) == 0 && device_memory(device, &bytes, &why) == 0)
		cli_doctor_say(d, "gpu", CLI_OK, NULL, "%s, %.1f GB free, forms of operations: %s",
			       device_info(device)->name, (double)bytes / 1e9,
			       device_choices(device)->said);
	else
		cli_doctor_say(d, "gpu", CLI_OK, NULL, "none is used: %s", why.text);
	device_close(device);
}

/* ---- what is configured for serve ---- */

/* Each of a list with commas between them; text is cut up. */
static size_t split(char *text, char *item[PATHS_MAX])
{
	size_t n = 0;
	for (char *at = text; at && n < PATHS_MAX;)
		item[n++] = strsep(&at, ",");
	return n;
}

static bool copy_setting(const struct cli_doctor *d, const char *option, char *out, size_t room)
{
	const char *value = cli_doctor_setting(d, option);
	if (!value || strlen(value) >= room)
		return false;
	strcpy(out, value);
	return true;
}

/* Bytes of weights in a folder or file; 0 where it is neither. */
static uint64_t weight_bytes(const char *path)
{
	struct file_tree tree = { 0 };
	struct stat st;
	uint64_t sum = 0;
	if (stat(path, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode))
		return (uint64_t)st.st_size;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && file_walk(fd, NULL, 0, &tree, NULL) == 0)
		for (size_t i = 0; i < tree.count; i++)
			if ((text_ends(tree.entry[i].name, ".safetensors") ||
			     text_ends(tree.entry[i].name, ".gguf")) &&
			    fstatat(fd, tree.entry[i].name, &st, 0) == 0)
				sum += (uint64_t)st.st_size;
	file_tree_free(&tree);
	if (fd >= 0)
		close(fd);
	return sum;
}

static void check_memory(struct cli_doctor *d)
{
	char refs[8192], *item[PATHS_MAX];
	uint64_t free_bytes = machine_memory(), need = 0;
	const char *form = cli_doctor_setting(d, "weights");
	bool stored = !form || strcmp(form, "stored") == 0 || strcmp(form, "bf16") == 0;
	size_t n = copy_setting(d, "operands", refs, sizeof refs) ? split(refs, item) : 0;
	for (size_t i = 0; i < n; i++) {
		const char *equals = strchr(item[i], '=');
		need += weight_bytes(equals ? equals + 1 : item[i]);
	}
	if (free_bytes == UINT64_MAX)
		cli_doctor_say(d, "memory", CLI_WARN, NULL, "what is free is not known");
	else if (strstr(d->holder, "hallmark serve"))
		cli_doctor_say(d, "memory", CLI_OK, NULL, "%.1f GB free beside the running server",
			       (double)free_bytes / 1e9);
	else if (need > free_bytes)
		cli_doctor_say(d, "memory", stored ? CLI_FAIL : CLI_WARN,
			       "serve fewer models, let weights = \"q8\" or \"q4\" make them "
			       "smaller, or raise the limit of the control group (MemoryMax)",
			       "%.1f GB of weights to serve, and %.1f GB free", (double)need / 1e9,
			       (double)free_bytes / 1e9);
	else
		cli_doctor_say(d, "memory", CLI_OK, NULL,
			       "%.1f GB free, %.1f GB of weights to serve by configuration",
			       (double)free_bytes / 1e9, (double)need / 1e9);
}

static void check_tls(struct cli_doctor *d)
{
	const struct net_tls_files files = { cli_doctor_setting(d, "tls-cert"),
					     cli_doctor_setting(d, "tls-key"),
					     cli_doctor_setting(d, "client-ca"),
					     cli_doctor_setting(d, "client-crl") };
	struct net_tls *tls = NULL;
	struct err why = { 0 };
	if (!files.cert && !files.key) {
		cli_doctor_say(d, "tls", CLI_OK, NULL, "none is configured");
	} else if (!files.cert || !files.key) {
		cli_doctor_say(d, "tls", CLI_FAIL, "set both, or none",
			       "%s is configured and %s is not",
			       files.cert ? "tls-cert" : "tls-key",
			       files.cert ? "tls-key" : "tls-cert");
	} else if (net_tls_open(&tls, &files, env_now_us(&d->c->env), &why) < 0) {
		cli_doctor_say(d, "tls", CLI_FAIL,
			       "`serve` takes a certificate that is valid now, the key it was made "
			       "for, and of that key a file of mode 0600",
			       "%s", why.text);
	} else if (*net_tls_note(tls)) {
		cli_doctor_say(d, "tls", CLI_WARN,
			       "renew it: a running server takes up the new files by itself", "%s",
			       net_tls_note(tls));
	} else {
		cli_doctor_say(d, "tls", CLI_OK, NULL, "%.300s is valid and fits its key",
			       files.cert);
	}
	net_tls_close(tls);
}

/* A bundle is loaded; a text is compiled, and its tests are run. */
static void check_policy_file(struct cli_doctor *d, const char *path)
{
	struct err why = { 0 };
	struct flow_scanner *s = NULL;
	json_t *report = NULL;
	if (flow_scanner_open(&s, path, &why) < 0) {
		cli_doctor_say(d, "policy", CLI_FAIL,
			       "`hallmark policy check FILE` names every mistake", "%s", why.text);
		return;
	}
	flow_scanner_close(s);
	if (flow_policy_test(path, &report, &why) < 0) {
		cli_doctor_say(d, "policy", CLI_OK, NULL, "%.300s loads; it carries no tests",
			       path);
		return;
	}
	long long passed = json_integer_value(json_object_get(report, "passed"));
	size_t failed = json_array_size(json_object_get(report, "failures"));
	d->wrong |= failed > 0;
	if (failed)
		cli_doctor_say(d, "policy", CLI_FAIL, "`hallmark policy test FILE` names them",
			       "%.300s: %zu of its tests fail", path, failed);
	else
		cli_doctor_say(d, "policy", CLI_OK, NULL, "%.300s compiles, %lld tests pass", path,
			       passed);
	json_decref(report);
}

static void check_policy(struct cli_doctor *d)
{
	char paths[8192], *item[PATHS_MAX];
	size_t n = copy_setting(d, "policy", paths, sizeof paths) ? split(paths, item) : 0;
	for (size_t i = 0; i < n; i++)
		check_policy_file(d, item[i]);
	if (!n)
		cli_doctor_say(d, "policy", CLI_WARN, "set policy in [serve]",
			       "none is configured: nothing would be filtered");
}

static bool is_near(const char *address)
{
	const char *host = strstr(address, "://");
	host = host ? host + 3 : address;
	return text_starts(address, "unix:") || text_starts(host, "127.") ||
	       text_starts(host, "[::1]") || text_starts(host, "localhost");
}

static void check_listen(struct cli_doctor *d)
{
	char addresses[2048], *item[PATHS_MAX];
	size_t n =
		copy_setting(d, "listen", addresses, sizeof addresses) ? split(addresses, item) : 0;
	const char *far = NULL;
	for (size_t i = 0; i < n; i++)
		far = is_near(item[i]) ? far : item[i];
	bool tls = cli_doctor_setting(d, "tls-cert") != NULL;
	/* Those of the state folder, those of a file, or clients' certificates. */
	bool known = d->tokens || cli_doctor_setting(d, "token-file") ||
		     (tls && cli_doctor_setting(d, "client-ca"));
	if (far && !known)
		cli_doctor_say(d, "listen", CLI_FAIL,
			       "`hallmark token new --name NAME --role user`",
			       "%.200s can be reached by others, and there is no token", far);
	else if (far && !tls)
		cli_doctor_say(d, "listen", CLI_WARN,
			       "set tls-cert and tls-key, or let a proxy on this machine do it",
			       "%.200s can be reached by others, without TLS", far);
	else
		cli_doctor_say(d, "listen", CLI_OK, NULL, "%s",
			       far ? far
			       : n ? "this machine alone"
				   : "127.0.0.1:8080");
}

static void check_manager(struct cli_doctor *d)
{
	const char *socket = env_variable(&d->c->env, "NOTIFY_SOCKET");
	if (socket && *socket)
		cli_doctor_say(d, "manager", CLI_OK, NULL,
			       "a service manager waits for word at %.200s", socket);
	else
		cli_doctor_say(d, "manager", CLI_OK, NULL,
			       "no service manager started this (docs/operating.md: a unit for "
			       "systemd)");
}

void cli_doctor_deployment(struct cli_doctor *d)
{
	check_config(d);
	check_kernels(d);
	check_gpu(d);
	check_files(d);
	check_memory(d);
	check_listen(d);
	check_tls(d);
	check_policy(d);
	check_manager(d);
}
