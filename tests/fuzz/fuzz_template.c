/* The input is a template; it is rendered with a conversation. It must end, and mark every byte of its
 * output. */
#include "template/template.h"

#include "base/check.h"
#include "base/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static json_t *conversation(void)
{
	return json_pack("{s:[{s:s,s:s},{s:s,s:n,s:[{s:{s:s,s:{s:i}}}]}],s:n,s:b,s:s,s:[i,i,f],s:{s:i,s:s}}",
	                 "messages", "role", "user", "content", "Hi <there>\n", "role", "assistant", "content",
	                 "tool_calls", "function", "name", "f", "arguments", "a", 1, "tools",
	    "add_generation_prompt", 1,
	                 "bos_token", "<s>", "l", 3, 1, 2.5, "d", "b", 1, "k", "v");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *vars = conversation();
	struct buf out = { 0 }, origin = { 0 };
	struct err e;
	check(vars);
	if (template_render((const char *)data, len, vars, 1795352709000000, &out, &origin, &e) == 0) {
		check(out.len == origin.len);
		check(text_utf8_valid(out.bytes ? out.bytes : "", out.len));
	}
	buf_free(&out);
	buf_free(&origin);
	json_decref(vars);
	return 0;
}
