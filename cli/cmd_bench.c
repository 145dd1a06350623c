/* hallmark bench */
#include "cli/cli.h"

#define TOKENS_MAX (1u << 20)

static double number_of(const json_t *part, const char *key)
{
	return json_number_value(json_object_get(part, key));
}

static void print_fraction(const json_t *part, const char *limit)
{
	printf("%.2f of the %s (median of %.0f: %.2f)\n", number_of(part, "fraction"), limit,
	       number_of(part, "stretches"), number_of(part, "fraction_median"));
}

static void print_prefill(const json_t *part, const char *name)
{
	printf("%-9s %8.1f tokens/s at %.0f, %.2f + %.2f Gop a token by products and attention: ",
	       name, number_of(part, "tokens_s"), number_of(part, "tokens"),
	       number_of(part, "products_gop_token"), number_of(part, "attention_gop_token"));
	print_fraction(part, "multiply limits");
}

static void print_table(const json_t *r)
{
	const json_t *limits = json_object_get(r, "limits"), *one = json_object_get(r, "decode");
	const json_t *first = json_object_get(r, "prefill"), *eight = json_object_get(r, "batch8");
	printf("%s, %lld layers, %s, on %s, %lld threads, kernels %s, numerics %s, weights "
	       "%.2f GB\n",
	       json_string_value(json_object_get(r, "shape")), (long long)number_of(r, "layers"),
	       json_string_value(json_object_get(r, "dtype")),
	       json_string_value(json_object_get(r, "device")), (long long)number_of(r, "threads"),
	       json_string_value(json_object_get(r, "kernels")),
	       json_string_value(json_object_get(r, "numerics")),
	       number_of(r, "weight_bytes") / 1e9);
	printf("limits    read %.1f GB/s", number_of(limits, "read_gb_s"));
	if (json_is_null(json_object_get(limits, "peak_gop_s")))
		puts(", multiply unknown");
	else
		printf(", multiply %.0f Gop/s, in f32 %.0f Gop/s\n",
		       number_of(limits, "peak_gop_s"), number_of(limits, "float_gop_s"));
	printf("decode    %8.1f tokens/s after %.0f, %6.1f MB a token (cache %.1f): ",
	       number_of(one, "tokens_s"), number_of(one, "context"),
	       number_of(one, "bytes_token") / 1e6, number_of(one, "cache_bytes_token") / 1e6);
	print_fraction(one, "read limit");
	print_prefill(first, "prefill");
	print_prefill(json_object_get(r, "prefill_end"), "  its end");
	if (eight == NULL)
		return;
	printf("batch 8   %8.1f tokens/s, %.1f distinct experts a layer, read limit %.1f GB/s: ",
	       number_of(eight, "tokens_s"), number_of(eight, "experts"),
	       number_of(eight, "read_gb_s"));
	print_fraction(eight, "read limit");
}

int cmd_bench(struct cli *c)
{
	struct lab_bench b = { .compute = { .device = cli_device(c),
					    .weights = cli_value(c, "dtype"),
					    .cache = cli_value(c, "cache"),
					    .numerics = cli_value(c, "numerics") },
			       .quiet = c->quiet };
	uint64_t threads = 0, layers = 0, prompt = 0, context = 0;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_need(c, "synthetic", &b.shape));
	TRY(cli_number(c, "threads", &threads));
	TRY(cli_number(c, "layers", &layers));
	TRY(cli_number(c, "prompt", &prompt));
	TRY(cli_number(c, "context", &context));
	if (threads > 256 || layers > 1024)
		return err_set(&c->err, ERR_USAGE, "at most 256 threads and 1024 layers");
	if (prompt > TOKENS_MAX || context > TOKENS_MAX)
		return err_set(&c->err, ERR_USAGE, "at most %u tokens of prompt or context",
			       TOKENS_MAX);
	b.compute.threads = (unsigned)threads;
	b.layers = (uint32_t)layers;
	b.prompt = (uint32_t)prompt;
	b.context = (uint32_t)context;
	TRY(lab_bench(&b, &report, &c->err));
	if (c->json)
		return cli_print(c, report);
	print_table(report);
	json_decref(report);
	return 0;
}
