#include "tests/shared/press.h"
#include "tests/shared/counting.h"

#include "base/json.h"

#include <criterion/criterion.h>
#include <string.h>

#define ANSWER 100000

struct buf press_answer;

static int run_once(const struct work *w, struct err *e)
{
	buf_clear(&press_answer);
	return w->run(w, e);
}

void press(const char *what, const struct work *w)
{
	size_t fell = 0;
	bool again = false;
	struct err e = { 0 };
	struct buf whole = { 0 };
	if (!COUNTING)
		cr_skip_test("the sanitizer brings its own malloc");
	cr_assert_not_null(buf_reserve(&press_answer, ANSWER));
	cr_assert_eq(run_once(w, &e), 0, "%s: %s", what, e.text); /* what is kept for later exists now */
	json_set_alloc_funcs(counting_exempt, counting_release); /* jansson asserts where its own memory ends */
	buf_add(&whole, press_answer.bytes, press_answer.len);
	for (size_t nth = 1;; nth += !again, fell++) {
		size_t before = counting_live();
		e = (struct err){ 0 };
		counting_fail(nth);
		int rc = run_once(w, &e);
		bool failed = counting_failed();
		counting_fail(0);
		if (rc == 0)
			cr_expect(press_answer.len == whole.len && memcmp(press_answer.bytes, whole.bytes, whole.len) == 0,
			          "%s, allocation %zu: another answer", what, nth);
		if (!failed) {
			cr_assert_eq(rc, 0, "%s: %s", what, e.text);
			break;
		}
		cr_expect(rc == 0 || rc == ERR_NOMEM, "%s, allocation %zu: %d %s", what, nth, rc, e.text);
		cr_expect(rc == 0 || e.text[0] != '\0', "%s, allocation %zu: nothing said", what, nth);
		if (counting_live() != before && !again) { /* a library's first error may be kept, not its second */
			again = true;
			continue;
		}
		again = false;
		cr_expect_eq(counting_live(), before, "%s, allocation %zu: %zd blocks kept", what, nth,
		             (ssize_t)(counting_live() - before));
	}
	cr_assert_gt(fell, 0, "%s", what);
	cr_assert_lt(press_answer.len, ANSWER, "%s", what);
	buf_free(&whole);
	buf_free(&press_answer);
}
