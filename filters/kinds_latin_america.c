/* Brazil, and the countries of Latin America that write Spanish (Mexico: kinds_north_america.c). */
#include "filters/kinds_world.h"

#include <string.h>

/* ---- Brazil */

static bool br_cpf(const char *v, size_t n)
{
	int a = 10 * check_weighted(v, ":98765432") % 11 % 10,
	    b = 10 * check_weighted(v, ";:98765432") % 11 % 10;
	return !check_same(v, n) && v[9] - '0' == a && v[10] - '0' == b;
}

/* Weights 2 to 9 from the right, twice; since July 2026 the first twelve may be letters, which
 * count as their place in ASCII behind the digit 0 (A is 17). */
static bool br_cnpj(const char *v, size_t n)
{
	for (int check = 12; check < 14; check++) {
		int sum = 0;
		for (int i = 0; i < check; i++)
			sum += (v[i] - '0') * (2 + (check - 1 - i) % 8);
		int rest = sum % 11;
		if (v[check] - '0' != (rest < 2 ? 0 : 11 - rest))
			return false;
	}
	return !check_same(v, n);
}

static bool br_cnpj_letters(const char *v, size_t n)
{
	size_t digits = 0;
	while (digits < n && v[digits] <= '9')
		digits++;
	return digits < n && br_cnpj(v, n);
}

static bool br_pis(const char *v, size_t n)
{
	int rest = check_weighted(v, "3298765432") % 11;
	return !check_same(v, n) && v[10] - '0' == (rest < 2 ? 0 : 11 - rest);
}

/* A rest of 10 gives 0; in São Paulo and Minas Gerais a rest of 0 gives 1. */
static int br_voter_digit(int sum, int state)
{
	int rest = sum % 11;
	return rest == 10 ? 0 : rest == 0 && state <= 2 ? 1 : rest;
}

/* Eight digits of the person, state (01 to 28), a check digit for each. */
static bool br_voter(const char *v, size_t n)
{
	int state = check_number(v + 8, 2),
	    a = br_voter_digit(check_weighted(v, "23456789"), state);
	(void)n;
	return state >= 1 && state <= 28 && !check_same(v, 8) && v[10] - '0' == a &&
	       v[11] - '0' == br_voter_digit(check_weighted(v + 8, "78") + 9 * a, state);
}

/* Weights 9 to 1, then 1 to 9; a first rest of 10 counts as 0 and makes the second 2 less. */
static bool br_cnh(const char *v, size_t n)
{
	int a = check_weighted(v, "987654321") % 11, b = check_weighted(v, "123456789") % 11;
	if (a == 10) {
		a = 0;
		b = b == 10 ? 0 : b < 2 ? b + 9 : b - 2;
	}
	b = b == 10 ? 0 : b;
	return !check_same(v, n) && v[9] - '0' == a && v[10] - '0' == b;
}

static bool br_sus(const char *v, size_t n)
{
	static const int weight[] = { 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	return check_sum(v, n, weight) % 11 == 0;
}

static const char *const words_br_cpf[] = { "cpf*", "cadastro de pessoa física",
					    "cadastro de pessoas físicas", NULL };
static const char *const words_br_cnpj[] = { "cnpj*", "cadastro nacional da pessoa jurídica",
					     NULL };
static const char *const words_br_pis[] = { "pis", "pasep", "nit", "nis", "pis/pasep", NULL };
static const char *const words_br_voter[] = { "título de eleitor", "título eleitoral", "título",
					      "eleitor*",          "voter*",           NULL };
static const char *const words_br_cnh[] = { "cnh",         "carteira nacional de habilitação",
					    "habilitação", "carteira de motorista",
					    WORDS_DRIVER,  "registro cnh",
					    NULL };
static const char *const words_br_sus[] = { "sus", "cns", "cartão nacional de saúde", "cartão sus",
					    NULL };
static const char *const words_br_passport[] = { "passaporte*", "passport*", NULL };

static const struct kind br[] = {
	{ .name = "br.cpf",
	  .version = 2,
	  .form = "#{11}",
	  .groups = "3.3.3-2",
	  .check = br_cpf,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_br_cpf,
	  .what = "Brazilian tax number of a person (CPF)",
	  .source = "Receita Federal, instrução normativa RFB 1548 of 2015",
	  .example = "529.982.247-25" },
	{ .name = "br.cnpj",
	  .version = 2,
	  .form = "#{14}",
	  .groups = "2.3.3/4-2",
	  .check = br_cnpj,
	  NEEDS(WORD, NOTHING, WORD),
	  .words = words_br_cnpj,
	  .what = "Brazilian tax number of a company (CNPJ)",
	  .source = "Receita Federal, instrução normativa RFB 2119 of 2022",
	  .example = "34.818.580/0001-40" },
	{ .name = "br.cnpj",
	  .version = 2,
	  .form = "^X{12}##",
	  .groups = "2.3.3/4-2",
	  .check = br_cnpj_letters,
	  NEEDS(NO_VETO, NOTHING, WORD),
	  .words = words_br_cnpj,
	  .what = "Brazilian tax number of a company with letters, given since July 2026",
	  .source = "Receita Federal, instrução normativa RFB 2229 of 2024",
	  .example = "12.ABC.345/01DE-35" },
	{ .name = "br.pis",
	  .version = 1,
	  .form = "#{11}",
	  .groups = "3.5.2-1|3.4.3-1",
	  .check = br_pis,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_br_pis,
	  .what = "Brazilian social number (PIS, PASEP, NIT)",
	  .source = "Caixa Econômica Federal, layout of the PIS",
	  .example = "120.64435.29-0" },
	{ .name = "br.voter",
	  .version = 1,
	  .form = "#{8}[012]#{3}",
	  .groups = "4 4 4|8 2 2|10 2",
	  .check = br_voter,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_br_voter,
	  .what = "Brazilian voter registration",
	  .source = "Tribunal Superior Eleitoral, resolução 21538 of 2003",
	  .example = "título de eleitor 0043 5687 0906" },
	{ .name = "br.cnh",
	  .version = 1,
	  .form = "#{11}",
	  .check = br_cnh,
	  NEEDS(WORD, NEVER, WORD),
	  .words = words_br_cnh,
	  .what = "Brazilian driver licence (CNH)",
	  .source = "Denatran, portaria 15 of 2016",
	  .example = "CNH 62472927637" },
	{ .name = "br.sus",
	  .version = 1,
	  .form = "[12789]#{14}",
	  .groups = "3 4 4 4",
	  .check = br_sus,
	  NEEDS(WORD, WORD, WORD),
	  .words = words_br_sus,
	  .what = "Brazilian health card (CNS)",
	  .source = "Ministério da Saúde, DATASUS",
	  .example = "cartão SUS 700 5081 2345 6700" },
	{ .name = "br.passport",
	  .version = 1,
	  .form = "AA#{6}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_br_passport,
	  .what = "Brazilian passport",
	  .source = "Polícia Federal",
	  .example = "passaporte FA123456" },
	{ 0 },
};

/* ---- Argentina, Chile, Uruguay, Paraguay */

static bool ar_cuit(const char *v, size_t n)
{
	int rest = check_weighted(v, "5432765432") % 11;
	(void)n;
	return check_listed("20 23 24 25 26 27 30 33 34 50 51 55", v, 2) &&
	       v[10] - '0' == (rest == 0   ? 0
			       : rest == 1 ? 9
					   : 11 - rest);
}

/* Weights 9 7 1 3 ... from the left of each block, mod 10. */
static bool ar_cbu(const char *v, size_t n)
{
	return !check_same(v, n) && v[7] - '0' == (10 - check_weighted(v, "7139713") % 10) % 10 &&
	       v[21] - '0' == (10 - check_weighted(v + 8, "3971397139713") % 10) % 10;
}

/* Weights 2 to 7 from the right, again and again; 10 is K. */
static bool cl_rut(const char *v, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i + 1 < n; i++)
		sum += (v[n - 2 - i] - '0') * (int)(2 + i % 6);
	return !check_same(v, n - 1) && v[n - 1] == "0K987654321"[sum % 11];
}

static bool uy_ci(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 7) && v[7] - '0' == (10 - check_weighted(v, "2987634") % 10) % 10;
}

static bool uy_rut(const char *v, size_t n)
{
	int place = check_number(v, 2), rest = check_weighted(v, "43298765432") % 11;
	(void)n;
	return place >= 1 && place <= 22 && memcmp(v + 2, "000000", 6) != 0 &&
	       v[11] - '0' == (11 - rest) % 11;
}

static bool py_ruc(const char *v, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i + 1 < n; i++)
		sum += (v[n - 2 - i] - '0') * (int)(2 + i);
	return v[n - 1] - '0' == (11 - sum % 11) % 11 % 10;
}

static const char *const words_ar_cuit[] = { "cuit*", "cuil*", "cdi", NULL };
static const char *const words_ar_dni[] = { "dni", "documento nacional", "documento de identidad",
					    NULL };
static const char *const words_ar_cbu[] = { "cbu", "cvu", NULL };
static const char *const words_cl[] = { "rut", "run", "cédula*", "rol único", NULL };
static const char *const words_uy[] = { "c.i.", "cédula*", "documento de identidad", NULL };
static const char *const words_rut[] = { "rut", NULL };
static const char *const words_ruc[] = { "ruc", "registro único", NULL };

static const struct kind south[] = {
	{ .name = "ar.cuit",
	  .version = 1,
	  .form = "[235]#{10}",
	  .groups = "2-8-1",
	  .check = ar_cuit,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ar_cuit,
	  .what = "Argentine tax or labour number (CUIT, CUIL)",
	  .source = "ARCA (formerly AFIP), resolución general 3995",
	  .example = "20-12345678-6" },
	{ .name = "ar.dni",
	  .version = 1,
	  .form = "[1-9]#{6,7}",
	  .groups = "2.3.3|1.3.3",
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_ar_dni,
	  .what = "Argentine identity document",
	  .source = "Registro Nacional de las Personas, ley 17671; no check digit",
	  .example = "DNI 20.123.456" },
	{ .name = "ar.cbu",
	  .version = 1,
	  .form = "#{22}",
	  .groups = "8 14|8-14|3 4 1 13 1",
	  .check = ar_cbu,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_ar_cbu,
	  .what = "Argentine bank account (CBU, CVU)",
	  .source = "Banco Central de la República Argentina",
	  .example = "2850590940090418135201" },
	{ .name = "cl.rut",
	  .version = 1,
	  .form = "[1-9]#{6,7}[0-9K]",
	  .groups = "2.3.3-1|1.3.3-1|8-1|7-1",
	  .check = cl_rut,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_cl,
	  .what = "Chilean tax and identity number (RUT, RUN)",
	  .source = "Servicio de Registro Civil, Servicio de Impuestos Internos",
	  .example = "12.531.909-2" },
	{ .name = "uy.ci",
	  .version = 1,
	  .form = "[1-9]#{7}",
	  .groups = "1.3.3-1|7-1",
	  .check = uy_ci,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_uy,
	  .what = "Uruguayan identity card",
	  .source = "Dirección Nacional de Identificación Civil",
	  .example = "1.234.567-2" },
	{ .name = "uy.rut",
	  .version = 1,
	  .form = "[012]#{7}001#",
	  .groups = "2 6 3 1|2 6 4",
	  .check = uy_rut,
	  NEEDS(NO_VETO, NO_VETO, WORD),
	  .words = words_rut,
	  .what = "Uruguayan tax number",
	  .source = "Dirección General Impositiva",
	  .example = "211003420017" },
	{ .name = "py.ruc",
	  .version = 1,
	  .form = "[1-9]#{5,8}",
	  .groups = "8-1|7-1|6-1|5-1",
	  .check = py_ruc,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_ruc,
	  .what = "Paraguayan tax number",
	  .source = "Dirección Nacional de Ingresos Tributarios",
	  .example = "RUC 80028061-0" },
	{ 0 },
};

/* ---- Colombia, Peru, Ecuador, Venezuela */

static bool co_nit(const char *v, size_t n)
{
	static const int weight[] = { 41, 37, 29, 23, 19, 17, 13, 7, 3 };
	(void)n;
	return !check_same(v, 9) && v[9] == "01987654321"[check_sum(v, 9, weight) % 11];
}

static bool pe_ruc(const char *v, size_t n)
{
	(void)n;
	return check_listed("10 15 16 17 20", v, 2) &&
	       v[10] - '0' == (11 - check_weighted(v, "5432765432") % 11) % 10;
}

/* The check character is a digit or, on some cards, a letter. */
static bool pe_dni(const char *v, size_t n)
{
	int rest = check_weighted(v, "32765432") % 11;
	return n == 8 || v[8] == "65432110987"[rest] || v[8] == "KJIHGFEDCBA"[rest];
}

/* Province (01 to 24, 30 abroad), a third digit below 7, Luhn's check digit. */
static bool ec_ci(const char *v, size_t n)
{
	int province = check_number(v, 2);
	return ((province >= 1 && province <= 24) || province == 30 || province == 50) &&
	       v[2] <= '6' && check_luhn(v, 10) && !check_same(v, n);
}

/* Of a person: the card's number and 001. Of the state and of companies: weights of their own. */
static bool ec_ruc(const char *v, size_t n)
{
	int province = check_number(v, 2);
	(void)n;
	if (v[2] == '9' || v[2] == '6') {
		bool place = (province >= 1 && province <= 24) || province == 30 || province == 50;
		int company = (check_weighted(v, "432765432") + v[9] - '0') % 11,
		    public = (check_weighted(v, "32765432") + v[8] - '0') % 11;
		if (place && ((v[2] == '9' && company == 0) ||
			      (public == 0 && memcmp(v + 9, "0000", 4) != 0)))
			return true;
	}
	return memcmp(v + 10, "000", 3) != 0 && ec_ci(v, 10);
}

static bool ve_rif(const char *v, size_t n)
{
	int kind = (int)(strchr("VEJPG", v[0]) - "VEJPG");
	(void)n;
	return v[9] == "00987654321"[(4 * (kind + 1) + check_weighted(v + 1, "32765432")) % 11];
}

static const char *const words_co_nit[] = { "nit", "rut", NULL };
static const char *const words_co_cc[] = { "c.c.", "cc no", "cédula*", "documento de identidad",
					   NULL };
static const char *const words_pe_dni[] = { "dni", "documento de identidad", "cui", NULL };
static const char *const words_ec_ci[] = { "cédula*", "c.i.", "documento de identidad", NULL };
static const char *const words_ve[] = { "cédula*", "c.i.", "documento de identidad", NULL };
static const char *const words_rif[] = { "rif", NULL };
static const char *const words_passport[] = { "pasaporte*", "passport*", NULL };

static const struct kind andes[] = {
	{ .name = "co.nit",
	  .version = 1,
	  .form = "[1-9]#{9}",
	  .groups = "3.3.3-1|9-1",
	  .check = co_nit,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_co_nit,
	  .what = "Colombian tax number (NIT)",
	  .source = "DIAN, orden administrativa 4 of 1989",
	  .example = "213.123.432-1" },
	{ .name = "co.cc",
	  .version = 1,
	  .form = "[1-9]#{5,7}|1#{9}",
	  .groups = "1.3.3.3|2.3.3|1.3.3|3.3",
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_co_cc,
	  .what = "Colombian identity card",
	  .source = "Registraduría Nacional del Estado Civil; no check digit",
	  .example = "cédula 1.023.456.789" },
	{ .name = "pe.ruc",
	  .version = 1,
	  .form = "[12]#{10}",
	  .check = pe_ruc,
	  NEEDS(WORD, NEVER, WORD),
	  .words = words_ruc,
	  .what = "Peruvian tax number (RUC)",
	  .source = "SUNAT",
	  .example = "RUC 20512333797" },
	{ .name = "pe.dni",
	  .version = 1,
	  .form = "#{8}|#{8}[0-9A-K]",
	  .groups = "8-1|8 1",
	  .check = pe_dni,
	  NEEDS(LABEL, LABEL, LABEL),
	  .words = words_pe_dni,
	  .what = "Peruvian identity document",
	  .source = "RENIEC",
	  .example = "DNI 10117410-2" },
	{ .name = "ec.ci",
	  .version = 1,
	  .form = "[0-35]#{9}",
	  .groups = "9-1|2 7 1",
	  .check = ec_ci,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ec_ci,
	  .what = "Ecuadorian identity card",
	  .source = "Dirección General de Registro Civil",
	  .example = "171430710-3" },
	{ .name = "ec.ruc",
	  .version = 1,
	  .form = "[0-35]#{9}0#[0-9]",
	  .groups = "10-3|10 3",
	  .check = ec_ruc,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_ruc,
	  .what = "Ecuadorian tax number",
	  .source = "Servicio de Rentas Internas",
	  .example = "RUC 1792060346001" },
	{ .name = "ve.rif",
	  .version = 1,
	  .form = "[EGJPV]#{9}",
	  .groups = "1-8-1|1-9|9-1",
	  .check = ve_rif,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_rif,
	  .what = "Venezuelan tax number (RIF)",
	  .source = "SENIAT",
	  .example = "V-11470283-4" },
	{ .name = "ve.ci",
	  .version = 1,
	  .form = "[EV]#{6,8}",
	  .groups = "1-8|1-7|1-2.3.3|1-1.3.3",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_ve,
	  .what = "Venezuelan identity card",
	  .source = "SAIME; no check digit",
	  .example = "cédula V-12.345.678" },
	{ .name = "latam.passport",
	  .version = 1,
	  .form = "A{2,3}#{6,7}|A#{7,8}|#{8,9}",
	  NEEDS(LABEL, NEVER, NEVER),
	  .words = words_passport,
	  .what = "passport of another country of Latin America",
	  .source = "ICAO Doc 9303; issuing authorities of the countries",
	  .example = "pasaporte AAB123456" },
	{ 0 },
};

/* ---- the Caribbean and Central America */

/* Eight digits, their check digit (weights 2 to 9, mod 11), department (01 to 22), municipality. */
static bool gt_cui(const char *v, size_t n)
{
	int department = check_number(v + 9, 2);
	(void)n;
	return department >= 1 && department <= 22 && memcmp(v + 11, "00", 2) != 0 &&
	       check_weighted(v, "23456789") % 11 == v[8] - '0';
}

static bool sv_dui(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 8) && v[8] - '0' == (10 - check_weighted(v, "98765432") % 10) % 10;
}

static bool cu_ni(const char *v, size_t n)
{
	(void)n;
	return check_yymmdd(v);
}

static const char *const words_do[] = { "cédula*", "jce", "documento de identidad", NULL };
static const char *const words_cr[] = { "cédula*", "identificación", "documento de identidad",
					NULL };
static const char *const words_gt[] = { "dpi", "cui", "documento de identidad", NULL };
static const char *const words_sv[] = { "dui", "documento de identidad", NULL };
static const char *const words_cu[] = { "carné*", "carnet*", "identidad", NULL };

static const struct kind central[] = {
	{ .name = "do.cedula",
	  .version = 1,
	  .form = "#{11}",
	  .groups = "3-7-1",
	  .check = check_luhn_mixed,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_do,
	  .what = "Dominican identity card",
	  .source = "Junta Central Electoral",
	  .example = "001-1391820-5" },
	{ .name = "cr.cedula",
	  .version = 1,
	  .form = "[1-9]#{8}",
	  .groups = "1-4-4",
	  NEEDS(LABEL, LABEL, NEVER),
	  .words = words_cr,
	  .what = "Costa Rican identity card",
	  .source = "Tribunal Supremo de Elecciones; no check digit",
	  .example = "cédula 3-0455-0175" },
	{ .name = "gt.cui",
	  .version = 1,
	  .form = "[1-9]#{12}",
	  .groups = "4 5 4",
	  .check = gt_cui,
	  NEEDS(WORD, NO_VETO, WORD),
	  .words = words_gt,
	  .what = "Guatemalan identity code (CUI, DPI)",
	  .source = "RENAP",
	  .example = "DPI 2450 14519 0101" },
	{ .name = "sv.dui",
	  .version = 1,
	  .form = "#{9}",
	  .groups = "8-1",
	  .check = sv_dui,
	  NEEDS(WORD, WORD, NEVER),
	  .words = words_sv,
	  .what = "Salvadoran identity document (DUI)",
	  .source = "RNPN",
	  .example = "DUI 00016297-5" },
	{ .name = "cu.ni",
	  .version = 1,
	  .form = "#{11}",
	  .check = cu_ni,
	  NEEDS(WORD, NEVER, NEVER),
	  .words = words_cu,
	  .what = "Cuban identity number",
	  .source = "Dirección de Identificación; date of birth, no public check digit",
	  .example = "carné de identidad 91021527775" },
	{ 0 },
};

const struct kind *const kind_tables_latin_america[] = { br, south, andes, central, NULL };
