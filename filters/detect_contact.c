/* Detectors of contacts and places: regexes propose, checks decide (email.c, host.c, phone.c,
 * wallet.c, place.c). Rows of one name and version act together. A letter or a digit glued to a
 * value counts against it, a separator does not. */
#include "filters/detect.h"
#include "filters/near.h"

#define LEFT "(?<![0-9A-Za-z_])"
#define RIGHT "(?![0-9A-Za-z_])"

/* ---- e-mail. Local part: RFC 5321 and 6531; a start inside a word is none, one behind a sign may
 * be, so that a long query before an address does not hide it. */
#define LABEL "[\\p{L}\\p{N}](?:[\\p{L}\\p{N}\\p{M}-]{0,61}[\\p{L}\\p{N}\\p{M}])?"
#define TOP                                                                                  \
	"(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z]{2,24}|[^\\x00-\\x7f\\P{L}][\\p{L}\\p{M}]{1,23})" \
	"(?![A-Za-z0-9])"
#define DOMAIN                                                                       \
	"(?:(?:" LABEL "\\.){1,8}" TOP "|\\[(?:[0-9]{1,3}(?:\\.[0-9]{1,3}){3}|IPv6:" \
	"[0-9A-Fa-f:.]{2,45})\\])(?=(?s:.{0,2}))" /* a path or a port may follow */

static const char email[] = "(?<![A-Za-z0-9\\x{C0}-\\x{1FFF}._+-])"
			    "[\\p{L}\\p{N}\\p{M}.!#$%&'*+\\/=?^_`{|}~-]{1,64}+@" DOMAIN;
static const char email_quoted[] = "\"(?:[^\"\\\\\\n]|\\\\[^\\n]){1,40}\"@" DOMAIN;

/* name [at] example [dot] com; without brackets only with both words and a common ending. */
static const char email_written[] =
	"(?<![A-Za-z0-9._+-])[A-Za-z0-9._+-]{1,40}+(?:"
	" ?[\\[({<] ?(?i:at|at sign|arroba|chiocciola|arobase|@) ?[\\])}>] ?[A-Za-z0-9-]{1,40}"
	"(?:(?: ?[\\[({<] ?(?i:dot|punkt|point|punto|ponto) ?[\\])}>] ?| (?i:dot) |\\.)"
	"[A-Za-z0-9-]{1,40}){1,4}"
	"| (?i:at) [A-Za-z0-9-]{1,40} (?i:dot) (?:[A-Za-z0-9-]{2,40} (?i:dot) ){0,2}"
	"(?i:com|org|net|edu|gov|info|io|eu|de|fr|es|it|nl|uk|ie|at|ch|pl|se|dk|fi|in|cn|jp|br))"
	"(?![A-Za-z0-9])";

/* ---- URLs. The host has a dot, so that scheme://host in a manual does not match; the rest ends at
 * a space, a quote or a bracket. */
#define PATH "(?:[\\/?#][^\\s\"'<>()\\[\\]{}]{0,256})?"
static const char url[] = LEFT "(?i)https?:\\/\\/"
			       "(?:[\\p{L}0-9](?:[\\p{L}0-9-]{0,61}[\\p{L}0-9])?\\.){1,5}"
			       "[\\p{L}0-9-]{2,24}(?::[0-9]{1,5})?" PATH;

/* A name and a password before the host; "<user>:${PASSWORD}@" is a template. */
static const char url_credentials[] = LEFT
	"(?i)[a-z][a-z0-9+.-]{1,20}:\\/\\/[^\\s:\\/?#@\"'<>{}$\\[\\]()|]{0,64}"
	":[^\\s\\/@\"'<>{}$\\[\\]()|*]{1,128}@[\\p{L}0-9\\[][\\p{L}0-9.:\\]_-]{0,253}(?<![.:-])" PATH;

/* ---- telephone numbers: runs of groups, each taken whole. A long run of digits has one reading,
 * not one for each way to cut it; the check chooses the groups. */
#define BETWEEN "[ ().\\/-]{1,4}+"
static const char phone[] =
	"(?<![0-9A-Za-z_+])(?<![0-9][.\\/-])(?<![A-Za-z]-)"
	"(?:\\(?\\+ ?)?\\(?[0-9]{1,19}+(?:" BETWEEN "[0-9]{1,19}+){0,10}"
	"(?:[ ,;]{0,2}(?i:extension|extn?|durchwahl|dw|poste|int|app|wew|klapka|toestel|x)[.:]? ?"
	"[0-9]{1,5}+)?" NEAR_AHEAD;
static const char phone_plus[] =
	"(?<=[A-Za-z]-)\\+[0-9]{1,19}+(?:" BETWEEN "[0-9]{1,19}+){0,10}" NEAR_AHEAD;

/* ---- hosts */
static const char ip[] =
	LEFT "(?<![0-9]\\.)(?:[0-9]{1,3}\\.){3}[0-9]{1,3}" RIGHT "(?!\\.[0-9])" NEAR_AHEAD;
static const char ip6[] = LEFT "(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)"
			       "[0-9A-Fa-f:]{3,45}+(?:\\.[0-9]{1,3}){0,3}+"
			       "(?:%[0-9A-Za-z]{1,15}+)?" RIGHT;
static const char mac[] = LEFT "(?<![0-9A-Fa-f]{2}[:-])(?i)[0-9A-F]{2}"
			       "(?:(?::[0-9A-F]{2}){5}|(?:-[0-9A-F]{2}){5}|(?::[0-9A-F]{2}){7}|"
			       "(?:-[0-9A-F]{2}){7})" RIGHT "(?![:-][0-9A-F]{2})";
static const char mac_dots[] =
	LEFT "(?<![0-9A-Fa-f]\\.)(?i)(?:[0-9A-F]{4}\\.){2,3}[0-9A-F]{4}" RIGHT "(?!\\.[0-9A-F])";

/* ---- wallets */
#define BASE58 "[1-9A-HJ-NP-Za-km-z]"
#define BECH32 "[02-9ac-hj-np-z]"

/* ---- places */
#define MONTH "\\p{L}[\\p{L}\\p{M}]{2,14}"
static const char birth[] =
	"(?<![0-9A-Za-z_])(?<![0-9][.\\/-])(?:"
	"[0-9]{4}(?:\\. |[-\\/. ])[0-9]{1,2}(?:\\. |[-\\/. ])[0-9]{1,2}|"
	"[0-9]{1,2}(?:\\. |[-\\/. ])[0-9]{1,2}(?:\\. |[-\\/. ])(?:[0-9]{4}|[0-9]{2})|[0-9]{8}|"
	"[0-9]{1,2}(?:st|nd|rd|th|er|\\.|º|ª)?(?:[ -]| de | of | d')" MONTH
	"\\.?,?(?: de | del |[ -])[0-9]{4}|" MONTH "\\.? [0-9]{1,2}(?:st|nd|rd|th)?,? [0-9]{4}|"
	"[0-9]{4}\\. ?" MONTH " [0-9]{1,2}|"
	"(?:[0-9]{4}|(?:昭和|平成|令和|大正)[0-9]{1,2}) ?[年년] ?[0-9]{1,2} ?[月월] ?[0-9]{1,2} ?[日일]?"
	")(?![0-9])" NEAR_AHEAD;

static const char plate[] =
	"(?<![0-9A-Za-z_])(?<![0-9A-Za-z]-)(?:"
	"[A-Z\\x{C4}\\x{D6}\\x{DC}]{1,3}[ -][A-Z]{1,2}[ -]?[0-9]{1,4}[EH]?|"
	"[A-Z]{2} [0-9]{2} [0-9]{3}|[A-Z\\x{10C}\\x{160}\\x{17D}]{1,3}[ -]?[0-9]{2,6}(?:[ -]?[A-Z]{1,3})?|"
	"[0-9][A-Z0-9][0-9] ?[0-9]{4}|[0-9]{1,4}[ -]?[A-Z]{1,3}(?:[ -]?[0-9]{1,6})?|"
	"[0-9A-Z]{1,3}-[0-9A-Z]{2,3}-[0-9A-Z]{1,3}|[0-9A-Z]{2} [0-9A-Z]{2} [0-9A-Z]{2}|"
	"[A-Z]{2,3}[ -]?[0-9A-Z]{4,5}|[A-Z]{2} [0-9A-Z]{2}-[0-9A-Z]{3}|"
	"[A-Z]{2} ?[A-Z]{2}[ -][0-9]{3}|"
	"[\\x{391}-\\x{3A9}]{3}[ -]?[0-9]{4}|"
	"[\\x{410}-\\x{42F}]{1,2} ?[0-9]{3,4} ?[\\x{410}-\\x{42F}]{2}(?: ?[0-9]{2,3})?|"
	"[\\x{4E00}-\\x{9FFF}][A-Z][ \\x{B7}-]?[0-9A-Z]{5,6}"
	")" RIGHT "(?!-[0-9A-Za-z])" NEAR_AHEAD;
static const char uk_vehicle[] =
	LEFT "(?<![0-9A-Za-z]-)(?i)[A-HJ-PR-Y]{2}(?:0[2-9]|[12][0-9]|5[1-9]|[67][0-9])[ -]?"
	     "[A-HJ-PR-Z]{3}" RIGHT "(?!-[0-9A-Z])" NEAR_AHEAD;
static const char ng_vehicle[] =
	LEFT "(?<![0-9A-Za-z]-)(?i)[A-Z]{3}[ -]?[0-9]{3}[A-Z]{2}" RIGHT "(?!-[0-9A-Z])" NEAR_AHEAD;

/* Addresses. Towns go on over capitals; a comma or a line break stands between the lines. */
#define TOWN_WORD "\\p{Lu}(?:[\\p{L}\\p{M}]|[.'-](?=\\p{L})){1,30}"
#define TOWN                                                                                   \
	TOWN_WORD "(?:[ -](?:(?:am|an der|im|ob der|la|sur|sous|de|del|upon|nad) )?" TOWN_WORD \
		  "){0,2}"
#define NEXT "(?:,? ?\\n ?|, ?| ?[-|] ?| )"
#define NUMBER "[0-9]{1,4}(?: ?[-\\/] ?[0-9]{1,4})?(?: ?[a-zA-Z])?(?![0-9\\p{L}])"
#define CODE                                                                                     \
	"(?:[A-Z]{1,2}-? ?)?(?:[0-9]{4} ?[A-Z]{2}|[0-9]{2}-[0-9]{3}|[0-9]{4}-[0-9]{3}|[0-9]{3} " \
	"[0-9]{2}|[0-9]{4,6}) "
#define CLOSED "(?:" NEXT CODE TOWN ")?"

/* The street is one word, or its kind is the last of two. */
static const char street_germanic[] =
	LEFT "(?:\\p{Lu}[\\p{L}.-]{1,20} )?\\p{Lu}[\\p{L}.'-]{2,40}+"
	     "(?<=straße|strasse|str\\.|gasse|weg|platz|allee|ring|damm|ufer|chaussee|steig|"
	     "stieg|pfad|markt|straat|laan|plein|gracht|kade|dijk|singel|gatan|gata|vägen|gränd|"
	     "torget|gade|vej|allé|stræde|katu|tie|kuja|polku|veien|vegen|gaten|plassen|Straße|"
	     "Strasse|Str\\.|Gasse|Weg|Platz|Allee|Ring|Damm|Ufer|Markt|Chaussee|Linden) ?" NUMBER
		     CLOSED;
/* Any street, where the postal code has a shape that nothing else has. */
static const char street_any[] =
	LEFT "\\p{Lu}[\\p{L}.'-]{2,25}+(?: [\\p{L}.'-]{2,25}){0,2}? " NUMBER ", ?"
	     "(?:[0-9]{4} ?[A-Z]{2}|[A-Z]{1,2}-[0-9]{4,5}|[0-9]{2}-[0-9]{3}) " TOWN;
static const char street_french[] =
	LEFT "[0-9]{1,4}(?: ?(?:bis|ter|quater|[A-D]))?,? (?i:rue|avenue|av\\.|boulevard|bd|bld|"
	     "place|chemin|allée|impasse|quai|route|cours|square|passage|faubourg|sentier) "
	     "(?:(?:de|du|des|la|le|les|aux|à) |[dl]'){0,2}[\\p{L}0-9.'-]{1,30}"
	     "(?:[ -](?:(?:de|du|des|la|le|et) )?[\\p{Lu}0-9][\\p{L}0-9.'-]{0,30}){0,4}" CLOSED;
/* The kind comes first: Romance and Slavic languages, Greek. */
static const char street_kind_first[] =
	"(?<![0-9A-Za-z_\\x{C0}-\\x{24F}\\x{370}-\\x{52F}])"
	"(?:(?i:calle|avenida|avda\\.?|paseo|plaza|camino|carrera|ronda|via|"
	"viale|piazza|corso|largo|vicolo|strada|rua|travessa|praça|alameda|estrada|ulica|aleja|"
	"aleje|osiedle|bulevardul|calea|aleea|ulice|náměstí|třída|rue|avenue|boulevard|chaussée|"
	"quai|place|ul\\.|al\\.|pl\\.|os\\.|str\\.|bd\\.|nám\\.|ул\\.|улица|бул\\.|булевард|"
	"οδός|οδος)|[Cc]\\/)"
	" ?(?:(?:de|del|de la|de los|du|des|della|dei|delle|di|do|da|dos|dr\\.|gen\\.) |[dl]'){0,2}"
	"\\p{Lu}[\\p{L}\\p{M}.'-]{1,25}(?: (?:[0-9]{1,2} )?\\p{L}[\\p{L}\\p{M}.'-]{0,25}){0,4}?,? "
	"(?:n[.º°]?r?\\.? ?|núm\\.? ?)?" NUMBER CLOSED;
static const char street_english[] =
	LEFT "[0-9]{1,5}[A-Za-z]?,? (?:[NSEW]\\.? )?(?:[\\p{Lu}0-9][\\p{L}0-9'.-]{0,25} ){1,4}"
	     "(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|"
	     "Pl|Square|Sq|Terrace|Close|Crescent|Highway|Hwy|Parkway|Pkwy|Circle|Grove|Gardens|"
	     "Mews|Row|Quay|Walk)(?![\\p{L}\\p{N}])\\.?"
	     "(?:(?:,? (?:Apt|Suite|Ste|Unit|Flat|Floor|Fl|#)\\.? ?[0-9A-Za-z-]{1,6})?"
	     "(?:" NEXT "\\p{Lu}[\\p{L}0-9'. -]{1,30}?){0,3}" NEXT
	     "(?:[A-Z]{2},? [0-9]{5}(?:-[0-9]{4})?|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}|"
	     "[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[A-Z][0-9][0-9W] ?[A-Z0-9]{4}|"
	     "[A-Z]{2,3} [0-9]{4})" RIGHT ")?";

/* A further row of the name above. */
#define ALSO(n, v, r, c)                                                \
	{                                                               \
		.name = (n), .version = (v), .regex = (r), .check = (c) \
	}
#define WALLET(n, v, r, c, w, s, e)                                                   \
	{                                                                             \
		.name = (n), .version = (v), .regex = (r), .check = (c), .what = (w), \
		.source = (s), .example = (e)                                         \
	}

static const struct detector table[] = {
	{ .name = "email",
	  .version = 2,
	  .regex = email,
	  .check = detect_email,
	  .what = "e-mail address",
	  .source = "RFC 5322, section 3.4.1; RFC 6531",
	  .example = "write to henryb@example.com" },
	ALSO("email", 2, email_quoted, detect_email),
	ALSO("email", 2, email_written, detect_email),
	{ .name = "phone",
	  .version = 2,
	  .regex = phone,
	  .check = detect_phone,
	  .what = "telephone number, national and international",
	  .source = "ITU-T E.164; the numbering plans of 51 countries (phone_table.c)",
	  .example = "+44 7700 900963",
	  .words = 1 + NEAR_PHONE,
	  .needs =
		  "national: one of its words, or a layout that nothing else has; with +: nothing" },
	ALSO("phone", 2, phone_plus, detect_phone),
	{ .name = "ip",
	  .version = 2,
	  .regex = ip,
	  .check = detect_ip,
	  .what = "IP address of someone: not private, reserved or for examples",
	  .source = "RFC 791; RFC 4291; reserved ranges: RFC 6890",
	  .example = "from 142.250.74.46",
	  .words = 1 + NEAR_HOST,
	  .needs = "four numbers that may be a version: one of its words, a port or a scheme" },
	ALSO("ip", 2, ip6, detect_ip6),
	{ .name = "mac",
	  .version = 2,
	  .regex = mac,
	  .check = detect_mac,
	  .what = "MAC address of a network interface, EUI-64",
	  .source = "IEEE 802, clause 8",
	  .example = "00:1A:2B:3C:4D:5E" },
	ALSO("mac", 2, mac_dots, detect_mac),
	{ .name = "url",
	  .version = 1,
	  .regex = url,
	  .what = "URL of a host with a dot",
	  .source = "RFC 3986",
	  .example = "https://example.com/a?b=c" },
	{ .name = "url.credentials",
	  .version = 1,
	  .regex = url_credentials,
	  .what = "URL with a name and a password in it",
	  .source = "RFC 3986, section 3.2.1",
	  .example = "https://user:pass@host.example.com/path" },
	WALLET("crypto.btc", 2, LEFT "[13]" BASE58 "{25,34}" RIGHT, detect_btc58, "Bitcoin address",
	       "Base58Check; BIP 173 and 350", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"),
	ALSO("crypto.btc", 2, LEFT "(?i)bc1" BECH32 "{11,71}" RIGHT, detect_bech32),
	WALLET("crypto.ltc", 1, LEFT "[LM]" BASE58 "{25,34}" RIGHT, detect_ltc58,
	       "Litecoin address", "Base58Check; BIP 173",
	       "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"),
	ALSO("crypto.ltc", 1, LEFT "(?i)ltc1" BECH32 "{11,71}" RIGHT, detect_bech32),
	WALLET("crypto.bch", 1,
	       LEFT "(?:(?i)bitcoincash:)?(?:[qp]" BECH32 "{41}|[QP](?i:" BECH32 "){41})" RIGHT,
	       detect_bch, "Bitcoin Cash address", "CashAddr specification",
	       "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
	WALLET("crypto.doge", 1, LEFT "[DA9]" BASE58 "{33}" RIGHT, detect_doge, "Dogecoin address",
	       "Base58Check", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L"),
	WALLET("crypto.trx", 1, LEFT "T" BASE58 "{33}" RIGHT, detect_trx, "Tron address",
	       "Base58Check", "TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy"),
	WALLET("crypto.xrp", 1, LEFT "r" BASE58 "{24,34}" RIGHT, detect_xrp, "XRP Ledger address",
	       "XRP Ledger: base58 encodings", "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"),
	{ .name = "crypto.eth",
	  .version = 1,
	  .regex = LEFT "0x[0-9A-Fa-f]{40}" RIGHT NEAR_AHEAD,
	  .check = detect_eth,
	  .what = "Ethereum address",
	  .source = "EIP-55",
	  .example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	  .words = 1 + NEAR_WALLET,
	  .needs = "in letters of one case: one of its words" },
	WALLET("crypto.xmr", 1, LEFT "[48]" BASE58 "{94}(?:" BASE58 "{11})?" RIGHT, detect_xmr,
	       "Monero address", "Monero: standard addresses, cnBase58",
	       "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f"
	       "2wfn3RVGQBEP3A"),
	{ .name = "crypto.sol",
	  .version = 1,
	  .regex = LEFT BASE58 "{32,44}" RIGHT NEAR_AHEAD,
	  .check = detect_sol,
	  .what = "Solana address",
	  .source = "Solana: accounts, Ed25519 keys",
	  .example = "wallet: 4fYNw3dojWmQ4dXtSGE9epjRGy9pFSx62YypT7avPYvA",
	  .words = 1 + NEAR_WALLET,
	  .needs = "needs one of its words near it" },
	{ .name = "date_of_birth",
	  .version = 1,
	  .regex = birth,
	  .check = detect_birth,
	  .what = "date of birth, in numbers and in words",
	  .source = "own: layouts of dates",
	  .example = "born 12 March 1985",
	  .words = 1 + NEAR_BIRTH,
	  .needs = "needs one of its words near it" },
	{ .name = "plate",
	  .version = 1,
	  .regex = plate,
	  .check = detect_plate,
	  .what = "registration plate of a vehicle",
	  .source =
		  "the registration authorities of the member states, United Kingdom, China, Russia",
	  .example = "Kennzeichen: B-MW 1234",
	  .words = 1 + NEAR_PLATE,
	  .needs = "needs one of its words near it" },
	{ .name = "uk.vehicle",
	  .version = 2,
	  .regex = uk_vehicle,
	  .check = detect_plate_shape,
	  .what = "British registration mark since 2001",
	  .source = "DVLA, INF104",
	  .example = "AB51 ABC",
	  .needs = "no other name before it" },
	{ .name = "ng.vehicle",
	  .version = 1,
	  .regex = ng_vehicle,
	  .check = detect_plate_shape,
	  .what = "Nigerian number plate since 1992",
	  .source = "Federal Road Safety Corps",
	  .example = "KJA-999PZ",
	  .needs = "no other name before it" },
	{ .name = "postal_address",
	  .version = 1,
	  .regex = street_germanic,
	  .check = detect_street,
	  .what = "postal address, or street and house number",
	  .source = "Universal Postal Union: S42, addressing systems of the members",
	  .example = "Goethestra\xC3\x9F"
		     "e 15, 60313 Frankfurt",
	  .words = 1 + NEAR_HOME,
	  .needs = "without postal code and town: one of its words" },
	ALSO("postal_address", 1, street_any, detect_street),
	ALSO("postal_address", 1, street_french, detect_street),
	ALSO("postal_address", 1, street_kind_first, detect_street),
	ALSO("postal_address", 1, street_english, detect_street),
};

const struct detector *filter_detector_contact(size_t i)
{
	return i < sizeof table / sizeof *table ? &table[i] : NULL;
}
