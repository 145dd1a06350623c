#!/bin/bash
# The stand-in for Criterion fails what must fail: one small test of each kind, and the count.
set -eu
unset SHIM_SKIP
top=$PWD
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cc=${CC:-gcc}
flags="-std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -pthread -DSHIM_PATIENCE=1"
flags="$flags -I$top/tests/shim"

cat >"$tree/small.c" <<'END'
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static int at;
static void init(void) { at = 7; }
static void fini(void) { fprintf(stderr, "fini after %d\n", at); }
static void *wrong(void *arg)
{
	cr_expect(arg != NULL, "in a thread");
	return NULL;
}
static void *worse(void *arg)
{
	cr_assert_not_null(arg);
	return NULL;
}
static void in_thread(void *(*f)(void *))
{
	pthread_t t;
	cr_assert_eq(pthread_create(&t, NULL, f, NULL), 0);
	pthread_join(t, NULL);
}
static int shared;
static void *add(void *arg)
{
	shared++;
	return arg;
}

TestSuite(suited, .init = init, .fini = fini);
Test(suited, good) { cr_assert_eq(at, 7); at = 8; }
Test(suited, bad_still_ends) { at = 9; cr_assert_eq(at, 7, "at %d", at); at = 10; }
Test(suited, good_alone) { cr_expect_eq(at, 7); }

Test(good, values)
{
	cr_expect(1); cr_expect_not(0); cr_expect_lt(1, 2); cr_expect_leq(2, 2); cr_expect_gt(2, 1);
	cr_expect_geq(2, 2); cr_expect_neq(1, 2); cr_expect_null(NULL); cr_expect_not_null("");
	cr_expect_str_eq("a", "a"); cr_expect_str_neq("a", "b");
	cr_expect_arr_eq("ab", "ac", 1); cr_expect_arr_neq("ab", "ac", 2);
	cr_expect_float_eq(1.0, 1.1, 0.2);
}
Test(good, signal, .signal = SIGABRT) { abort(); }
Test(good, race)
{
	pthread_t t;
	cr_assert_eq(pthread_create(&t, NULL, add, NULL), 0);
	shared++;
	pthread_join(t, NULL);
}
Test(skipped, test) { cr_skip_test("for %s", "a reason"); }

Test(bad, expect) { cr_expect(0); }
Test(bad, expect_not) { cr_expect_not(1); }
Test(bad, order) { cr_expect_lt(2, 2); }
Test(bad, text) { cr_expect_str_eq("a", "b"); }
Test(bad, texts_that_should_differ) { cr_expect_str_neq("a", "a"); }
Test(bad, bytes) { cr_expect_arr_eq("ab", "ac", 2); }
Test(bad, near) { cr_expect_float_eq(1.0, 1.1, 0.05); }
Test(bad, not_a_number) { cr_expect_float_eq(NAN, 1, 1e9); }
Test(bad, null) { cr_expect_not_null(NULL); }
Test(bad, reached) { cr_assert_fail("%d", 1); }
Test(bad, expect_in_a_thread) { in_thread(wrong); }
Test(bad, assert_in_a_thread) { in_thread(worse); }
Test(bad, expect_in_a_child) { if (fork() == 0) { cr_expect(0); _exit(0); } wait(NULL); }
Test(bad, exit_in_the_middle) { exit(0); }
Test(bad, exit_status) { _exit(3); }
Test(bad, no_signal, .signal = SIGABRT) { cr_expect(1); }
Test(bad, other_signal, .signal = SIGABRT) { raise(SIGKILL); }
Test(bad, failed_before_its_signal, .signal = SIGABRT) { cr_expect(0); abort(); }
Test(bad, crash) { raise(SIGSEGV); }
Test(bad, too_slow, .timeout = 1) { for (;;) pause(); }
END
build() { # shellcheck disable=SC2086
	$cc $flags "$@" -o "$tree/build/test/small" "$tree/small.c" \
		"$top/tests/shim/criterion/criterion.c" -lm
}
stop() { cat "$tree/out"; echo "$1"; exit 1; }
expect() { grep -qF -- "$1" "$tree/out" || stop "missing: $1"; }
small() { "$tree/build/test/small" "$@" >"$tree/out" 2>&1; }
mkdir -p "$tree/build/test"
build

if small -j4; then stop "failures exited with 0"; fi
expect 'Tested: 27 | Passing: 5 | Failing: 21 | Crashing: 3 | Skipped: 1'
expect 'small.c:34: assertion failed: at == 7: at 9'
expect 'fini after 9'
expect 'skipped: for a reason'
expect '(timed out)'
[ "$(grep -c '^\[FAIL\] .*bad::' "$tree/out")" = 20 ] || stop "not 20 of bad"
small --filter 'good/*' || stop "a good test failed"
expect 'Tested: 3 | Passing: 3 | Failing: 0'
SHIM_SKIP="race signal" small --filter 'good/*' || stop "a good test failed"
expect '[SKIP] good::race: named in SHIM_SKIP'
expect 'Tested: 1 | Passing: 1 | Failing: 0 | Crashing: 0 | Skipped: 2'
if SHIM_SKIP=good small --filter 'good/*'; then stop "a whole suite left out is success"; fi
expect '[SKIP] good::values: named in SHIM_SKIP'
expect 'Tested: 0'
if small --filter 'none/*'; then stop "nothing tested is success"; fi

if (cd "$tree" && env -u SANITIZER -u CASES "$top/tests/run" build small) >"$tree/out" 2>&1; then
	stop "tests/run passed"
fi
expect 'room small: 5 passed, 21 failed'

# Under the sanitizer the same good test has a data race, which must fail it.
unset TSAN_OPTIONS
build -fsanitize=thread
if small --filter 'good/*'; then stop "a data race passed"; fi
expect 'data race'
expect 'Tested: 3 | Passing: 2 | Failing: 1'
