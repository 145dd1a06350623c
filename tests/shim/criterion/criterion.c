/* Runs each test in a child of a process without threads, as Criterion does:
 *     TEST [-jN] [--filter SUITE/NAME] [--short-filename]
 * SHIM_SKIP: names of tests or whole suites, apart by spaces, to leave out; each is printed.
 * A test passes if it came to its end, no assertion failed in it, and its process then exits with
 * 0 (so a report of a sanitizer at exit fails it); or if it died by the signal that it named. The
 * verdict is kept in memory shared with the children, so that neither exit(0) in the middle nor a
 * failure in another thread can look like success. */
#include <criterion/criterion.h>

#include <fnmatch.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SHIM_PATIENCE
#define SHIM_PATIENCE 10 /* times a test's own timeout: what needs this header also runs slower */
#endif
enum { JOBS_MAX = 16 };

struct verdict {
	atomic_int failed, skipped, finished;
};

struct job {
	pid_t pid; /* 0: free */
	const struct shim_test *test;
	struct verdict *verdict;
};

struct totals {
	int tested, passing, failing, crashing, skipped;
};

static struct shim_test *tests, **tests_end = &tests;
static struct verdict *verdicts; /* shared with the children, one per job */
static struct verdict *own;      /* in a child: its verdict */
static pthread_t own_thread;
static jmp_buf test_end;

void shim_add(struct shim_test *t)
{
	*tests_end = t;
	tests_end = &t->next;
}

/* ---- in the child ---- */

static _Noreturn void leave_test(void)
{
	if (pthread_equal(pthread_self(), own_thread))
		longjmp(test_end, 1);
	_exit(1); /* another thread cannot unwind the test's */
}

static void say(const char *prefix, const char *format, va_list list)
{
	char text[4096];

	vsnprintf(text, sizeof text, format, list);
	fprintf(stderr, "[----] %s%s\n", prefix, text);
}

void shim_failed(int fatal, const char *what, const char *file, int line, const char *format, ...)
{
	char prefix[1024];
	va_list list;

	atomic_fetch_add(&own->failed, 1);
	snprintf(prefix, sizeof prefix, "%s:%d: assertion failed: %s:", file, line, what);
	va_start(list, format);
	say(prefix, format, list);
	va_end(list);
	if (fatal)
		leave_test();
}

void shim_skip(const char *format, ...)
{
	va_list list;

	atomic_store(&own->skipped, 1);
	va_start(list, format);
	say("skipped:", format, list);
	va_end(list);
	leave_test();
}

void shim_log(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say("", format, list);
	va_end(list);
}

static const struct shim_options *suite_options(const struct shim_test *of)
{
	static const struct shim_options none;

	for (const struct shim_test *t = tests; t; t = t->next)
		if (!t->name && strcmp(t->suite, of->suite) == 0)
			return &t->options;
	return &none;
}

static void call(void (*f)(void))
{
	if (f)
		f();
}

static _Noreturn void run_here(const struct shim_test *t, struct verdict *v)
{
	const struct shim_options *suite = suite_options(t);
	double seconds = t->options.timeout > 0 ? t->options.timeout : suite->timeout;

	own = v;
	own_thread = pthread_self();
	if (seconds > 0)
		alarm((unsigned)ceil(seconds * SHIM_PATIENCE));
	if (!setjmp(test_end)) {
		call(suite->init);
		call(t->options.init);
		t->body();
	}
	if (!setjmp(test_end)) {
		call(t->options.fini);
		call(suite->fini);
		atomic_store(&own->finished, 1);
	}
	exit(0); /* not _exit: a sanitizer has its say here */
}

/* ---- in the parent ---- */

static void judge(const struct job *j, int status, struct totals *n)
{
	const struct shim_test *t = j->test;
	int wanted = t->options.signal ? t->options.signal : suite_options(t)->signal;
	bool died = WIFSIGNALED(status);
	bool ended =
		died ? WTERMSIG(status) == wanted
		     : !wanted && WEXITSTATUS(status) == 0 && atomic_load(&j->verdict->finished);

	n->tested++;
	if (ended && !atomic_load(&j->verdict->failed)) {
		bool skipped = atomic_load(&j->verdict->skipped);
		n->skipped += skipped;
		n->passing += !skipped;
		if (skipped)
			fprintf(stderr, "[SKIP] %s::%s\n", t->suite, t->name);
		return;
	}
	n->failing++;
	n->crashing += died && !ended;
	fprintf(stderr, "[FAIL] %s:%d: %s::%s: %d assertions failed, %s %d%s%s\n", t->file,
		t->options.line, t->suite, t->name, atomic_load(&j->verdict->failed),
		died ? "signal" : "exit", died ? WTERMSIG(status) : WEXITSTATUS(status),
		died && WTERMSIG(status) == SIGALRM ? " (timed out)" : "",
		wanted && !died ? " in place of a signal" : "");
}

static void wait_for_one(struct job *jobs, struct totals *n)
{
	int status = 0;
	pid_t pid = wait(&status);

	for (int i = 0; i < JOBS_MAX; i++)
		if (pid > 0 && jobs[i].pid == pid) {
			judge(&jobs[i], status, n);
			jobs[i].pid = 0;
			return;
		}
	perror("wait");
	abort();
}

static void start(struct job *j, const struct shim_test *t)
{
	memset(j->verdict, 0, sizeof *j->verdict);
	j->test = t;
	fflush(NULL);
	j->pid = fork();
	if (j->pid == 0)
		run_here(t, j->verdict);
	if (j->pid < 0) {
		perror("fork");
		abort();
	}
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)) != NULL; at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
			return true;
	return false;
}

static bool left_out(const struct shim_test *t)
{
	const char *list = getenv("SHIM_SKIP");

	return is_listed(list, t->name) || is_listed(list, t->suite);
}

static struct totals run_all(const char *filter, int jobs_max)
{
	struct job jobs[JOBS_MAX] = { 0 };
	struct totals n = { 0 };
	int running = 0;

	for (const struct shim_test *t = tests; t; t = t->next) {
		char name[512];
		snprintf(name, sizeof name, "%s/%s", t->suite, t->name ? t->name : "");
		if (!t->name || fnmatch(filter, name, 0) != 0)
			continue;
		if (left_out(t)) {
			fprintf(stderr, "[SKIP] %s::%s: named in SHIM_SKIP\n", t->suite, t->name);
			n.skipped++;
			continue;
		}
		if (running == jobs_max) {
			wait_for_one(jobs, &n);
			running--;
		}
		int i = 0;
		while (jobs[i].pid)
			i++;
		jobs[i].verdict = &verdicts[i];
		start(&jobs[i], t);
		running++;
	}
	while (running-- > 0)
		wait_for_one(jobs, &n);
	return n;
}

int main(int argc, char **argv)
{
	const char *filter = "*";
	int jobs = 1;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
			filter = argv[++i];
		else if (strncmp(argv[i], "-j", 2) == 0 && atoi(argv[i] + 2) > 0)
			jobs = atoi(argv[i] + 2) < JOBS_MAX ? atoi(argv[i] + 2) : JOBS_MAX;
		else if (strcmp(argv[i], "--short-filename") != 0) {
			fprintf(stderr, "unknown option: %s\n", argv[i]);
			return 2;
		}
	}
	verdicts = mmap(NULL, JOBS_MAX * sizeof *verdicts, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdicts == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	struct totals n = run_all(filter, jobs);
	fprintf(stderr,
		"[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d | "
		"Skipped: %d\n",
		n.tested, n.passing, n.failing, n.crashing, n.skipped);
	return n.failing != 0 || n.tested == 0;
}
