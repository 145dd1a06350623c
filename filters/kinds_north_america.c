/* The United States, Canada, Mexico. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- United States */

/* There is no check digit. Refused are numbers that were never given out and those that
 * advertisements made known. */
static bool us_ssn(const char *v, size_t n)
{
	static const char known[] = "078051120 123456789 219099999 457555462";
	int area = check_number(v, 3);
	return area != 0 && area != 666 && area < 900 && memcmp(v + 3, "00", 2) != 0 &&
	       memcmp(v + 5, "0000", 4) != 0 && !check_listed(known, v, 9) && !check_same(v, n);
}

/* The middle two digits: 50 to 65, 70 to 88, 90 to 92, 94 to 99 (93 is for adoptions, ATIN). */
static bool us_itin(const char *v, size_t n)
{
	int group = check_number(v + 3, 2);
	(void)n;
	return (group >= 50 && group <= 65) || (group >= 70 && group != 89);
}

/* Prefixes of the campuses that give them out. */
static bool us_ein(const char *v, size_t n)
{
	static const char prefixes[] =
		"01 02 03 04 05 06 10 11 12 13 14 15 16 20 21 22 23 24 25 26 27 30 31 32 33 34 35 36 "
		"37 38 39 40 41 42 43 44 45 46 47 48 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 "
		"66 67 68 71 72 73 74 75 76 77 80 81 82 83 84 85 86 87 88 90 91 92 93 94 95 98 99";
	return check_listed(prefixes, v, 2) && !check_same(v, n);
}

/* Federal Reserve district (also thrift, electronic, traveller's cheque), weights 3 7 1. */
static bool us_aba(const char *v, size_t n)
{
	int two = check_number(v, 2);
	bool district =
		two <= 12 || (two >= 21 && two <= 32) || (two >= 61 && two <= 72) || two == 80;
	return district && !check_same(v, n) && check_weighted(v, "371371371") % 10 == 0;
}

static bool us_npi(const char *v, size_t n)
{
	char whole[16] = "80840";
	memcpy(whole + 5, v, n);
	return !check_same(v + 1, 9) && check_luhn(whole, 15);
}

static bool us_dea(const char *v, size_t n)
{
	(void)n;
	return check_weighted(v + 2, "121212") % 10 == v[8] - '0';
}

static const char *const words_us_ssn[] = { "ssn*",   "social security", "soc sec", "ss#",
					    "social", "seguro social",   NULL };
static const char *const words_us_itin[] = {
	"itin", "atin", "individual taxpayer", "taxpayer id*", "tax id*", "tin", NULL
};
static const char *const words_us_ein[] = { "ein",     "fein",        "employer id*",
					    "tax id*", "federal tax", "federal id",
					    "tin",     "irs",         NULL };
static const char *const words_us_ptin[] = { "ptin", "preparer*", NULL };
static const char *const words_us_aba[] = {
	"aba", "routing", "rtn", "transit", "wire", "ach", NULL
};
static const char *const words_us_npi[] = { "npi", "provider*", "practitioner*", "prescriber*",
					    NULL };
static const char *const words_us_dea[] = { "dea", "prescriber*", "controlled substance*", NULL };
static const char *const words_us_mbi[] = { "mbi", "medicare*", "beneficiary", NULL };
static const char *const words_us_passport[] = { "passport*", "pasaporte*", "travel document",
						 NULL };
static const char *const words_us_driver[] = {
	WORDS_DRIVER,     "dl#",      "dl no", "dln", "license number",
	"licence number", "state id", "cdl",   NULL
};

static const struct kind us[] = {
	{ .name = "us.ssn",
	  .version = 2,
	  .form = "[0-8]#{8}",
	  .groups = "3 2 4",
	  .check = us_ssn,
	  NEEDS(LABEL, NO_VETO, LABEL),
	  .words = words_us_ssn,
	  .what = "US social security number",
	  .source = "Social Security Administration, numbers that are not assigned",
	  .example = "219-09-9998" },
	{ .name = "us.itin",
	  .version = 2,
	  .form = "9##[5-9]#{5}",
	  .groups = "3 2 4",
	  .check = us_itin,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_us_itin,
	  .what = "US individual or adoption taxpayer number (ITIN, ATIN)",
	  .source = "Internal Revenue Manual 3.21.263",
	  .example = "911-70-1234" },
	{ .name = "us.ein",
	  .version = 1,
	  .form = "#{9}",
	  .groups = "2-7",
	  .check = us_ein,
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_us_ein,
	  .what = "US employer number",
	  .source = "Internal Revenue Service, valid EIN prefixes",
	  .example = "EIN 91-1144442" },
	{ .name = "us.ptin",
	  .version = 1,
	  .form = "P#{8}",
	  .groups = "1-8",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_us_ptin,
	  .what = "US number of a tax preparer",
	  .source = "Internal Revenue Service",
	  .example = "PTIN P00634642" },
	{ .name = "us.aba",
	  .version = 2,
	  .form = "#{9}",
	  .groups = "4 4 1|3 3 3",
	  .check = us_aba,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_us_aba,
	  .what = "US bank routing number",
	  .source = "American Bankers Association, routing number policy",
	  .example = "routing number 021000021" },
	{ .name = "us.npi",
	  .version = 2,
	  .form = "[12]#{9}",
	  .groups = "4 3 3|3 3 4",
	  .check = us_npi,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_us_npi,
	  .what = "US national provider identifier",
	  .source = "45 CFR 162.406; Luhn's check digit over 80840 and the number",
	  .example = "NPI 1234567893" },
	{ .name = "us.dea",
	  .version = 2,
	  .form = "[A-HJ-NPRSTUX][A-Z9]#{7}",
	  .groups = "2 7",
	  .check = us_dea,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_us_dea,
	  .what = "US DEA number of a prescriber",
	  .source = "Drug Enforcement Administration, Diversion Control Division",
	  .example = "DEA AB1234563" },
	{ .name = "us.mbi",
	  .version = 1,
	  .form = "^[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]#[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]#"
		  "[AC-HJKMNP-RT-Y]{2}##",
	  .groups = "4 3 4",
	  NEEDS(NO_VETO, NOTHING, WORD),
	  .words = words_us_mbi,
	  .what = "US Medicare beneficiary identifier",
	  .source = "Centers for Medicare & Medicaid Services, MBI format",
	  .example = "1EG4-TE5-MK73" },
	{ .name = "us.mbi",
	  .version = 1,
	  .form = "[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]#[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]#"
		  "[AC-HJKMNP-RT-Y]{2}##",
	  .groups = "4 3 4",
	  NEEDS(WORD, WORD, WORD),
	  .words = words_us_mbi,
	  .what = "US Medicare beneficiary identifier in small letters",
	  .source = "Centers for Medicare & Medicaid Services, MBI format",
	  .example = "Medicare 1eg4-te5-mk73" },
	{ .name = "us.passport",
	  .version = 1,
	  .form = "#{9}|A#{8}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_us_passport,
	  .what = "US passport",
	  .source = "Department of State",
	  .example = "passport A12803456" },
	/* Forms of the fifty states: AAMVA, the card's DAQ element. */
	{ .name = "us.driver_license",
	  .version = 1,
	  .form = "#{7,12}|A#{3,14}|AA#{5,8}|AAA#{5,7}|#{3}AA#{4}|##AAA#{5}|#{8}A{1,2}|A##A#{6}",
	  .groups = "1 3 3 3|1 4 4 4|1 4 5 5|1 3 3 3 3|2 3 3|3 2 4|3 3 3|1 3 4 4",
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_us_driver,
	  .what = "US driver license",
	  .source = "AAMVA DL/ID Card Design Standard; the states' forms, without check digits",
	  .example = "driver license H12234567" },
	{ 0 },
};

/* ---- Canada */

static bool ca_bn(const char *v, size_t n)
{
	static const char programs[] = "RC RM RP RR RT RZ";
	return !check_same(v, 9) && check_luhn(v, 9) &&
	       (n == 9 || check_listed(programs, v + 9, 2));
}

static bool ca_ohip(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 10) && check_luhn(v, 10);
}

/* British Columbia: weights 2 4 8 5 10 9 7 3, each product mod 11. */
static bool ca_bc_phn(const char *v, size_t n)
{
	int sum = 0;
	(void)n;
	for (int i = 0; i < 8; i++)
		sum += (v[1 + i] - '0') * ("2485:973"[i] - '0') % 11;
	return v[9] - '0' == (11 - sum % 11) % 11;
}

/* Year, month (50 more for women) and day stand behind the letters: health card and licence of
 * Quebec differ in their order. */
static bool month_of(const char *v)
{
	int month = check_number(v, 2);
	return (month >= 1 && month <= 12) || (month >= 51 && month <= 62);
}

static bool ca_ramq(const char *v, size_t n)
{
	int day = check_number(v + 8, 2);
	(void)n;
	return month_of(v + 6) && day >= 1 && day <= 31;
}

/* Ontario: a letter, eight digits, the date of birth as yymmdd. */
static bool ca_on_driver(const char *v, size_t n)
{
	int day = check_number(v + 13, 2);
	(void)n;
	return month_of(v + 11) && day >= 1 && day <= 31;
}

/* Quebec: a letter, four digits, the date of birth as ddmmyy, two digits. */
static bool ca_qc_driver(const char *v, size_t n)
{
	int day = check_number(v + 5, 2);
	(void)n;
	return month_of(v + 7) && day >= 1 && day <= 31;
}

static const char *const words_ca_sin[] = {
	"sin", "social insurance", "nas", "assurance sociale", "sin#", "s.i.n.", "n.a.s.", NULL
};
static const char *const words_ca_bn[] = {
	"business number", "numéro d'entreprise", "gst*", "hst", "tps", "cra", "bn no", NULL
};
static const char *const words_ca_health[] = { "health card",  "health number", "health insurance",
					       "ohip",         "phn",           "hcn",
					       "ahcip",        "carte santé",   "assurance maladie",
					       "carte soleil", "ramq",          "healthcare number",
					       "mcp number",   "msi number",    NULL };
static const char *const words_ca_driver[] = { WORDS_DRIVER, "licence number", "permis de conduire",
					       "dl#", NULL };
static const char *const words_ca_passport[] = { "passport*", "passeport*", NULL };

static const struct kind ca[] = {
	{ .name = "ca.sin",
	  .version = 2,
	  .form = "[1-79]#{8}",
	  .groups = "3-3-3",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ca_sin,
	  .what = "Canadian social insurance number",
	  .source = "Service Canada; 0 and 8 in front are not given to people",
	  .example = "130-692-544" },
	{ .name = "ca.sin",
	  .version = 2,
	  .form = "[1-79]#{8}",
	  .groups = "3 3 3",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ca_sin,
	  .what = "Canadian social insurance number, not in dashes: large numbers look so",
	  .source = "Service Canada; 0 and 8 in front are not given to people",
	  .example = "SIN 130 692 544" },
	{ .name = "ca.business_number",
	  .version = 1,
	  .form = "[1-9]#{8}",
	  .groups = "5 4|3 3 3",
	  .check = ca_bn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ca_bn,
	  .what = "Canadian business number",
	  .source = "Canada Revenue Agency",
	  .example = "business number 123026635" },
	{ .name = "ca.business_number",
	  .version = 1,
	  .form = "[1-9]#{8}R[CMPRTZ]####",
	  .groups = "9 2 4|5 4 2 4|9 6|3 3 3 2 4|9 1 1 4",
	  .check = ca_bn,
	  NEEDS(NOTHING, NOTHING, NO_VETO),
	  .words = words_ca_bn,
	  .what = "Canadian program account of a business",
	  .source = "Canada Revenue Agency",
	  .example = "123026635RT0001" },
	{ .name = "ca.ohip",
	  .version = 1,
	  .form = "[1-9]#{9}|[1-9]#{9}A{1,2}",
	  .groups = "4 3 3|4 3 3 1|4 3 3 2|10 2|10 1",
	  .check = ca_ohip,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ca_health,
	  .what = "Ontario health card",
	  .source = "Ontario Ministry of Health, health card validation reference manual",
	  .example = "OHIP 9876-543-217" },
	{ .name = "ca.bc_phn",
	  .version = 1,
	  .form = "9#{9}",
	  .groups = "4 3 3",
	  .check = ca_bc_phn,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_ca_health,
	  .what = "British Columbia personal health number",
	  .source = "BC Ministry of Health",
	  .example = "PHN 9698 658 215" },
	{ .name = "ca.ramq",
	  .version = 1,
	  .form = "AAAA#{8}",
	  .groups = "4 4 4",
	  .check = ca_ramq,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_ca_health,
	  .what = "Quebec health insurance card",
	  .source = "Régie de l'assurance maladie du Québec",
	  .example = "TREM 8551 0116" },
	{ .name = "ca.health",
	  .version = 1,
	  .form = "#{8,10}|#{12}",
	  .groups = "3 3 3|5 4|4 3 3|3 3 4|4 4 4|3 3 3 1",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ca_health,
	  .what = "health card of another Canadian province",
	  .source = "provincial ministries of health; no public check digits",
	  .example = "health card 123456789" },
	{ .name = "ca.driver_licence",
	  .version = 1,
	  .form = "A#{14}",
	  .groups = "5-5-5",
	  .check = ca_on_driver,
	  NEEDS(NO_VETO, NOTHING, WORD),
	  .words = words_ca_driver,
	  .what = "Ontario driver licence",
	  .source = "Ontario Ministry of Transportation",
	  .example = "S1234-56789-85101" },
	{ .name = "ca.driver_licence",
	  .version = 1,
	  .form = "A#{12}",
	  .groups = "5-6-2",
	  .check = ca_qc_driver,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_ca_driver,
	  .what = "Quebec driver licence",
	  .source = "Société de l'assurance automobile du Québec",
	  .example = "T1234-150185-06" },
	{ .name = "ca.driver_licence",
	  .version = 1,
	  .form = "#{5,9}|AAAAA#{9}|A{5}#{6}A#{3}",
	  .groups = "6 3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ca_driver,
	  .what = "driver licence of another Canadian province",
	  .source = "provincial registries; no public check digits",
	  .example = "driver's licence 1234567" },
	{ .name = "ca.passport",
	  .version = 1,
	  .form = "AA#{6}|A#{6}AA",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_ca_passport,
	  .what = "Canadian passport",
	  .source = "Immigration, Refugees and Citizenship Canada",
	  .example = "passport GA302922" },
	{ 0 },
};

/* ---- Mexico */

/* Whether v is a letter-and-digit alphabet with & behind N: its place. */
static int mx_value(char c)
{
	int k = check_base36(c);
	return k >= 24 ? k + 1 : k;
}

/* Four letters, date of birth, sex, state, three consonants, a digit (born before 2000) or letter,
 * check digit: weights 18 to 2. */
static bool mx_curp(const char *v, size_t n)
{
	static const char states[] =
		"AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL "
		"QR QT SL SP SR TC TL TS VZ YN ZS";
	int sum = 0, year = check_number(v + 4, 2) + (v[16] <= '9' ? 1900 : 2000);
	(void)n;
	for (int i = 0; i < 17; i++)
		sum += (18 - i) * mx_value(v[i]);
	return check_listed(states, v + 11, 2) &&
	       check_date(year, check_number(v + 6, 2), check_number(v + 8, 2)) &&
	       v[17] - '0' == (10 - sum % 10) % 10;
}

/* Of people 13, of companies 12 characters (a space counts in front); weights 13 to 2, mod 11. */
static bool mx_rfc_shape(const char *v, size_t n) { return check_yymmdd(v + n - 9); }

static bool mx_rfc(const char *v, size_t n)
{
	int sum = n == 12 ? 13 * 37 : 0;
	for (size_t i = 0; i + 1 < n; i++)
		sum += (int)(n - i) * mx_value(v[i]);
	return mx_rfc_shape(v, n) && v[n - 1] == "0123456789A"[(11 - sum % 11) % 11];
}

/* Bank, place, account, check digit: weights 3 7 1, each product mod 10. */
static bool mx_clabe(const char *v, size_t n)
{
	static const char banks[] =
		"001 002 006 009 012 014 019 021 030 032 036 037 042 044 058 059 060 062 072 102 103 106 108 "
		"110 112 113 116 124 126 127 128 129 130 131 132 133 134 135 136 137 138 139 140 141 143 145 "
		"147 148 150 151 152 154 155 156 157 158 160 166 167 168 600 601 602 605 607 608 610 614 615 "
		"616 617 618 619 620 621 622 623 626 627 628 629 630 631 632 633 634 636 637 638 640 642 646 "
		"647 648 649 651 652 653 655 656 659 661 663 665 670 677 680 683 684 685 686 688 689 699 703 "
		"706 710 715 722 723 728 729 730 732 738 741 901 902 903";
	int sum = 0;
	(void)n;
	for (int i = 0; i < 17; i++)
		sum += (v[i] - '0') * ("371"[i % 3] - '0') % 10;
	return check_listed(banks, v, 3) && v[17] - '0' == (10 - sum % 10) % 10;
}

static const char *const words_mx_curp[] = { "curp", "clave unica", NULL };
static const char *const words_mx_rfc[] = { "rfc", "registro federal", "contribuyente*", "sat",
					    NULL };
static const char *const words_mx_nss[] = { "nss", "imss", "seguro social", "seguridad social",
					    NULL };
static const char *const words_mx_clabe[] = { "clabe", "cuenta", "interbancaria", "spei", NULL };
static const char *const words_mx_ine[] = { "ine",      "ife",         "clave de elector",
					    "elector*", "credencial*", NULL };
static const char *const words_mx_passport[] = { "pasaporte*", "passport*", NULL };

static const struct kind mx[] = {
	{ .name = "mx.curp",
	  .version = 1,
	  .form = "A{4}#{6}[HMX]A{5}X#",
	  .groups = "4 6 6 2|4 6 8",
	  .check = mx_curp,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_mx_curp,
	  .what = "Mexican population registry code (CURP)",
	  .source = "Secretaría de Gobernación, instructivo normativo de la CURP",
	  .example = "BOXW310820HNERXN09" },
	{ .name = "mx.rfc",
	  .version = 1,
	  .form = "A{3,4}#{6}[1-9A-V][1-9A-Z][0-9A]",
	  .groups = "4 6 3|3 6 3",
	  .check = mx_rfc,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_mx_rfc,
	  .what = "Mexican tax number (RFC)",
	  .source = "Servicio de Administración Tributaria, instructivo del RFC",
	  .example = "GODE561231GR8" },
	/* Some in use have a wrong check digit. */
	{ .name = "mx.rfc",
	  .version = 1,
	  .form = "A{3,4}#{6}X{3}",
	  .groups = "4 6 3|3 6 3",
	  .check = mx_rfc_shape,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_mx_rfc,
	  .what = "Mexican tax number (RFC) with another check digit",
	  .source = "Servicio de Administración Tributaria: RFC in use are not always by the rule",
	  .example = "RFC GODE561231GR1" },
	{ .name = "mx.nss",
	  .version = 1,
	  .form = "#{11}",
	  .groups = "2 2 2 4 1|10-1",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_mx_nss,
	  .what = "Mexican social security number (NSS)",
	  .source = "Instituto Mexicano del Seguro Social",
	  .example = "NSS 12 34 56 7890 3" },
	{ .name = "mx.clabe",
	  .version = 1,
	  .form = "[01679]#{17}",
	  .groups = "3 3 11 1|3 3 12|4 4 4 4 2",
	  .check = mx_clabe,
	  NEEDS(NO_VETO, WORD, WORD),
	  .words = words_mx_clabe,
	  .what = "Mexican bank account (CLABE)",
	  .source = "Banco de México, SPEI",
	  .example = "032180000118359719" },
	{ .name = "mx.voter",
	  .version = 1,
	  .form = "A{6}#{8}[HM]#{3}",
	  NEEDS(NOTHING, NEVER, WORD),
	  .words = words_mx_ine,
	  .what = "Mexican voter key (clave de elector)",
	  .source = "Instituto Nacional Electoral",
	  .example = "GMVLMR80070501M100" },
	{ .name = "mx.passport",
	  .version = 1,
	  .form = "A#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_mx_passport,
	  .what = "Mexican passport",
	  .source = "Secretaría de Relaciones Exteriores",
	  .example = "pasaporte G12345678" },
	{ 0 },
};

const struct kind *const kind_tables_north_america[] = { us, ca, mx, NULL };
