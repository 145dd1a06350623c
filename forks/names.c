/* What the enumerations of forks.h are called in reports. */
#include "forks/detail.h"

const char *fork_verdict_name(enum fork_verdict v)
{
	static const char *const name[] = {
		[FORK_IDENTICAL] = "identical",
		[FORK_DEPENDENT] = "dependent-initialisation",
		[FORK_CONTAINS] = "contains-identical-tensors",
		[FORK_INCONCLUSIVE] = "inconclusive",
		[FORK_NO_EVIDENCE] = "no-evidence",
	};

	return name[v];
}

const char *fork_kind_name(enum fork_kind k)
{
	static const char *const name[FORK_KINDS] = { "dense", "shared", "expert", "attention" };

	return name[k];
}

const char *fork_component_name(enum fork_component c)
{
	static const char *const name[FORK_COMPONENTS] = { "body", "tower", "draft", "ends" };

	return name[c];
}

const char *fork_statistic_name(enum fork_statistic s)
{
	static const char *const name[FORK_STATISTICS] = { "s1", "s2", "s3", "s5" };

	return name[s];
}

const char *fork_test_name(enum fork_test t)
{
	static const char *const name[FORK_TESTS] = {
		"s1", "s5", "s2", "map", "map_token", "s3", "s3_token",
	};

	return name[t];
}

const char *fork_rounding_name(enum fork_rounding r)
{
	static const char *const name[FORK_ROUNDINGS] = {
		[FORK_ROUNDED_INT8] = "int8",
		[FORK_ROUNDED_INT4] = "int4",
		[FORK_ROUNDED_FP8] = "fp8",
		[FORK_ROUNDED_NARROW] = "narrower-float",
	};

	return name[r];
}

const char *fork_change_name(enum fork_change c)
{
	static const char *const name[] = { "same", "changed", "added", "removed", "reshaped" };

	return name[c];
}
