/* Kinds of no one country: payment cards and bank accounts. */
#include "filters/check.h"
#include "filters/kind.h"

/* ---- payment cards. Issuer ranges: ISO/IEC 7812, as the networks publish them. */

struct issuer {
	int first, last;     /* of the first six digits */
	uint8_t least, most; /* length */
};

static const struct issuer issuers[] = {
	{ 220000, 220499, 16, 19 }, /* Mir */
	{ 222100, 272099, 16, 16 }, /* Mastercard */
	{ 300000, 305999, 14, 19 }, { 309500, 309599, 14, 19 },
	{ 360000, 369999, 14, 19 }, { 380000, 399999, 14, 19 }, /* Diners */
	{ 340000, 349999, 15, 15 }, { 370000, 379999, 15, 15 }, /* American Express */
	{ 352800, 358999, 16, 19 },                             /* JCB */
	{ 400000, 499999, 13, 13 }, { 400000, 499999, 16, 16 },
	{ 400000, 499999, 19, 19 }, /* Visa */
	{ 500000, 509999, 13, 19 }, { 560000, 589999, 13, 19 },
	{ 630000, 639999, 13, 19 }, { 670000, 679999, 13, 19 }, /* Maestro */
	{ 510000, 559999, 16, 16 },                             /* Mastercard */
	{ 601100, 601199, 16, 19 }, { 622126, 622925, 16, 19 },
	{ 644000, 659999, 16, 19 },                             /* Discover, RuPay */
	{ 620000, 629999, 16, 19 }, { 810000, 817199, 16, 19 }, /* UnionPay */
	{ 817200, 829999, 16, 16 }, { 606900, 608999, 16, 16 }, /* RuPay */
};

static bool check_pan(const char *v, size_t n)
{
	int six = check_number(v, 6);
	for (size_t i = 0; i < sizeof issuers / sizeof *issuers; i++)
		if (six >= issuers[i].first && six <= issuers[i].last && n >= issuers[i].least &&
		    n <= issuers[i].most)
			return check_luhn(v, n);
	return false;
}

static const char *const words_pan[] = {
	"card*",
	"credit card*",
	"debit card*",
	"pan",
	"cc",
	"visa",
	"mastercard",
	"amex",
	"maestro",
	"*karte",
	"*karten",
	"*kartennummer",
	"carte*",
	"tarjeta*",
	"carta*",
	"cart\u00e3o",
	"cart\u00f5es",
	"kort*",
	"*kort",
	"*kortnummer",
	"kaart*",
	"*kaart",
	"kart*",
	"k\u00e1rtya*",
	"\u03ba\u03ac\u03c1\u03c4\u03b1*",
	"\u043a\u0430\u0440\u0442*",
	"\u5361",
	"\u30ab\u30fc\u30c9",
	"\uce74\ub4dc",
	"\u0628\u0637\u0627\u0642\u0629",
	"\u0915\u093e\u0930\u094d\u0921",
	NULL,
};

/* ---- IBAN: the countries' structures of SWIFT's registry, release 101. */

/* The first four characters move to the end. */
static bool check_iban(const char *v, size_t n)
{
	char turned[KIND_LENGTH_MAX];
	for (size_t i = 0; i < n; i++)
		turned[i] = v[(i + 4) % n];
	return check_mod_97_10(turned, n);
}

static const char iban[] =
	"[A]D#{10}X{12}|[A]E#{21}|[A]L#{10}X{16}|[A]T#{18}|[A]Z#{2}A{4}X{20}|B[A]#{18}|"
	"BE#{14}|BG#{2}A{4}#{6}X{8}|BH#{2}A{4}X{14}|BI#{25}|BR#{25}AX|BY#{2}X{4}#{4}X{16}|"
	"CH#{7}X{12}|CR#{20}|CY#{10}X{16}|CZ#{22}|DE#{20}|DJ#{25}|DK#{16}|DO#{2}X{4}#{20}|"
	"EE#{18}|EG#{27}|ES#{22}|FI#{16}|FK#{2}A{2}#{12}|FO#{16}|FR#{12}X{11}#{2}|"
	"GB#{2}A{4}#{14}|GE#{2}A{2}#{16}|GI#{2}A{4}X{15}|GL#{16}|GR#{9}X{16}|GT#{2}X{24}|"
	"HN#{2}A{4}#{20}|HR#{19}|HU#{26}|IE#{2}A{4}#{14}|IL#{21}|IQ#{2}A{4}#{15}|IS#{24}|"
	"IT#{2}A#{10}X{12}|JO#{2}A{4}#{4}X{18}|KW#{2}A{4}X{22}|KZ#{5}X{13}|LB#{6}X{20}|"
	"LC#{2}A{4}X{24}|LI#{7}X{12}|LT#{18}|LU#{5}X{13}|LV#{2}A{4}X{13}|LY#{23}|"
	"MC#{12}X{11}#{2}|MD#{2}X{20}|ME#{20}|MK#{5}X{10}#{2}|MN#{18}|MR#{25}|"
	"MT#{2}A{4}#{5}X{18}|MU#{2}A{4}#{19}A{3}|NI#{2}A{4}#{20}|NL#{2}A{4}#{10}|NO#{13}|"
	"OM#{5}X{16}|PK#{2}A{4}X{16}|PL#{26}|PS#{2}A{4}X{21}|PT#{23}|Q[A]#{2}A{4}X{21}|"
	"RO#{2}A{4}X{16}|RS#{20}|RU#{16}X{15}|S[A]#{4}X{18}|SC#{2}A{4}#{20}A{3}|SD#{16}|"
	"SE#{22}|SI#{17}|SK#{22}|SM#{2}A#{10}X{12}|SO#{21}|ST#{23}|SV#{2}A{4}#{20}|TL#{21}|"
	"TN#{22}|TR#{8}X{16}|U[A]#{8}X{19}|V[A]#{20}|VG#{2}A{4}#{16}|[X]K#{18}|"
	"YE#{2}A{4}#{4}X{18}";

static const char fours[] =
	"4 4 4 3|4 4 4 4|4 4 4 4 2|4 4 4 4 3|4 4 4 4 4|4 4 4 4 4 1|4 4 4 4 4 2|4 4 4 4 4 3|"
	"4 4 4 4 4 4|4 4 4 4 4 4 1|4 4 4 4 4 4 2|4 4 4 4 4 4 3|4 4 4 4 4 4 4|4 4 4 4 4 4 4 1|"
	"4 4 4 4 4 4 4 2|4 4 4 4 4 4 4 3|4 4 4 4 4 4 4 4|4 4 4 4 4 4 4 4 1";

static const struct kind general[] = {
	{
		.name = "pan",
		.version = 2,
		.form = "[2-68]#{14,15}",
		.groups = "4 4 4 4|4 6 5|4 4 4 3",
		.check = check_pan,
		/* One chance hit in 40; but to let a card through costs more than that. */
		.bare = NEED_NOTHING,
		.grouped = NEED_NOTHING,
		.loose = NEED_NO_VETO,
		.words = words_pan,
		.inside = true,
		.shown_first = 6, /* PCI DSS 4.0.1, 3.4.1 */
		.shown_last = 4,
		.what = "payment card number of a known issuer range",
		.source = "ISO/IEC 7812-1: Luhn; issuer ranges of the card networks",
		.example = "4111 1111 1111 1111",
	},
	{
		.name = "pan",
		.version = 2,
		.form = "[3-68]#{13}|[2-68]#{16,18}",
		.groups = "4 6 4|4 4 4 2|4 4 4 4 1|4 4 4 4 2|4 4 4 4 3",
		.check = check_pan,
		.bare = NEED_NO_VETO, /* few cards have so many digits, many orders do */
		.grouped = NEED_NO_VETO,
		.loose = NEED_NO_VETO,
		.words = words_pan,
		.shown_first = 6, /* PCI DSS 4.0.1, 3.4.1 */
		.shown_last = 4,
		.what = "payment card number of 14, 17, 18 or 19 digits",
		.source = "ISO/IEC 7812-1: Luhn; issuer ranges of the card networks",
		.example = "3056 930902 5904",
	},
	{
		.name = "pan",
		.version = 2,
		.form = "[456]#{12}", /* long out of use; an EAN has as many digits */
		.groups = "4 4 4 1|4 4 5",
		.check = check_pan,
		.bare = NEED_WORD,
		.grouped = NEED_NO_VETO,
		.loose = NEED_WORD,
		.words = words_pan,
		.shown_first = 6,
		.shown_last = 4,
		.what = "payment card number of 13 digits",
		.source = "ISO/IEC 7812-1: Luhn; issuer ranges of the card networks",
		.example = "card 4222222222222",
	},
	{
		.name = "iban",
		.version = 2,
		.form = iban,
		.groups = fours,
		.check = check_iban,
		.bare = NEED_NOTHING,
		.grouped = NEED_NOTHING,
		.loose = NEED_NOTHING,
		.what = "international bank account number of the 89 countries of the registry",
		.source = "ISO 13616-1: MOD 97-10; SWIFT IBAN Registry, release 101",
		.example = "DE75 5121 0800 1245 1261 99",
	},
	{ 0 },
};

const struct kind *const kind_tables_general[] = { general, NULL };
