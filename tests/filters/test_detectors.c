#include "tests/filters/scan.h"
#include "base/digest.h"
#include "filters/detect.h"
#include "filters/kind.h"
#include "filters/number.h"

#include <criterion/criterion.h>

static struct filter_set *one(const char *detector, enum filter_action action)
{
	struct filter_rule rule = { .id = "r",
				    .action = action,
				    .detector = detector,
				    .context = FILTER_CONTEXT_ALONE };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s: %s", detector, e.text);
	return set;
}

struct row {
	const char *detector, *text, *output; /* output NULL: it must pass unchanged */
};

static const struct row rows[] = {
	{ "pan", "The card number of Alice Moreno is 4111 1111 1111 1111.",
	  "The card number of Alice Moreno is 4111 11** **** 1111." },
	{ "pan", "card 5500-0000-0000-0004", "card 5500-00**-****-0004" },
	{ "pan", "378282246310005", "378282*****0005" },
	{ "pan", "4111 1111 1111 1111 123", "4111 11** **** 1111 123" },
	{ "pan",
	  "\xE9\x93\xB6\xE8\xA1\x8C\xE5\x8D\xA1"
	  "5555 5532 2453 8328",
	  "\xE9\x93\xB6\xE8\xA1\x8C\xE5\x8D\xA1"
	  "5555 55** **** 8328" },
	{ "pan", "2 of 4111111111111111", "2 of 411111******1111" },
	{ "pan",
	  "4111\xE2\x80\x8B"
	  "1111 1111 1111",
	  "4111\xE2\x80\x8B"
	  "11** **** 1111" },
	{ "pan", "4111 1111 1111 1112", NULL },
	{ "pan", "order 1234567890123", NULL },
	{ "pan", "v4.111.1111", NULL },
	{ "pan", "Your case number is 5500 8991 4330 1467.", NULL },
	{ "pan", "x4111111111111111", "x411111******1111" },
	{ "pan", "41111111111111111111111", "411111******11111111111" },
	{ "pan", "0.4111111111111111", NULL },
	{ "iban", "IBAN GB57 FERN 0027 5892 9007 54.", "IBAN [redacted]." },
	{ "iban", "IBAN GB12 FERN 0009 5461 1139 30 for Clara", "IBAN [redacted] for Clara" },
	{ "iban", "DE89370400440532013000, de89 3704 0044 0532 0130 00", "[redacted], [redacted]" },
	{ "iban", "NO9386011117947 MT84MALT011000012345MTLCAST001S", "[redacted] [redacted]" },
	{ "iban", "GB58 FERN 0027 5892 9007 54", NULL },
	{ "iban", "XX57 FERN 0027 5892 9007 54", NULL },
	{ "iban", "aGB57FERN00275892900754", NULL },
	{ "email", "write to henryb@example.com.", "write to [redacted]." },
	{ "email", "\xE9\x82\xAE\xE7\xAE\xB1xiaohua.li@example.com\xEF\xBC\x8C",
	  "\xE9\x82\xAE\xE7\xAE\xB1[redacted]\xEF\xBC\x8C" },
	{ "email", "<a.b+c_d@mail.example.co.uk>", "<[redacted]>" },
	{ "email", "image@2x.png and icon@3x.png", NULL },
	{ "email", "user@localhost foo@bar A@B", NULL },
	{ "phone", "call (617) 555-0116, or (415) 555-0170", "call [redacted], or [redacted]" },
	{ "phone", "+44 7700 900963\xE3\x80\x82", "[redacted]\xE3\x80\x82" },
	{ "phone", "phone 4155550170", "phone [redacted]" },
	{ "phone", "\xE6\x89\x8B\xE6\x9C\xBA 13812345678", "\xE6\x89\x8B\xE6\x9C\xBA [redacted]" },
	{ "phone", "order 4155550170", NULL },
	{ "phone", "Your case number is 5500 8991 4330 1467.", NULL },
	{ "phone", "ISBN 978-3-16-148410-0 and 192.168.100.200", NULL },
	{ "cn.resident_id",
	  "\xE5\x8F\xB7\xE7\xA0\x81\xE6\x98\xAF"
	  "449994190512277580\xE3\x80\x82",
	  "\xE5\x8F\xB7\xE7\xA0\x81\xE6\x98\xAF[redacted]\xE3\x80\x82" },
	{ "cn.resident_id", "11010519491231002X 11010519491231002x", "[redacted] [redacted]" },
	{ "cn.resident_id", "449994190512277581", NULL },
	{ "cn.resident_id", "449994190513277580", NULL },
	{ "cn.uscc", "91350100M000100Y43", "[redacted]" },
	{ "cn.uscc", "91350100M000100Y44", NULL },
	{ "us.ssn", "219-09-9998", "[redacted]" },
	{ "us.ssn", "ssn 219099998", "ssn [redacted]" },
	{ "us.ssn", "219099998 or 900-12-3456 or 666-12-3456 or 219-00-9998", NULL },
	{ "us.aba", "routing number 021000021", "routing number [redacted]" },
	{ "us.aba", "paid 021000021", NULL },
	{ "us.dea", "AB1234563", "[redacted]" },
	{ "uk.nhs", "943 476 5919", "[redacted]" },
	{ "uk.nhs", "943 476 5918", NULL },
	{ "de.tax_id", "86 095 742 719", "[redacted]" },
	{ "de.vat_id", "DE136695976", "[redacted]" },
	{ "de.pension", "15 070649 C 103", "[redacted]" },
	{ "br.cpf", "529.982.247-25", "[redacted]" },
	{ "br.cnpj", "11.222.333/0001-81", "[redacted]" },
	{ "in.gstin", "27AAPFU0939F1ZV", "[redacted]" },
	{ "pl.pesel", "PESEL 44051401359", "PESEL [redacted]" },
	{ "fi.hetu", "131052-308T", "[redacted]" },
	{ "es.nif", "12345678Z", "[redacted]" },
	{ "es.nie", "X1234567L", "[redacted]" },
	{ "it.fiscal", "RSSMRA85T10A562S", "[redacted]" },
	{ "it.vat", "IT 07643520567", "[redacted]" },
	{ "se.person", "811218-9876", "[redacted]" },
	{ "za.id", "8001015009087", "[redacted]" },
	{ "ca.sin", "046 454 286", NULL }, /* no number begins with 0 */
	{ "ca.sin", "130 692 544", "[redacted]" },
	{ "tr.id", "TCKN 10000000146", "TCKN [redacted]" },
	{ "kr.brn", "business 220-81-62517", "business [redacted]" },
	{ "sg.nric", "S1234567D", "[redacted]" },
	{ "au.abn", "51 824 753 556", "[redacted]" },
	{ "au.acn", "004 085 616", "[redacted]" },
	{ "au.tfn", "876 543 210", "[redacted]" },
	{ "au.medicare", "2123 45670 1", "[redacted]" },
	{ "ip", "from 142.250.74.46 to 91.198.174.192:80", "from [redacted] to [redacted]:80" },
	{ "ip", "127.0.0.1 192.168.1.1 203.0.113.9 4.3.2.1 0.0.0.0 255.255.255.0 256.1.1.1", NULL },
	{ "url", "see https://bank.example.org/a?b=1 now", "see [redacted] now" },
	{ "url", "scheme://host http://localhost", NULL },
	{ "crypto.btc", "to 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ.", "to [redacted]." },
	{ "crypto.btc", "to 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyY.", NULL },
	{ "crypto.btc", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "[redacted]" },
	{ "crypto.btc", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp", NULL },
	{ "us.itin", "911-70-1234", "[redacted]" },
	{ "uk.nino", "nino: PR 123612C", "nino: [redacted]" },
	{ "uk.nino", "GB 12 34 56 A", NULL },
	{ "uk.vehicle", "reg AB51 ABC and", "reg [redacted] and" },
	{ "in.pan", "PAN number is ABBPM4567S", "PAN number is [redacted]" },
	{ "ng.nin", "NIN 12345678902", "NIN [redacted]" },
	{ "sg.uen", "53125226D 201434292D T16RF0037C", "[redacted] [redacted] [redacted]" },
	{ "sg.uen", "53125226E 201434292E T16RF0037D", NULL },
	{ "mac", "FF:FF:FF:FF:FF:FF 00:1A-2b:3c-4D:5E", NULL },
	{ "mac", "0012.3456.789A", "[redacted]" },
	{ "mac", "00:1A:2b:3c:4D:5e", "[redacted]" },
	{ "unicode.tags", "a\xF3\xA0\x81\xB7\xF3\xA0\x81\xA9z", "a[redacted]z" },
	{ "unicode.selectors",
	  "a\xF0\x9F\x99\x82\xF3\xA0\x85\x9F\xF3\xA0\x85\xA2z \xE2\x9D\xA4\xEF\xB8\x8F",
	  "a\xF0\x9F\x99\x82[redacted]z \xE2\x9D\xA4\xEF\xB8\x8F" },
	{ "unicode.bidi", "a \xE2\x80\xAEtxt\xE2\x80\xAC b", "a [redacted] b" },
	{ "unicode.bidi",
	  "\xD7\x90\xD7\x91 \xE2\x80\xAE"
	  "12\xE2\x80\xAC",
	  NULL },
};

Test(filters_detectors, values_are_found_and_look_alikes_are_left)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct filter_set *set =
			one(r->detector, strcmp(r->detector, "pan") ? FILTER_REDACT : FILTER_MASK);
		struct scan s = scan_whole(set, r->text, strlen(r->text));
		const char *want = r->output ? r->output : r->text;
		cr_expect(s.output.bytes && strcmp(s.output.bytes, want) == 0, "%s: %s -> %s",
			  r->detector, r->text, s.output.bytes);
		scan_free(&s);
		filter_set_free(set);
	}
}

static const struct {
	const char *recognizer, *detector;
} names[] = {
	{ "de_tax_id", "de.tax_id" },
	{ "in_aadhaar", "in.aadhaar" },
	{ "th_tnin", "th.id" },
	{ "tr_national_id", "tr.id" },
	{ "us_ssn", "us.ssn" },
	{ "us_npi", "us.npi" },
	{ "uk_nhs", "uk.nhs" },
	{ "ca_sin", "ca.sin" },
	{ "au_abn", "au.abn" },
	{ "au_acn", "au.acn" },
	{ "au_tfn", "au.tfn" },
	{ "au_medicare", "au.medicare" },
	{ "kr_rrn", "kr.rrn" },
	{ "sg_fin", "sg.nric" },
	{ "fi_personal_identity_code", "fi.hetu" },
	{ "email", "email" },
	{ "mac", "mac" },
	{ "url", "url" },
	{ "crypto", "crypto.btc" },
	{ "us_itin", "us.itin" },
	{ "uk_nino", "uk.nino" },
	{ "uk_vehicle_registration", "uk.vehicle" },
	{ "ng_nin", "ng.nin" },
	{ "sg_uen", "sg.uen" },
};

static const char *detector_of(const char *recognizer)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i].recognizer, recognizer) == 0)
			return names[i].detector;
	return NULL;
}

/* Eleven digits alone are of no country: here a word says which. */
static const char *with_word(const char *detector, const char *value, char *out, size_t room)
{
	const char *word = "";
	for (size_t i = 0; kind_at(i); i++)
		if (strcmp(kind_at(i)->name, detector) == 0 && kind_at(i)->words)
			word = kind_at(i)->words[0];
	if (strlen(value) != 11 || strspn(value, "0123456789") != 11)
		word = "";
	snprintf(out, room, "%.*s %s", (int)strcspn(word, "*"), word, value);
	return *word ? out : value;
}

/* Set aside: a German tax number repeats one of its first ten digits, which these two do not. */
static bool set_aside(const char *value)
{
	return strcmp(value, "12345678903") == 0 || strcmp(value, "98765432106") == 0;
}

Test(filters_detectors, check_digits_agree_with_published_verdicts)
{
	json_t *cases = scan_vectors("pii_checksum.jsonl");
	cr_assert(cases && json_array_size(cases) == 44);
	int judged = 0;
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *o = json_array_get(cases, i), *valid = json_object_get(o, "valid");
		const char *detector = detector_of(scan_string(o, "recognizer")),
			   *value = scan_string(o, "value");
		if (!detector || !json_is_boolean(valid) || set_aside(value))
			continue;
		struct filter_set *set = one(detector, FILTER_REDACT);
		char text[128];
		const char *said = with_word(detector, value, text, sizeof text);
		struct scan s = scan_whole(set, said, strlen(said));
		cr_expect_eq(s.findings > 0, json_is_true(valid), "%s %s", detector, value);
		judged++;
		scan_free(&s);
		filter_set_free(set);
	}
	cr_expect_geq(judged, 40, "%d", judged);
	json_decref(cases);
}

/* All spans found and, where there is none, silence. */
static bool presidio_ok(const json_t *o, const struct filter_set *set)
{
	const char *text = scan_string(o, "text");
	const json_t *spans = json_object_get(o, "byte_spans");
	struct scan s = scan_whole(set, text, strlen(text));
	bool ok = json_is_array(spans) &&
		  (json_array_size(spans) == 0 ? s.findings == 0 : s.findings > 0);
	if (ok && json_array_size(spans) == 1) {
		const json_t *span = json_array_get(spans, 0);
		ok = s.first_start < (uint64_t)json_integer_value(json_array_get(span, 1)) &&
		     s.first_end > (uint64_t)json_integer_value(json_array_get(span, 0));
	}
	if (!ok)
		cr_log_info("differs: %s", text);
	scan_free(&s);
	return ok;
}

Test(filters_detectors, most_published_texts_agree)
{
	json_t *cases = scan_vectors("pii_presidio.jsonl");
	cr_assert(cases && json_array_size(cases) == 527);
	int all = 0, agree = 0;
	for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
		struct filter_set *set = one(names[n].detector, FILTER_REDACT);
		int of = 0, ok = 0;
		for (size_t i = 0; i < json_array_size(cases); i++) {
			const json_t *o = json_array_get(cases, i);
			if (strcmp(scan_string(o, "recognizer"), names[n].recognizer) != 0)
				continue;
			of++;
			ok += presidio_ok(o, set);
		}
		cr_log_info("%s: %d of %d", names[n].detector, ok, of);
		all += of;
		agree += ok;
		filter_set_free(set);
	}
	cr_log_info("published texts: %d of %d agree", agree, all);
	cr_expect_geq(agree * 10, all * 7, "%d of %d", agree, all);
	json_decref(cases);
}

static const char *const everything[] = {
	"pan",
	"iban",
	"email",
	"phone",
	"ip",
	"mac",
	"url",
	"crypto.btc",
	"cn.resident_id",
	"cn.uscc",
	"us.ssn",
	"us.itin",
	"us.aba",
	"us.npi",
	"us.dea",
	"uk.nhs",
	"uk.nino",
	"uk.vehicle",
	"de.tax_id",
	"de.vat_id",
	"de.pension",
	"de.health",
	"de.passport",
	"de.id_card",
	"br.cpf",
	"br.cnpj",
	"in.aadhaar",
	"in.pan",
	"in.gstin",
	"ng.nin",
	"pl.pesel",
	"fi.hetu",
	"es.nif",
	"es.nie",
	"it.fiscal",
	"it.vat",
	"se.person",
	"se.org",
	"za.id",
	"ca.sin",
	"tr.id",
	"th.id",
	"kr.rrn",
	"kr.brn",
	"sg.nric",
	"sg.uen",
	"au.abn",
	"au.acn",
	"au.tfn",
	"au.medicare",
	"unicode.tags",
	"unicode.selectors",
	"unicode.bidi",
};
#define EVERYTHING (sizeof everything / sizeof *everything)

/* Each with one of the two actions, in turn. */
static struct filter_set *all_of_them(enum filter_action even, enum filter_action odd)
{
	struct filter_rule rule[EVERYTHING];
	struct filter_set *set;
	struct err e = { 0 };
	for (size_t i = 0; i < EVERYTHING; i++)
		rule[i] = (struct filter_rule){ .id = everything[i],
						.action = i % 2 ? odd : even,
						.detector = everything[i] };
	cr_assert(filter_set_build(&set, rule, EVERYTHING, &e) == 0, "%s", e.text);
	return set;
}

Test(filters_detectors, nothing_fires_in_benign_text)
{
	struct filter_set *set = all_of_them(FILTER_REDACT, FILTER_REDACT);
	json_t *cases = scan_vectors("benign.jsonl");
	cr_assert(cases && json_array_size(cases) == 150);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const char *text = scan_string(json_array_get(cases, i), "text");
		struct scan s = scan_whole(set, text, strlen(text));
		cr_expect(s.findings == 0, "%s\n%s", text, s.trace.bytes);
		scan_free(&s);
	}
	json_decref(cases);
	filter_set_free(set);
}

Test(filters_detectors, pieces_change_nothing_with_all_of_them_on)
{
	static const size_t pieces[] = { 1, 5 };
	struct filter_set *set = all_of_them(FILTER_MASK, FILTER_REDACT);
	json_t *cases = scan_vectors("pii_presidio.jsonl");
	cr_assert(cases);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const char *text = scan_string(json_array_get(cases, i), "text");
		struct scan whole = scan_whole(set, text, strlen(text));
		for (size_t k = 0; k < 2; k++) {
			size_t n = pieces[k];
			struct scan cut = scan_text(set, false, text, strlen(text), scan_bytes, &n);
			cr_expect(scan_equal(&whole, &cut), "%s in pieces of %zu\n%s\n%s", text, n,
				  whole.trace.bytes, cut.trace.bytes);
			scan_free(&cut);
		}
		scan_free(&whole);
	}
	json_decref(cases);
	filter_set_free(set);
}

Test(filters_detectors, context_reaches_back_across_every_place_of_the_window)
{
	static char text[4400];
	struct filter_set *set = one("phone", FILTER_REDACT);
	for (size_t shift = 0; shift < 120; shift++) {
		size_t len = 4040 + shift, n = 1;
		memset(text, 'y', len);
		len += (size_t)snprintf(text + len, sizeof text - len,
					" phone number of the shop: 4155550170.");
		struct scan whole = scan_whole(set, text, len),
			    cut = scan_text(set, false, text, len, scan_bytes, &n);
		cr_expect_eq(whole.findings, 1, "shift %zu", shift);
		cr_expect(scan_equal(&whole, &cut), "shift %zu", shift);
		scan_free(&whole);
		scan_free(&cut);
	}
	filter_set_free(set);
}

/* What many detectors begin with, over and over: some way to read it must not need all the ways to cut it. */
Test(filters_detectors, texts_of_the_detectors_own_letters_stay_within_the_work_limit)
{
	static const char *const letters[] = { "0123456789",      "0123456789 ",  "0123456789.-() +", "+4051 ",
					       "aA0._%+-@",       "ab1.-:/@http", "13abcDEFbc1q",     "GB0 5-ABZ",
					       "0123456789ABCXYZ" };
	struct filter_set *set = all_of_them(FILTER_FLAG, FILTER_FLAG);
	uint32_t state = 42;
	for (size_t k = 0; k < sizeof letters / sizeof *letters * 40; k++) {
		const char *from = letters[k / 40];
		char text[400] = "+4051227449012277589t1199";
		for (size_t i = k % 2 ? 18 : 0; i < sizeof text; i++)
			text[i] = from[scan_random(&state) % strlen(from)];
		size_t n = 1;
		struct scan s = scan_text(set, false, text, sizeof text, scan_bytes, &n);
		cr_expect_eq(s.end, FILTER_COMPLETE, "%.*s", (int)sizeof text, text);
		scan_free(&s);
	}
	filter_set_free(set);
}

/* ---- versions */

/* What each detector's rows are, so that none changes without its version. Checks are code, and are
 * not in the digest: who changes one raises the version too. */
static const struct {
	const char *name, *form;
} forms[] = {
	{ "email/2", "1a52fd3abe7d319a" },
	{ "phone/2", "d4e4d5cb2b0eb6e5" },
	{ "ip/2", "25c0467d3101602b" },
	{ "mac/2", "08eea1922c025af9" },
	{ "url/1", "c4de3702eed7cb7c" },
	{ "crypto.btc/2", "e9746059940560a2" },
	{ "uk.vehicle/2", "a25672d1c5d24b3d" },
	{ "url.credentials/1", "3774a860579e6766" },
	{ "crypto.ltc/1", "d6575fc28140faa7" },
	{ "crypto.bch/1", "983d2b9e8f6c98cc" },
	{ "crypto.doge/1", "ce2fa39c5b36672f" },
	{ "crypto.trx/1", "261eaeec0cfbb442" },
	{ "crypto.xrp/1", "0d9da847662f0f6b" },
	{ "crypto.eth/1", "f93caf9a869096c1" },
	{ "crypto.xmr/1", "eef1ca82639eb2b1" },
	{ "crypto.sol/1", "6521cdb572925369" },
	{ "date_of_birth/1", "5b041ef3ce0499d2" },
	{ "plate/1", "70bb515a00e00ece" },
	{ "ng.vehicle/1", "696912150e158d47" },
	{ "postal_address/1", "896ce6c732234d4a" },
	{ "unicode.tags/1", "217dc5d73acb1105" },
	{ "unicode.selectors/1", "eda5ba7020ee702e" },
	{ "unicode.bidi/1", "e99350ab0f09a4ea" },
};

static void form_of(const char *name, unsigned version, char hex[65])
{
	struct buf b = { 0 };
	const struct detector *d;
	for (size_t i = 0; (d = filter_detector_at(i)); i++) {
		if (strcmp(d->name, name) != 0 || d->version != version)
			continue;
		buf_printf(&b, "%s\n%u %d\n", d->regex, d->words, d->raw);
	}
	struct digest digest = digest_of(b.bytes, b.len);
	digest_hex(&digest, hex);
	buf_free(&b);
}

Test(filters_detectors, no_row_changes_without_its_version)
{
	const struct detector *d;
	size_t listed = 0;
	char last[64] = "";
	for (size_t i = 0; (d = filter_detector_at(i)); i++) {
		char name[64], hex[65];
		snprintf(name, sizeof name, "%s/%u", d->name, d->version);
		if (strcmp(name, last) == 0)
			continue;
		snprintf(last, sizeof last, "%s", name);
		form_of(d->name, d->version, hex);
		size_t k = 0;
		while (k < sizeof forms / sizeof *forms && strcmp(forms[k].name, name) != 0)
			k++;
		cr_expect_lt(k, sizeof forms / sizeof *forms, "not listed: { \"%s\", \"%.16s\" },",
			     name, hex);
		if (k < sizeof forms / sizeof *forms)
			cr_expect(strncmp(hex, forms[k].form, 16) == 0, "%s is now %.16s", name,
				  hex);
		listed++;
	}
	cr_expect_eq(listed, sizeof forms / sizeof *forms);
}

Test(filters_detectors, a_name_is_its_newest_version_and_may_carry_one)
{
	static const char *const known[] = { "pan", "pan/2", "phone/2", "unicode.bidi/1" };
	static const char *const none[] = { "",	      "pa",	 "pan/", "pan/0", "pan/01",
					    "pan/1", "pan/2/1", "/2",	 "pan/x", "pan/-1",
					    "pan /1", "pan/18446744073709551617" };
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		cr_expect(filter_detector_known(known[i]), "%s", known[i]);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		cr_expect(!filter_detector_known(none[i]), "%s", none[i]);
	cr_expect_eq(filter_detector_version("pan"), 2);
	cr_expect_eq(filter_detector_version("pen"), 0);
	struct filter_set *plain = one("phone", FILTER_REDACT), *dated = one("phone/2", FILTER_REDACT);
	const char *text = "call (617) 555-0116, phone 4155550170";
	struct scan a = scan_whole(plain, text, strlen(text)),
		    b = scan_whole(dated, text, strlen(text));
	cr_expect_eq(a.findings, 2);
	cr_expect_str_eq(a.trace.bytes, b.trace.bytes, "findings name the detector alone");
	scan_free(&a);
	scan_free(&b);
	filter_set_free(plain);
	filter_set_free(dated);
}

/* A new version stands beside the old one, and takes nothing from it. */
Test(filters_detectors, versions_of_one_name_are_two_detectors)
{
	const struct detector next = { .name = "url", .version = 2 }, first = { .name = "url", .version = 1 };
	cr_expect(filter_detector_is(&next, "url/2") && !filter_detector_is(&next, "url/1"));
	cr_expect(filter_detector_is(&first, "url/1") && !filter_detector_is(&first, "url/2"));
	cr_expect(filter_detector_is(&first, "url") && !filter_detector_is(&next, "url"),
		  "without a version: the newest of the table");
	cr_expect(!filter_detector_is(&first, "ur") && !filter_detector_is(&first, "ip/1"));
	const struct kind later = { .name = "pan", .version = 3 }, pan = { .name = "pan", .version = 2 };
	cr_expect(filter_kind_is(&later, "pan/3") && !filter_kind_is(&later, "pan"));
	cr_expect(filter_kind_is(&pan, "pan") && filter_kind_is(&pan, "pan/2"));
}

/* Whoever brings in other confusables or views raises the tables' version, and adds a row here. */
Test(filters_detectors, tables_have_one_version_for_each_set_of_confusables)
{
	static const char *const confusables[] = { "", "confusables-17.0.0", "confusables-17.0.0" };
	cr_assert_eq(filter_tables(), 2);
	cr_expect(strstr(filter_tables_version(), confusables[filter_tables()]), "%s",
		  filter_tables_version());
	cr_expect(strstr(filter_tables_version(), "tables-2"));
}
