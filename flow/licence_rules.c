/* The licences of published weights: the first row that fits counts. A row is checked against the
 * text that its last column names. Version: FLOW_LICENCE_RULES. */
#include "flow/licence.h"

#include <stddef.h>

#define IDS(...) \
	(const char *const[]) { __VA_ARGS__, NULL }
#define KEEP (FLOW_DUTY_TEXT | FLOW_DUTY_NOTICE)
#define USE (KEEP | FLOW_DUTY_USE)
#define META (USE | FLOW_DUTY_NAME | FLOW_DUTY_SHOWN | FLOW_DUTY_SCALE)
#define NC (KEEP | FLOW_DUTY_NONCOMMERCIAL)
#define SA (KEEP | FLOW_DUTY_SHARE_ALIKE)
#define ND (KEEP | FLOW_DUTY_NO_DERIVATIVES)

/* clang-format off */
const struct flow_licence flow_licences[] = {
	/* ---- community licences of makers ---- */
	{ "LicenseRef-Llama-2", IDS("llama2", "llama-2", "llama 2*"),
	  USE | FLOW_DUTY_SCALE | FLOW_DUTY_OUTPUTS, FLOW_DUTY_OUTPUTS, NULL, NULL,
	  "llama 2 community license agreement", "Llama 2 Community License, 1.b.i, 1.b.iv, 1.b.v, 2" },
	{ "LicenseRef-Llama-3", IDS("llama3", "llama-3", "llama 3", "meta-llama-3"),
	  META | FLOW_DUTY_OUTPUTS, FLOW_DUTY_OUTPUTS, "Llama 3", "Built with Meta Llama 3",
	  "meta llama 3 community license agreement", "Meta Llama 3 Community License, 1.b, 2" },
	{ "LicenseRef-Llama-3.1", IDS("llama3.1", "llama-3.1", "llama 3.1"),
	  META, FLOW_DUTY_NAME | FLOW_DUTY_SHOWN, "Llama", "Built with Llama",
	  "llama 3.1 community license agreement", "Llama 3.1 Community License, 1.b, 2" },
	{ "LicenseRef-Llama-3.2", IDS("llama3.2", "llama-3.2", "llama 3.2"),
	  META, FLOW_DUTY_NAME | FLOW_DUTY_SHOWN, "Llama", "Built with Llama",
	  "llama 3.2 community license agreement", "Llama 3.2 Community License, 1.b, 2" },
	{ "LicenseRef-Llama-3.3", IDS("llama3.3", "llama-3.3", "llama 3.3"),
	  META, FLOW_DUTY_NAME | FLOW_DUTY_SHOWN, "Llama", "Built with Llama",
	  "llama 3.3 community license agreement", "Llama 3.3 Community License, 1.b, 2" },
	{ "LicenseRef-Llama-4", IDS("llama4", "llama-4", "llama 4"),
	  META, FLOW_DUTY_NAME | FLOW_DUTY_SHOWN, "Llama", "Built with Llama",
	  "llama 4 community license agreement", "Llama 4 Community License, 1.b, 2" },
	{ "LicenseRef-Gemma", IDS("gemma", "gemma-terms*", "google-gemma"),
	  USE, USE, NULL, NULL, "gemma terms of use", "Gemma Terms of Use, 1.1(e), 3.1, 3.2" },
	{ "LicenseRef-HAI-DEF", IDS("health-ai-developer-foundations", "hai-def"),
	  USE, USE, NULL, NULL, "health ai developer foundations terms of use",
	  "HAI-DEF Terms of Use, 1.1, 3" },
	{ "LicenseRef-DeepSeek-1.0", IDS("deepseek", "deepseek-license", "deepseek-model*"),
	  USE, USE, NULL, NULL, "deepseek license agreement",
	  "DeepSeek Model License 1.0, 4 and 5, Attachment A" },
	{ "LicenseRef-Qwen-Research", IDS("qwen-research*", "tongyi-qianwen-research*"),
	  NC, FLOW_DUTY_SHOWN, NULL, "Built with Qwen", "qwen research license agreement",
	  "Qwen Research License, 2, 3, 4" },
	{ "LicenseRef-Qwen", IDS("qwen", "qwen-license", "tongyi-qianwen*", "qianwen"),
	  KEEP | FLOW_DUTY_SCALE, FLOW_DUTY_SHOWN, NULL, "Built with Qwen", "qianwen license agreement",
	  "Tongyi Qianwen License, 3, 4" },
	{ "LicenseRef-Qwen", IDS("qwen-license-agreement"),
	  KEEP | FLOW_DUTY_SCALE, FLOW_DUTY_SHOWN, NULL, "Built with Qwen", "qwen license agreement",
	  "Qwen License, 3, 4" },
	{ "LicenseRef-Kimi-Modified-MIT", IDS("modified-mit", "kimi*", "modified mit"),
	  KEEP | FLOW_DUTY_SCALE, 0, NULL, NULL, "modified mit license", "Kimi K2, modified MIT" },
	/* ---- responsible use ---- */
	{ "LicenseRef-OpenRAIL", IDS("openrail*", "creativeml-openrail*", "bigscience-openrail*",
				     "bigscience-bloom-rail*", "bigcode-openrail*", "rail*"),
	  USE, USE, NULL, NULL, "use-based restrictions", "OpenRAIL-M, III.4, III.5, Attachment A" },
	/* ---- research alone ---- */
	{ "LicenseRef-Mistral-Research", IDS("mrl*", "mistral-ai-research*", "mnpl*", "mistral-research*"),
	  NC, 0, NULL, NULL, "mistral ai research license", "Mistral AI Research License, 2, 3" },
	{ "LicenseRef-Research", IDS("fair-noncommercial*", "apple-amlr", "intel-research", "h-research",
				     "deepfloyd-if-license", "nvidia-noncommercial*", "*-non-commercial"),
	  NC, 0, NULL, NULL, NULL, "each text: research or no commercial use" },
	/* ---- Creative Commons ---- */
	{ "CC-BY-NC-SA", IDS("cc-by-nc-sa*"), NC | FLOW_DUTY_SHARE_ALIKE, 0, NULL, NULL,
	  "attribution-noncommercial-sharealike", "CC BY-NC-SA, 3" },
	{ "CC-BY-NC-ND", IDS("cc-by-nc-nd*"), NC | FLOW_DUTY_NO_DERIVATIVES, 0, NULL, NULL,
	  "attribution-noncommercial-noderivatives", "CC BY-NC-ND, 2.a" },
	{ "CC-BY-NC", IDS("cc-by-nc*"), NC, 0, NULL, NULL, "attribution-noncommercial", "CC BY-NC, 2.a" },
	{ "CC-BY-ND", IDS("cc-by-nd*"), ND, 0, NULL, NULL, "attribution-noderivatives", "CC BY-ND, 2.a" },
	{ "CC-BY-SA", IDS("cc-by-sa*"), SA, 0, NULL, NULL, "attribution-sharealike", "CC BY-SA, 3.b" },
	{ "CC-BY", IDS("cc-by-*", "cc-by"), KEEP, 0, NULL, NULL, "creative commons attribution",
	  "CC BY, 3.a" },
	{ "CC0-1.0", IDS("cc0*", "cc-0", "pddl"), 0, 0, NULL, NULL, "cc0 1.0 universal", "CC0" },
	/* ---- copyleft ---- */
	{ "AGPL", IDS("agpl*"), SA, 0, NULL, NULL, "gnu affero general public license", "AGPL-3.0, 5" },
	{ "LGPL", IDS("lgpl*"), SA, 0, NULL, NULL, "gnu lesser general public license", "LGPL, 2" },
	{ "GPL", IDS("gpl*", "osl-3.0", "eupl*", "epl*", "gfdl", "odbl", "cdla-sharing*"), SA, 0, NULL,
	  NULL, "gnu general public license", "GPL, 2 or 5" },
	{ "MPL-2.0", IDS("mpl*"), KEEP, 0, NULL, NULL, "mozilla public license", "MPL-2.0, 3" },
	/* ---- permissive ---- */
	{ "Apache-2.0", IDS("apache-2.0", "apache*"), KEEP, 0, NULL, NULL, "apache license version 2.0",
	  "Apache-2.0, 4" },
	{ "MIT", IDS("mit", "expat", "x11"), KEEP, 0, NULL, NULL,
	  "permission is hereby granted, free of charge, to any person", "MIT" },
	{ "BSD", IDS("bsd*", "isc", "0bsd", "ncsa", "zlib"), KEEP, 0, NULL, NULL,
	  "redistribution and use in source and binary forms", "BSD" },
	{ "LicenseRef-Permissive", IDS("unlicense", "wtfpl", "afl-3.0", "artistic-2.0", "ecl-2.0", "ms-pl",
				       "postgresql", "bsl-1.0", "cdla-permissive*", "odc-by", "openmdw*"),
	  FLOW_DUTY_TEXT, 0, NULL, NULL, NULL, "each text" },
};
/* clang-format on */
const size_t flow_licence_count = sizeof flow_licences / sizeof *flow_licences;
_Static_assert(sizeof flow_licences / sizeof *flow_licences <= 64, "a bit for each row");
