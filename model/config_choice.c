/* The activation of feed-forward networks: one name of many for each. */
#include "model/family.h"

#include <string.h>

static const struct { /* as the reference names them; those with tanh differ in the last digits of
		       * a constant at most */
	const char *name;
	enum model_activation is;
} activations[] = {
	{ "silu", MODEL_ACT_SILU },
	{ "swish", MODEL_ACT_SILU },
	{ "gelu", MODEL_ACT_GELU },
	{ "gelu_python", MODEL_ACT_GELU },
	{ "gelu_new", MODEL_ACT_GELU_TANH },
	{ "gelu_fast", MODEL_ACT_GELU_TANH },
	{ "gelu_accurate", MODEL_ACT_GELU_TANH },
	{ "gelu_pytorch_tanh", MODEL_ACT_GELU_TANH },
	{ "gelu_python_tanh", MODEL_ACT_GELU_TANH },
	{ "relu2", MODEL_ACT_RELU2 },
	{ "xielu", MODEL_ACT_XIELU }, /* last: of the one family that stores its numbers */
};

void model_config_activation(struct config_reader *r, struct model_config *c)
{
	const char *assumed = r->family->activation, *names[12];
	size_t n = sizeof activations / sizeof activations[0];
	bool later = !model_config_absent(r, "hidden_activation");
	_Static_assert(sizeof activations / sizeof activations[0] < 12, "room for all and NULL");
	for (size_t i = 0; i < n; i++)
		names[i] = activations[i].name;
	names[assumed == NULL ? 2 : strcmp(assumed, "xielu") == 0 ? n : n - 1] = NULL;
	const char *key = assumed != NULL && later ? "hidden_activation" : "hidden_act";
	const char *name = model_config_choice(r, key, assumed == NULL ? "silu" : assumed, names);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, activations[i].name) == 0)
			c->activation = activations[i].is;
	}
}
