/* A LoRA adapter beside the model that it may be of. */
#include "flow/fork_adapter.h"
#include "model/adapter.h"
#include "tests/shared/memory.h"

#include <criterion/criterion.h>
#include <string.h>

#define LORA "base_model.model.model.layers.0.mlp.up_proj"

static const struct {
	const char *row, *config; /* members of adapter_config.json */
	const char *base;         /* its one tensor [2, 2] */
	const char *want;         /* of the object, or a part of it */
	const char *declared;     /* by the card then */
} adapters[] = {
	{ "its base", "\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"base_model_name_or_path\":\"acme/base\"",
	  "model.layers.0.mlp.up_proj.weight",
	  "{\"fits\":true,\"modules\":1,\"fitting\":1,\"rank\":1,\"relative_change\":0.5,\"why\":null,"
	  "\"declared_base\":\"acme/base\",", "acme/base" },
	{ "another", "\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"base_model_name_or_path\":\"/home/x/y\"",
	  "model.layers.0.mlp.gate_proj.weight",
	  "{\"fits\":false,\"modules\":1,\"fitting\":0,\"rank\":1,\"relative_change\":null,"
	  "\"why\":\"there is no matrix model.layers.0.mlp.up_proj.weight\",\"declared_base\":\"/home/x/y\",",
	  NULL },
	{ "a kind that is not read", "\"peft_type\":\"LORA\",\"r\":1,\"lora_alpha\":1,\"use_dora\":true",
	  "model.layers.0.mlp.up_proj.weight",
	  "{\"fits\":null,\"modules\":null,\"fitting\":null,\"rank\":null,\"relative_change\":null,\"why\":\"",
	  NULL },
};

static void files_make(size_t i, struct memory_source *base, struct memory_source *adapter)
{
	static const float w[4] = { 2, 0, 0, 0 }, ab[4] = { 1, 0, 1, 0 };
	char text[600];
	memory_init(base);
	memory_init(adapter);
	snprintf(text, sizeof text, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}",
	         adapters[i].base);
	blob_add(memory_add(base, "model.safetensors"), text, w, sizeof w);
	snprintf(text, sizeof text, "{%s}", adapters[i].config);
	buf_add_text(memory_add(adapter, "adapter_config.json"), text);
	blob_add(memory_add(adapter, "adapter_model.safetensors"),
	         "{\"" LORA ".lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
	         "\"" LORA ".lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]}}",
	         ab, sizeof ab);
}

Test(flow_fork_adapter, says_whether_it_fits_and_proves_nothing)
{
	for (size_t i = 0; i < sizeof adapters / sizeof *adapters; i++) {
		struct memory_source mb, ma;
		struct flow_fork_model base = { 0 }, adapter = { .adapter = true };
		struct err e = { 0 };
		json_t *o;
		files_make(i, &mb, &ma);
		adapter.source = &ma.source;
		cr_assert_eq(model_values_open(&base.values, &mb.source, NULL, &e), 0, "%s", e.text);
		cr_assert_eq(flow_fork_adapter(&base, &adapter, &o, &e), 0, "%s: %s", adapters[i].row, e.text);
		char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(4));
		cr_expect(strstr(text, adapters[i].want) == text, "%s: %s", adapters[i].row, text);
		cr_expect(strstr(text, "proves no lineage"), "%s", text);
		free(text);
		json_decref(o);
		cr_assert_eq(flow_fork_adapter_card(&adapter, &e), 0, "%s", e.text);
		const struct flow_card *c = &adapter.facts.card;
		const char *says = adapters[i].declared;
		cr_expect(says ? c->bases == 1 && strcmp(c->base[0], says) == 0 : c->bases == 0, "%s",
		          adapters[i].row);
		model_values_close(base.values);
		memory_free(&mb);
		memory_free(&ma);
	}
}

Test(flow_fork_adapter, of_a_model_there_is_none)
{
	struct flow_fork_model base = { 0 }, other = { 0 };
	struct err e = { 0 };
	json_t *o;
	cr_assert_eq(flow_fork_adapter(&base, &other, &o, &e), 0);
	cr_expect_null(o);
}
