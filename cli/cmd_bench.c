/* hallmark bench */
#include "cli/cli.h"

static double number_of(const json_t *part, const char *key)
{
	return json_number_value(json_object_get(part, key));
}

static void print_fraction(const json_t *part, const char *limit)
{
	printf("%.2f of the %s (median of %.0f: %.2f)\n", number_of(part, "fraction"), limit,
	       number_of(part, "stretches"), number_of(part, "fraction_median"));
}

static void print_table(const json_t *r)
{
	const json_t *limits = json_object_get(r, "limits"), *one = json_object_get(r, "decode");
	const json_t *first = json_object_get(r, "prefill"), *eight = json_object_get(r, "batch8");
	printf("%s, %lld layers, %s, %lld threads, kernels %s, numerics %s, weights %.2f GB\n",
	       json_string_value(json_object_get(r, "shape")), (long long)number_of(r, "layers"),
	       json_string_value(json_object_get(r, "dtype")), (long long)number_of(r, "threads"),
	       json_string_value(json_object_get(r, "kernels")),
	       json_string_value(json_object_get(r, "numerics")),
	       number_of(r, "weight_bytes") / 1e9);
	printf("limits    read %.1f GB/s, multiply %.0f Gop/s\n", number_of(limits, "read_gb_s"),
	       number_of(limits, "peak_gop_s"));
	printf("decode    %8.1f tokens/s, %6.1f MB a token: ", number_of(one, "tokens_s"),
	       number_of(one, "bytes_token") / 1e6);
	print_fraction(one, "read limit");
	printf("prefill   %8.1f tokens/s at %.0f: ", number_of(first, "tokens_s"),
	       number_of(first, "tokens"));
	print_fraction(first, "multiply limit");
	printf("batch 8   %8.1f tokens/s, %.1f distinct experts a layer, read limit %.1f GB/s: ",
	       number_of(eight, "tokens_s"), number_of(eight, "experts"),
	       number_of(eight, "read_gb_s"));
	print_fraction(eight, "read limit");
}

int cmd_bench(struct cli *c)
{
	struct lab_bench b = { .compute = { .weights = cli_value(c, "dtype"),
					    .cache = cli_value(c, "cache"),
					    .numerics = cli_value(c, "numerics") },
			       .quiet = c->quiet };
	uint64_t threads = 0, layers = 0;
	json_t *report = NULL;
	TRY(cli_operands(c, 0, 0));
	TRY(cli_need(c, "synthetic", &b.shape));
	TRY(cli_number(c, "threads", &threads));
	TRY(cli_number(c, "layers", &layers));
	if (threads > 256 || layers > 1024)
		return err_set(&c->err, ERR_USAGE, "at most 256 threads and 1024 layers");
	b.compute.threads = (unsigned)threads;
	b.layers = (uint32_t)layers;
	TRY(lab_bench(&b, &report, &c->err));
	if (c->json)
		return cli_print(c, report);
	print_table(report);
	json_decref(report);
	return 0;
}
