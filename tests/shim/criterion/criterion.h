/* A stand-in for the part of Criterion that these tests use, for builds under which Criterion
 * itself cannot run: version 2.4.1 crashes at start under ThreadSanitizer. The Makefile puts it
 * before the system's header and links criterion.o in place of -lcriterion; a test cannot tell.
 * What is not here does not compile. */
#ifndef TESTS_SHIM_CRITERION_H
#define TESTS_SHIM_CRITERION_H
#pragma GCC system_header /* so that its macros warn as little as the original's */

/* Some tests rely on what Criterion's header includes. */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shim_options {
	void (*init)(void), (*fini)(void); /* the suite's run outside the test's own */
	int signal;                        /* the test must die by it */
	double timeout;                    /* seconds; 0: the suite's, or none */
	int line;                          /* where the test begins */
};

struct shim_test {
	const char *file, *suite, *name; /* name NULL: the options of a suite */
	void (*body)(void);              /* NULL for a suite */
	struct shim_options options;
	struct shim_test *next;
};

void shim_add(struct shim_test *t);
/* Report a failed assertion; fatal: end the test. */
__attribute__((format(printf, 5, 6))) void shim_failed(int fatal, const char *what,
						       const char *file, int line,
						       const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void shim_skip(const char *format, ...);
__attribute__((format(printf, 1, 2))) void shim_log(const char *format, ...);

#define SHIM_ADD(Id, Suite, Name, Body, ...)                                           \
	static struct shim_test Id = { .file = __FILE__,                               \
				       .suite = Suite,                                 \
				       .name = Name,                                   \
				       .body = Body,                                   \
				       .options = { .line = __LINE__, __VA_ARGS__ } }; \
	__attribute__((constructor)) static void Id##_add(void) { shim_add(&Id); }

#define Test(Suite, Name, ...)                                                             \
	static void Suite##_##Name##_body(void);                                           \
	SHIM_ADD(Suite##_##Name##_test, #Suite, #Name, Suite##_##Name##_body, __VA_ARGS__) \
	static void Suite##_##Name##_body(void)

#define TestSuite(Suite, ...)                                    \
	SHIM_ADD(Suite##_suite, #Suite, NULL, NULL, __VA_ARGS__) \
	struct shim_test /* takes the semicolon */

/* The arguments of the message are evaluated after the condition, and only if it is false. */
#define SHIM(Fatal, Condition, What, ...) \
	((Condition) ? (void)0 : shim_failed(Fatal, What, __FILE__, __LINE__, " " __VA_ARGS__))
#define SHIM_OP(Fatal, A, Op, B, ...) SHIM(Fatal, (A)Op(B), #A " " #Op " " #B, __VA_ARGS__)
#define SHIM_MEM(Fatal, A, Op, B, Size, ...) \
	SHIM(Fatal, memcmp((A), (B), (Size)) Op 0, "bytes of " #A " " #Op " " #B, __VA_ARGS__)
#define SHIM_STR(Fatal, A, Op, B, ...)                                             \
	do {                                                                       \
		const char *shim_a = (A), *shim_b = (B);                           \
		if (!(strcmp(shim_a, shim_b) Op 0)) {                              \
			shim_log("\"%s\", \"%s\"", shim_a, shim_b);                \
			SHIM(Fatal, 0, "text of " #A " " #Op " " #B, __VA_ARGS__); \
		}                                                                  \
	} while (0)
#define SHIM_NEAR(Fatal, A, B, Epsilon, ...)                                                 \
	SHIM(Fatal, fabs((double)(A) - (double)(B)) <= (double)(Epsilon), #A " is near " #B, \
	     __VA_ARGS__)

#define cr_assert(Condition, ...) SHIM(1, Condition, #Condition, __VA_ARGS__)
#define cr_expect(Condition, ...) SHIM(0, Condition, #Condition, __VA_ARGS__)
#define cr_assert_not(Condition, ...) SHIM(1, !(Condition), "not " #Condition, __VA_ARGS__)
#define cr_expect_not(Condition, ...) SHIM(0, !(Condition), "not " #Condition, __VA_ARGS__)
#define cr_assert_fail(...) shim_failed(1, "reached", __FILE__, __LINE__, " " __VA_ARGS__)
#define cr_assert_eq(A, B, ...) SHIM_OP(1, A, ==, B, __VA_ARGS__)
#define cr_expect_eq(A, B, ...) SHIM_OP(0, A, ==, B, __VA_ARGS__)
#define cr_assert_neq(A, B, ...) SHIM_OP(1, A, !=, B, __VA_ARGS__)
#define cr_expect_neq(A, B, ...) SHIM_OP(0, A, !=, B, __VA_ARGS__)
#define cr_assert_lt(A, B, ...) SHIM_OP(1, A, <, B, __VA_ARGS__)
#define cr_expect_lt(A, B, ...) SHIM_OP(0, A, <, B, __VA_ARGS__)
#define cr_assert_leq(A, B, ...) SHIM_OP(1, A, <=, B, __VA_ARGS__)
#define cr_expect_leq(A, B, ...) SHIM_OP(0, A, <=, B, __VA_ARGS__)
#define cr_assert_gt(A, B, ...) SHIM_OP(1, A, >, B, __VA_ARGS__)
#define cr_expect_gt(A, B, ...) SHIM_OP(0, A, >, B, __VA_ARGS__)
#define cr_assert_geq(A, B, ...) SHIM_OP(1, A, >=, B, __VA_ARGS__)
#define cr_expect_geq(A, B, ...) SHIM_OP(0, A, >=, B, __VA_ARGS__)
#define cr_assert_null(A, ...) SHIM_OP(1, A, ==, NULL, __VA_ARGS__)
#define cr_expect_null(A, ...) SHIM_OP(0, A, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(A, ...) SHIM_OP(1, A, !=, NULL, __VA_ARGS__)
#define cr_expect_not_null(A, ...) SHIM_OP(0, A, !=, NULL, __VA_ARGS__)
#define cr_assert_str_eq(A, B, ...) SHIM_STR(1, A, ==, B, __VA_ARGS__)
#define cr_expect_str_eq(A, B, ...) SHIM_STR(0, A, ==, B, __VA_ARGS__)
#define cr_assert_str_neq(A, B, ...) SHIM_STR(1, A, !=, B, __VA_ARGS__)
#define cr_expect_str_neq(A, B, ...) SHIM_STR(0, A, !=, B, __VA_ARGS__)
#define cr_assert_arr_eq(A, B, Size, ...) SHIM_MEM(1, A, ==, B, Size, __VA_ARGS__)
#define cr_expect_arr_eq(A, B, Size, ...) SHIM_MEM(0, A, ==, B, Size, __VA_ARGS__)
#define cr_assert_arr_neq(A, B, Size, ...) SHIM_MEM(1, A, !=, B, Size, __VA_ARGS__)
#define cr_expect_arr_neq(A, B, Size, ...) SHIM_MEM(0, A, !=, B, Size, __VA_ARGS__)
#define cr_assert_float_eq(A, B, Epsilon, ...) SHIM_NEAR(1, A, B, Epsilon, __VA_ARGS__)
#define cr_expect_float_eq(A, B, Epsilon, ...) SHIM_NEAR(0, A, B, Epsilon, __VA_ARGS__)

#define cr_skip_test(...) shim_skip(" " __VA_ARGS__)
#define cr_log_info(...) shim_log(__VA_ARGS__)
#define cr_log_error(...) shim_log(__VA_ARGS__)

#endif
