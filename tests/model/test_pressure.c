/* Out of memory at any allocation: tests/shared/press.h. */
#include "model/config.h"
#include "tests/shared/memory.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static int run_config(const struct work *w, struct err *e)
{
	struct model_config c;
	int rc = model_config_parse(&c, w->text, w->len, NULL, 0, e);
	buf_add(&press_answer, &c, sizeof c);
	return rc;
}

Test(model_pressure, configs)
{
	struct memory_source m;
	memory_load(&m, "demo/model");
	cr_assert_str_eq(m.file[0].name, "config.json");
	press("config.json", &(struct work){ run_config, m.file[0].bytes.bytes, m.file[0].bytes.len, NULL });
	memory_free(&m);
}
