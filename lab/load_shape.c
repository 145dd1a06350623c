/* The shapes of requests and answers that a load can have. Sources: the API references of OpenAI
 * (chat, completions, responses) and Anthropic (messages). */
#include "lab/load.h"

#include <string.h>

static const struct load_shape shapes[] = {
	{ .name = "chat",
	  .path = "/chat/completions",
	  .tokens_max = "max_tokens",
	  .has_options = true,
	  .text = { "\"content\":", "\"reasoning_content\":", "\"reasoning\":", "\"arguments\":",
		    "\"refusal\":" },
	  .end = { "[DONE]" } },
	{ .name = "completions",
	  .path = "/completions",
	  .prompt = "prompt",
	  .tokens_max = "max_tokens",
	  .has_options = true,
	  .text = { "\"text\":" },
	  .end = { "[DONE]" } },
	{ .name = "responses",
	  .path = "/responses",
	  .prompt = "input",
	  .tokens_max = "max_output_tokens",
	  .text = { "\"delta\":" }, /* what is done repeats all of it as "text" */
	  .end = { "\"response.completed\"", "\"response.incomplete\"" },
	  .failure = "\"response.failed\"" },
	{ .name = "messages",
	  .path = "/messages",
	  .tokens_max = "max_tokens",
	  .text = { "\"text\":", "\"thinking\":", "\"partial_json\":" },
	  .end = { "\"message_stop\"" } },
};

int load_shape_find(const char *name, const struct load_shape **out, struct err *e)
{
	*out = &shapes[0];
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (!name || strcmp(shapes[i].name, name) == 0) {
			*out = &shapes[i];
			return 0;
		}
	return err_set(e, ERR_USAGE,
		       "--shape %s: expected chat, completions, responses or messages", name);
}
