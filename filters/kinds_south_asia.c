/* India, Pakistan, Sri Lanka, Bangladesh, and the south-east: Singapore, Malaysia, Indonesia, the
 * Philippines, Thailand, Vietnam. */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- India */

static bool in_aadhaar(const char *v, size_t n)
{
	bool palindrome = true;
	for (size_t i = 0; i < n; i++)
		palindrome &= v[i] == v[n - 1 - i];
	return !palindrome && !check_years(v, n) && check_verhoeff(v, n);
}

static bool in_pan(const char *v, size_t n)
{
	(void)n;
	return memcmp(v + 5, "0000", 4) != 0;
}

/* Base 36, weights 1 2 1 2 ..., quotient and remainder by 36 added. */
static bool in_gstin(const char *v, size_t n)
{
	int sum = 0, state = check_number(v, 2);
	(void)n;
	for (int i = 0; i < 14; i++) {
		int p = check_base36(v[i]) * (i % 2 ? 2 : 1);
		sum += p / 36 + p % 36;
	}
	return ((state >= 1 && state <= 38) || state == 97 || state == 99) &&
	       check_base36(v[14]) == (36 - sum % 36) % 36;
}

static bool in_voter(const char *v, size_t n) { return check_luhn(v + 3, n - 3); }

static bool in_driving(const char *v, size_t n)
{
	static const char states[] =
		"AN AP AR AS BR CG CH DD DL DN GA GJ HP HR JH JK KA KL LA LD MH ML "
		"MN MP MZ NL OD OR PB PY RJ SK TN TR TS UA UK UP WB";
	int year = check_number(v + 4, 4);
	(void)n;
	return check_listed(states, v, 2) && year >= 1950 && year < 2050;
}

static const char *const words_in_aadhaar[] = { "aadhaar*", "aadhar*", "adhaar*", "uidai",
						"uid",      "आधार",    "ஆதார்",    "ఆధార్",
						"আধার",     "આધાર",    "ಆಧಾರ್",    NULL };
static const char *const words_in_vid[] = { "vid",      "virtual id", "virtual identity",
					    "aadhaar*", "आधार",       NULL };
static const char *const words_in_pan[] = { "pan",        "permanent account",
					    "income tax", "tax id",
					    "पैन",         NULL };
static const char *const words_in_gstin[] = { "gst*", "जीएसटी", NULL };
static const char *const words_in_voter[] = { "voter*", "epic", "election*", "elector*",
					      "मतदाता", "वोटर", NULL };
static const char *const words_in_passport[] = { "passport*", "पासपोर्ट", NULL };
static const char *const words_in_driving[] = { WORDS_DRIVER, "licen*", "ड्राइविंग लाइसेंस", NULL };
static const char *const words_in_uan[] = { "uan", "universal account", "epf*", "provident fund",
					    NULL };
static const char *const words_in_abha[] = { "abha", "health id", "ayushman*", "आभा", NULL };

static const struct kind in[] = {
	{ .name = "in.aadhaar",
	  .version = 2,
	  .form = "[2-9]#{11}",
	  .groups = "4 4 4",
	  .check = in_aadhaar,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_in_aadhaar,
	  .what = "Indian Aadhaar number",
	  .source = "UIDAI, Aadhaar numbering scheme: Verhoeff's check digit",
	  .example = "Aadhaar 3123 4567 8909" },
	{ .name = "in.vid",
	  .version = 1,
	  .form = "[2-9]#{15}",
	  .groups = "4 4 4 4",
	  .check = in_aadhaar,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_in_vid,
	  .what = "Indian virtual identity number (in place of Aadhaar)",
	  .source = "UIDAI circular 1 of 2018",
	  .example = "Aadhaar VID 2341 2341 2341 2341" },
	{ .name = "in.pan",
	  .version = 2,
	  .form = "A{3}[ABCFGHJKLPT]A####A",
	  .groups = "5 4 1",
	  .check = in_pan,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_in_pan,
	  .what = "Indian permanent account number (tax)",
	  .source = "Income Tax Department: the fourth letter is the kind of holder",
	  .example = "PAN ABCPD1234Z" },
	{ .name = "in.gstin",
	  .version = 2,
	  .form = "##A{5}####AXZX",
	  .groups = "2 10 1 1 1|2 10 3",
	  .check = in_gstin,
	  NEEDS(NOTHING, NOTHING, NOTHING),
	  .words = words_in_gstin,
	  .what = "Indian goods and services tax number",
	  .source = "GST Network, format and check character of GSTIN",
	  .example = "27XRTRV4468F1Z7" },
	{ .name = "in.voter_id",
	  .version = 1,
	  .form = "AAA#{7}",
	  .groups = "3 7",
	  .check = in_voter,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_in_voter,
	  .what = "Indian voter card (EPIC)",
	  .source = "Election Commission: three letters, serial, Luhn's check digit",
	  .example = "voter ID WKH1186253" },
	{ .name = "in.passport",
	  .version = 1,
	  .form = "[A-PR-WY][1-9]#{5}[1-9]",
	  .groups = "1 7|3 5",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_in_passport,
	  .what = "Indian passport",
	  .source = "Passport Seva, numbers of passports",
	  .example = "passport no. K1234567" },
	{ .name = "in.driving_licence",
	  .version = 1,
	  .form = "AA#{13}",
	  .groups = "4 11|4 4 7|2-2-4-7|2 13|5 10",
	  .check = in_driving,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_in_driving,
	  .what = "Indian driving licence",
	  .source = "Ministry of Road Transport: state, office, year, serial",
	  .example = "MH14 20110012345" },
	{ .name = "in.uan",
	  .version = 1,
	  .form = "1#{11}",
	  .groups = "4 4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_in_uan,
	  .what = "Indian universal account number of the provident fund",
	  .source = "Employees' Provident Fund Organisation",
	  .example = "UAN 100904319456" },
	{ .name = "in.abha",
	  .version = 1,
	  .form = "[1-9]#{13}",
	  .groups = "2 4 4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_in_abha,
	  .what = "Indian health account number (ABHA)",
	  .source = "National Health Authority",
	  .example = "ABHA number 91-1234-5678-9012" },
	{ 0 },
};

/* ---- Pakistan, Sri Lanka, Bangladesh */

/* The first digit is the province, the last the sex (never 0). */
static bool pk_cnic(const char *v, size_t n)
{
	(void)n;
	return v[12] != '0' && !check_same(v + 5, 7);
}

/* Two digits of the year, day of the year (500 more for women), serial; the new form has the whole
 * year. */
static bool lk_nic(const char *v, size_t n)
{
	int day = check_number(v + (n == 12 ? 4 : 2), 3);
	if (n == 12 && (check_number(v, 4) < 1900 || check_number(v, 4) > 2049))
		return false;
	day = day > 500 ? day - 500 : day;
	return day >= 1 && day <= 366;
}

static const char *const words_pk[] = { "cnic",    "nicop",       "nadra",  "national id",
					"id card", "شناختی کارڈ", "شناختی", NULL };
static const char *const words_lk[] = { "nic",     "national id*", "identity card",
					"හැඳුනුම්පත", "அடையாள அட்டை",  NULL };
static const char *const words_bd[] = { "nid",    "national id*", "জাতীয় পরিচয়পত্র",
					"এনআইডি", "smart card",   NULL };

static const struct kind south[] = {
	{ .name = "pk.cnic",
	  .version = 1,
	  .form = "[1-7]#{12}",
	  .groups = "5-7-1",
	  .check = pk_cnic,
	  NEEDS(LABEL, NO_VETO, LABEL),
	  .words = words_pk,
	  .what = "Pakistani identity card (CNIC)",
	  .source = "NADRA: province, division, district, family, sex; no check digit",
	  .example = "34201-0891231-8" },
	{ .name = "lk.nic",
	  .version = 1,
	  .form = "#{9}[VX]",
	  .groups = "9 1",
	  .check = lk_nic,
	  NEEDS(NO_VETO, WORD, NEVER),
	  .words = words_lk,
	  .what = "Sri Lankan identity card of the old form",
	  .source = "Department for Registration of Persons",
	  .example = "853400937V" },
	{ .name = "lk.nic",
	  .version = 1,
	  .form = "[12]#{11}",
	  .groups = "4 4 4",
	  .check = lk_nic,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_lk,
	  .what = "Sri Lankan identity card",
	  .source = "Department for Registration of Persons, rule of 2016",
	  .example = "NIC 198534000937" },
	{ .name = "bd.nid",
	  .version = 1,
	  .form = "#{10}|#{13}|19#{15}",
	  NEEDS(LABEL, NEVER, LABEL),
	  .words = words_bd,
	  .what = "Bangladeshi identity card",
	  .source = "Election Commission: 10, 13 or 17 digits; no public check digit",
	  .example = "NID 8265314970" },
	{ 0 },
};

/* ---- Singapore */

/* Weights 2 7 6 5 4 3 2, offset 4 for T and G, 3 for M; a table of letters for each series. */
static bool sg_nric(const char *v, size_t n)
{
	int sum = check_weighted(v + 1, "2765432");
	(void)n;
	sum += v[0] == 'T' || v[0] == 'G' ? 4 : v[0] == 'M' ? 3 : 0;
	if (v[0] == 'M')
		return v[8] == "KLJNPQRTUWX"[10 - sum % 11];
	return v[8] == (v[0] == 'S' || v[0] == 'T' ? "JZIHGFEDCBA" : "XWUTRQPNMLK")[sum % 11];
}

/* Three forms: businesses, local companies, and others (T, S or R, year, kind of entity). */
static bool sg_uen(const char *v, size_t n)
{
	static const char
		alphabet[] = "ABCDEFGHJKLMNPQRSTUVWX0123456789",
		entities[] = "CC CD CH CL CM CP CS CX DP FB FC FM FN GA GB GS HS LL LP MB MC MD "
			     "MH MM MQ NB NR PA PB PF RF RP SM SS TC TU VH XL";
	static const int weight[] = { 4, 3, 5, 3, 10, 2, 2, 5, 7 };
	if (n == 9)
		return v[8] == "XMKECAWLJDB"[check_weighted(v, ":4938271") % 11];
	if (v[0] >= '0' && v[0] <= '9')
		return v[9] == "ZKCMDNERGWH"[check_weighted(v, ":86497531") % 11];
	int sum = -5;
	for (int i = 0; i < 9; i++) {
		const char *p = strchr(alphabet, v[i]);
		if (!p)
			return false;
		sum += (int)(p - alphabet) * weight[i];
	}
	return check_listed(entities, v + 3, 2) && v[9] == alphabet[sum % 11];
}

static const char *const words_sg_nric[] = { "nric",  "fin",    "identity card",
					     "ic no", "身份证", "kad pengenalan",
					     NULL };
static const char *const words_sg_uen[] = { "uen", "unique entity", "company registration",
					    "gst reg*", NULL };
static const char *const words_passport[] = { "passport*",  "paspor*",     "pasport*",
					      "pasaporte*", "หนังสือเดินทาง", "พาสปอร์ต",
					      "hộ chiếu",   "护照",        NULL };

static const struct kind sg[] = {
	{ .name = "sg.nric",
	  .version = 2,
	  .form = "[STFGM]#{7}A",
	  .groups = "1 7 1",
	  .check = sg_nric,
	  NEEDS(NO_VETO, WORD, WORD),
	  .words = words_sg_nric,
	  .what = "Singaporean NRIC or FIN",
	  .source = "Immigration & Checkpoints Authority; series M since 2022",
	  .example = "S2740116C" },
	{ .name = "sg.uen",
	  .version = 2,
	  .form = "#{8}A|19#{7}A|20[0-4]#{6}A|[TSR]##AA####A",
	  .check = sg_uen,
	  NEEDS(NO_VETO, NEVER, WORD),
	  .words = words_sg_uen,
	  .what = "Singaporean unique entity number",
	  .source = "ACRA, format of the UEN",
	  .example = "53125226D" },
	{ .name = "sg.passport",
	  .version = 1,
	  .form = "[EKXS]#{7}A",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Singaporean passport",
	  .source = "Immigration & Checkpoints Authority",
	  .example = "passport K1234567E" },
	{ 0 },
};

/* ---- Malaysia */

/* Date of birth and two digits of the place: those that are given out. */
static bool my_kad(const char *v, size_t n)
{
	int place = check_number(v + 6, 2);
	(void)n;
	bool given = (place >= 1 && place <= 16) || (place >= 21 && place <= 68) ||
		     (place >= 71 && place <= 72) || (place >= 74 && place <= 79) ||
		     (place >= 82 && place <= 93) || place >= 98;
	return given && check_yymmdd(v);
}

static const char *const words_my[] = { "my kad",    "nric", "kad pengenalan", "no kp",  "ic no",
					"ic number", "ic",   "identity card",  "身份证", NULL };
static const char *const words_my_tax[] = { "tin", "cukai", "lhdn", "tax id*", "income tax", NULL };

static const struct kind my[] = {
	{ .name = "my.mykad",
	  .version = 1,
	  .form = "#{12}",
	  .groups = "6-2-4",
	  .check = my_kad,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_my,
	  .what = "Malaysian identity card (MyKad)",
	  .source = "National Registration Department: date, place of birth, serial",
	  .example = "770305-02-1234" },
	{ .name = "my.tax",
	  .version = 1,
	  .form = "IG#{9,11}|[OS]G#{10,11}",
	  .groups = "2 11|2 10|2 9",
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_my_tax,
	  .what = "Malaysian tax number of a person",
	  .source = "Inland Revenue Board",
	  .example = "TIN IG11547680150" },
	{ .name = "my.passport",
	  .version = 1,
	  .form = "[AHK]#{8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Malaysian passport",
	  .source = "Immigration Department",
	  .example = "pasport A12345678" },
	{ 0 },
};

/* ---- Indonesia */

/* Province, regency (01 to 39, towns from 71), district, date of birth with 40 added to the day of
 * women, serial. */
static bool id_nik(const char *v, size_t n)
{
	static const char provinces[] =
		"11 12 13 14 15 16 17 18 19 21 31 32 33 34 35 36 51 52 53 61 62 "
		"63 64 65 71 72 73 74 75 76 81 82 91 92 93 94 95 96 97";
	int regency = check_number(v + 2, 2), day = check_number(v + 6, 2);
	char born[7] = "";
	(void)n;
	day = day > 40 ? day - 40 : day;
	memcpy(born, v + 10, 2);
	memcpy(born + 2, v + 8, 2);
	born[4] = (char)('0' + day / 10);
	born[5] = (char)('0' + day % 10);
	return check_listed(provinces, v, 2) &&
	       ((regency >= 1 && regency <= 39) || (regency >= 71 && regency <= 79)) &&
	       memcmp(v + 4, "00", 2) != 0 && memcmp(v + 12, "0000", 4) != 0 && check_yymmdd(born);
}

/* Nine digits with Luhn's check digit, then office and branch. */
static bool id_npwp(const char *v, size_t n)
{
	v += n - 15;
	return check_luhn(v, 9) && !check_same(v, 9);
}

static const char *const words_id_nik[] = { "nik",
					    "ktp",
					    "e-ktp",
					    "nomor induk kependudukan",
					    "kependudukan",
					    "nomor identitas",
					    "kartu keluarga",
					    "identity number",
					    NULL };
static const char *const words_id_npwp[] = { "npwp",        "nomor pokok wajib pajak",
					     "wajib pajak", "tax id*",
					     "tin",         NULL };

static const struct kind id[] = {
	{ .name = "id.nik",
	  .version = 1,
	  .form = "[1-9]#{15}",
	  .groups = "6 6 4|4 4 4 4|2 2 2 6 4|2.2.2.6.4",
	  .check = id_nik,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_id_nik,
	  .what = "Indonesian identity number (NIK)",
	  .source =
		  "Law 24 of 2013; codes of provinces and regencies of the Ministry of Home Affairs",
	  .example = "NIK 3171011708450001" },
	{ .name = "id.npwp",
	  .version = 1,
	  .form = "#{15}|0#{15}",
	  .groups = "2.3.3.1-3.3",
	  .check = id_npwp,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_id_npwp,
	  .what = "Indonesian tax number (NPWP)",
	  .source = "Directorate General of Taxes",
	  .example = "01.300.066.6-091.000" },
	{ .name = "id.passport",
	  .version = 1,
	  .form = "[ABCEX]#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Indonesian passport",
	  .source = "Directorate General of Immigration",
	  .example = "paspor B1234567" },
	{ 0 },
};

/* ---- Philippines: no number has a public check digit */

static const char *const words_ph_tin[] = { "tin", "tax identification", "bir", NULL };
static const char *const words_ph_sss[] = { "sss", "social security system", NULL };
static const char *const words_ph_crn[] = { "crn", "umid", "common reference", NULL };
static const char *const words_ph_health[] = { "phil health*", NULL };
static const char *const words_ph_pagibig[] = { "pag-ibig", "hdmf", "mid no", NULL };
static const char *const words_ph_sys[] = { "phil sys*",   "phil id",  "pcn", "psn",
					    "national id", "ephil id", NULL };

static const struct kind ph[] = {
	{ .name = "ph.tin",
	  .version = 1,
	  .form = "#{9}|#{12}|#{14}",
	  .groups = "3-3-3|3-3-3-3|3-3-3-5",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ph_tin,
	  .what = "Philippine tax number",
	  .source = "Bureau of Internal Revenue",
	  .example = "TIN 123-456-789-000" },
	{ .name = "ph.sss",
	  .version = 1,
	  .form = "#{10}",
	  .groups = "2-7-1",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ph_sss,
	  .what = "Philippine social security number",
	  .source = "Social Security System",
	  .example = "SSS No. 34-1234567-8" },
	{ .name = "ph.crn",
	  .version = 1,
	  .form = "#{12}",
	  .groups = "4-7-1",
	  NEEDS(LABEL, NO_VETO, NEVER),
	  .words = words_ph_crn,
	  .what = "Philippine common reference number (UMID)",
	  .source = "Executive Order 420",
	  .example = "UMID CRN 0111-1234567-8" },
	{ .name = "ph.philhealth",
	  .version = 1,
	  .form = "#{12}",
	  .groups = "2-9-1",
	  NEEDS(LABEL, NO_VETO, NEVER),
	  .words = words_ph_health,
	  .what = "Philippine health insurance number",
	  .source = "PhilHealth",
	  .example = "PhilHealth 12-345678901-2" },
	{ .name = "ph.pagibig",
	  .version = 1,
	  .form = "#{12}",
	  .groups = "4 4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ph_pagibig,
	  .what = "Philippine housing fund number (Pag-IBIG)",
	  .source = "Home Development Mutual Fund",
	  .example = "Pag-IBIG MID 1212-3456-7890" },
	{ .name = "ph.philsys",
	  .version = 1,
	  .form = "#{12}|#{16}",
	  .groups = "4 4 4|4 4 4 4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ph_sys,
	  .what = "Philippine identity number (PhilSys)",
	  .source = "Republic Act 11055",
	  .example = "PhilSys PCN 1234-5678-9101-2345" },
	{ .name = "ph.passport",
	  .version = 1,
	  .form = "P#{7}A|AA#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Philippine passport",
	  .source = "Department of Foreign Affairs",
	  .example = "passport P1234567A" },
	{ 0 },
};

/* ---- Thailand */

/* Kind of person, province, weights 13 to 2; (11 - sum mod 11) mod 10. */
static bool th_id(const char *v, size_t n)
{
	static const int weight[] = { 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2 };
	static const char provinces[] =
		"10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 30 31 32 "
		"33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 "
		"54 55 56 57 58 60 61 62 63 64 65 66 67 70 71 72 73 74 75 76 77 "
		"80 81 82 83 84 85 86 90 91 92 93 94 95 96";
	(void)n;
	return !check_same(v, 12) && (v[0] == '0' || check_listed(provinces, v + 1, 2)) &&
	       v[12] - '0' == (11 - check_sum(v, 12, weight) % 11) % 10;
}

static const char *const words_th[] = { "เลขบัตรประชาชน", "บัตรประชาชน", "thai id",
					"national id",   "tnin",       "citizen id",
					"id card",       "เลขประจำตัว", NULL };
static const char *const words_th_tax[] = { "ผู้เสียภาษี", "tax id*", "tin", NULL };

static const struct kind th[] = {
	{ .name = "th.id",
	  .version = 2,
	  .form = "[1-8]#{12}",
	  .groups = "1 4 5 2 1",
	  .check = th_id,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_th,
	  .what = "Thai identity number",
	  .source = "Department of Provincial Administration",
	  .example = "1-2345-67890-12-1" },
	{ .name = "th.tax",
	  .version = 1,
	  .form = "0#{12}",
	  .groups = "1 2 1 3 5 1|1 4 5 2 1",
	  .check = th_id,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_th_tax,
	  .what = "Thai tax number of a juristic person",
	  .source = "Revenue Department",
	  .example = "0-99-4-000-61772-1" },
	{ .name = "th.passport",
	  .version = 1,
	  .form = "AA#{7}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Thai passport",
	  .source = "Ministry of Foreign Affairs",
	  .example = "หนังสือเดินทาง AA1234567" },
	{ 0 },
};

/* ---- Vietnam */

/* Province (001 to 096), century and sex, two digits of the year of birth, serial. */
static bool vn_cccd(const char *v, size_t n)
{
	int province = check_number(v, 3);
	(void)n;
	return province >= 1 && province <= 96 && v[3] <= '3' && !check_same(v + 6, 6);
}

static bool vn_mst(const char *v, size_t n)
{
	static const int weight[] = { 31, 29, 23, 19, 17, 13, 7, 5, 3 };
	return memcmp(v + 2, "0000000", 7) != 0 && (n == 10 || memcmp(v + 10, "000", 3) != 0) &&
	       v[9] - '0' == 10 - check_sum(v, 9, weight) % 11;
}

static const char *const words_vn_id[] = {
	"cccd",        "cmnd",        "căn cước", "chứng minh nhân dân", "định danh cá nhân",
	"citizen id*", "national id", NULL
};
static const char *const words_vn_mst[] = { "mst", "mã số thuế", "tax code", "tax id*", NULL };

static const struct kind vn[] = {
	{ .name = "vn.cccd",
	  .version = 1,
	  .form = "0#{11}",
	  .groups = "3 3 3 3",
	  .check = vn_cccd,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_vn_id,
	  .what = "Vietnamese citizen identity card",
	  .source = "Decree 137/2015/NĐ-CP, circular 59/2021/TT-BCA",
	  .example = "CCCD 001085012345" },
	{ .name = "vn.cmnd",
	  .version = 1,
	  .form = "[0-3]#{8}",
	  .groups = "3 3 3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_vn_id,
	  .what = "Vietnamese identity card of the old form",
	  .source = "Decree 05/1999/NĐ-CP",
	  .example = "CMND 012345678" },
	{ .name = "vn.tax",
	  .version = 1,
	  .form = "#{10}|#{13}",
	  .groups = "10-3|10 3",
	  .check = vn_mst,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_vn_mst,
	  .what = "Vietnamese tax code (MST)",
	  .source = "General Department of Taxation, circular 105/2020/TT-BTC",
	  .example = "MST 0100233488" },
	{ .name = "vn.passport",
	  .version = 1,
	  .form = "[BCEKNP]#{7,8}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "Vietnamese passport",
	  .source = "Immigration Department, circular 31/2023/TT-BCA",
	  .example = "hộ chiếu C1234567" },
	{ 0 },
};

const struct kind *const kind_tables_south_asia[] = { in, south, sg, my, id, ph, th, vn, NULL };
