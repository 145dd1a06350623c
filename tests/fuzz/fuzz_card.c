/* README.md of a model: any bytes give a card whose texts end, are UTF-8, and can be compared. */
#include "base/check.h"
#include "base/text.h"
#include "flow/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const char *text, size_t room)
{
	size_t n = strnlen(text, room);
	check(n < room && text_utf8_valid(text, n));
}

/* The same bytes as front matter, as a name, and as a card. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct flow_card c;
	struct err e;
	struct buf text = { 0 };
	check(flow_card_parse((const char *)data, len, &c, &e) == 0);
	buf_add_text(&text, "---\n");
	buf_add(&text, data, len);
	buf_add_text(&text, "\n---\n");
	check(!text.failed && flow_card_parse(text.bytes, text.len, &c, &e) == 0);
	buf_free(&text);
	check(c.bases <= FLOW_CARD_BASES && isfinite(c.parameters) && c.parameters >= 0);
	for (size_t i = 0; i < c.bases; i++) {
		check_text(c.base[i], sizeof c.base[i]);
		enum flow_match m = flow_name_match(c.base[i], "acme/base");
		check(m == FLOW_OTHER || m == FLOW_ALIKE || m == FLOW_SAME);
	}
	check_text(c.relation, sizeof c.relation);
	check_text(c.license, sizeof c.license);
	check_text(c.license_name, sizeof c.license_name);
	check_text(c.model, sizeof c.model);
	char *name = strndup((const char *)data, len);
	check(name && flow_name_match(name, name) <= FLOW_SAME);
	free(name);
	return 0;
}
