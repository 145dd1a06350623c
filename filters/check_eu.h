/* Checks of the identifiers of the European Union's member states, each a kind_check: v is the
 * compact value, n its length; the form of the kind (kinds_eu_*.c) has decided which characters
 * stand where, so that a check reads without testing. docs/identifiers.md names the sources. */
#ifndef FILTERS_CHECK_EU_H
#define FILTERS_CHECK_EU_H

#include "filters/check.h"
#include "filters/kind.h"

#include <stdbool.h>
#include <stddef.h>

static inline int eu_digit(char c) { return c - '0'; }
static inline int eu_two(const char *v) { return 10 * eu_digit(v[0]) + eu_digit(v[1]); }

/* The value modulo m; letters count 10 to 35, two digits each (ISO 7064). */
unsigned check_eu_modulo(const char *v, size_t n, unsigned m);
/* Weights 1 2 3 ..; where the rest is 10 the weights 3 4 5 ..; both run from 1 to most and around.
 * Estonia, Lithuania and Bulgaria. */
int check_eu_two_stages(const char *v, size_t n, int most);
/* Sum of v[i] * (first - i), digits. */
int check_eu_falling(const char *v, size_t n, int first);
/* Weights 7 3 1 around, letters 10 to 35 (ICAO 9303, part 3), modulo 10. */
int check_eu_icao(const char *v, size_t n);
/* A date of two digits each; year is the century (1900 ..) plus them, -1: any. */
bool check_eu_born(const char *year, const char *month, const char *day, int century);
/* Old Yugoslav citizen number: date, three digits of the year, region, sum. */
bool check_eu_jmbg(const char *v);

kind_check check_at_svnr, check_at_tax, check_at_vat;
kind_check check_be_nn, check_be_bis, check_be_vat, check_be_id_card;
kind_check check_de_tax_id, check_de_vat_id, check_de_pension, check_de_health, check_de_document,
	check_de_doctor, check_de_licence;
kind_check check_fr_nir, check_fr_nir_place, check_fr_spi, check_fr_vat, check_fr_siret;
kind_check check_ie_pps, check_ie_vat;
kind_check check_lu_matricule, check_lu_vat;
kind_check check_nl_bsn, check_nl_education, check_nl_vat;

kind_check check_cy_tin;
kind_check check_es_dni, check_es_cif, check_es_vat, check_es_nuss;
kind_check check_gr_afm, check_gr_amka;
kind_check check_hr_oib, check_hr_jmbg;
kind_check check_it_fiscal, check_it_vat;
kind_check check_mt_vat;
kind_check check_pt_nif, check_pt_cc, check_pt_cc_luhn, check_pt_bi, check_pt_niss;
kind_check check_si_emso, check_si_tax, check_si_company;

kind_check check_bg_egn, check_bg_pnf, check_bg_eik, check_bg_vat;
kind_check check_cz_birth, check_cz_birth_old, check_cz_company, check_cz_vat, check_sk_vat;
kind_check check_hu_tax, check_hu_taj, check_hu_personal, check_hu_company, check_hu_vat;
kind_check check_pl_pesel, check_pl_nip, check_pl_regon, check_pl_id_card, check_pl_passport;
kind_check check_ro_cnp, check_ro_cnp_likely, check_ro_cui;

kind_check check_dk_cpr, check_dk_cpr_date, check_dk_cvr;
kind_check check_ee_code, check_ee_company, check_ee_vat, check_lt_code, check_lt_vat;
kind_check check_fi_hetu, check_fi_company;
kind_check check_lv_code, check_lv_company, check_lv_vat;
kind_check check_se_person, check_se_person_century, check_se_person_no_stamp,
	check_se_person_clock, check_se_vat;

kind_check check_eu_oss, check_eu_health_card, check_eu_document, check_xi_vat;

#endif
