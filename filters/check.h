/* The arithmetic of check digits, shared by the checks of all kinds. Private to the room.
 * v is a value without separators; functions of digits take '0' to '9' only. */
#ifndef FILTERS_CHECK_H
#define FILTERS_CHECK_H

#include <stdbool.h>
#include <stddef.h>

int check_number(const char *v, size_t n); /* up to nine digits as a number */
int check_base36(char c);                  /* '0'..'9' 0 to 9, 'A'..'Z' 10 to 35, else -1 */
bool check_same(const char *v, size_t n);  /* all characters equal */
/* A day of the Gregorian calendar; year 0: any leap year. */
bool check_date(int year, int month, int day);
/* Sum of digit times weight; weights are characters from '0' on: ':' is 10, ';' 11, '<' 12, '=' 13,
 * '>' 14, '?' 15, '@' 16, 'A' 17. As many digits as there are weights. */
int check_weighted(const char *v, const char *weights);
/* Sum of n digits times their weights, for weights that check_weighted cannot spell. */
int check_sum(const char *v, size_t n, const int *weights);

/* The last digit is the check digit. Source: ISO/IEC 7812-1, annex B. */
bool check_luhn(const char *v, size_t n);
bool check_luhn_mixed(const char *v, size_t n); /* and not all digits are equal */
/* The last digit is the check digit. Source: ISO/IEC 7064, MOD 11,10. */
bool check_mod_11_10(const char *v, size_t n);
/* Letters count from 10 (A), two digits each; the whole is 1 mod 97. Source: ISO/IEC 7064, MOD
 * 97-10. */
bool check_mod_97_10(const char *v, size_t n);
/* The last digit is the check digit. Source: Verhoeff, Error Detecting Decimal Codes, 1969. */
bool check_verhoeff(const char *v, size_t n);

#endif
