#include "filters/confusables_table.h"
#include "filters/filters.h"
#include "filters/regex.h"

#include <pthread.h>
#include <stdio.h>
#include <utf8proc.h>

/* Raised when a view, the confusables or the grammar of regexes change what is found. */
#define TABLES 2

static char version[160];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
	char pcre[64] = "";
	if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof pcre)
		pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	for (char *c = pcre; *c; c++)
		if (*c == ' ')
			*c = 0;
	snprintf(version, sizeof version, "unicode-%s confusables-%s pcre2-%s tables-%u",
		 utf8proc_unicode_version(), filter_confusables_version, pcre, filter_tables());
}

unsigned filter_tables(void) { return TABLES; }

const char *filter_tables_version(void)
{
	pthread_once(&once, make);
	return version;
}
