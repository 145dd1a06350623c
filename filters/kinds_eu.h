/* What the tables of the member states share. The words of a kind are those that people write
 * before its numbers, in the languages of the country; the English ones are the same everywhere. */
#ifndef FILTERS_KINDS_EU_H
#define FILTERS_KINDS_EU_H

#include "filters/check_eu.h"
#include "filters/kind.h"

#define WORDS_PERSON                                                                             \
	"national id", "national identi*", "national number", "personal id*", "personal number", \
		"personal code", "identity number", "citizen number", "id number"
#define WORDS_TAX "tax id*", "tax number", "tax no", "tax code", "taxpayer*", "tin"
#define WORDS_SOCIAL \
	"social security", "social insurance", "ssn", "insurance number", "insurance no"
#define WORDS_VAT "vat number", "vat no", "vat id*", "vat reg*", "vat code"
#define WORDS_COMPANY \
	"company number", "company no", "company id*", "company registration", WORDS_VAT

/* The two publications that give the sums of most numbers. */
#define VAT_RULES \
	"Directive 2006/112/EC, art. 215; Austrian Ministry of Finance, UID-Konstruktionsregeln"
#define TIN_RULES "European Commission, TIN on Europa: country sheets and algorithms"

extern const struct kind kind_eu_east[], kind_eu_north[], kind_eu_south[], kind_eu_west[];

#endif
