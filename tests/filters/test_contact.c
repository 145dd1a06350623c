/* Contacts and places: telephone numbers, addresses of people, hosts and wallets, dates of birth, plates.
 * A row's output is the text with "#" for each value; without one it must pass unchanged. */
#include "filters/detect.h"
#include "filters/near.h"
#include "filters/phone.h"
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static struct filter_set *one(const char *detector, enum filter_context context)
{
	struct filter_rule rule = { .id = "r",
				    .action = FILTER_REDACT,
				    .detector = detector,
				    .context = context,
				    .replacement = "#" };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s: %s", detector, e.text);
	return set;
}

struct row {
	const char *text, *output;
};

static void all_hold(const char *detector, const struct row *row, size_t n)
{
	struct filter_set *set = one(detector, FILTER_CONTEXT_WEAK);
	for (size_t i = 0; i < n; i++) {
		const char *want = row[i].output ? row[i].output : row[i].text;
		struct scan whole = scan_whole(set, row[i].text, strlen(row[i].text));
		cr_expect_eq(whole.end, FILTER_COMPLETE);
		cr_expect(whole.output.len == strlen(want) &&
				  memcmp(whole.output.bytes, want, whole.output.len) == 0,
			  "%s: %s\n  came  %.*s\n  not   %s", detector, row[i].text,
			  (int)whole.output.len, whole.output.bytes, want);
		for (size_t piece = 1; piece < 4; piece++) {
			struct scan s = scan_text(set, false, row[i].text, strlen(row[i].text),
						  scan_bytes, &piece);
			cr_expect(scan_equal(&whole, &s), "%s: pieces of %zu: %s", detector, piece,
				  row[i].text);
			scan_free(&s);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}

/* ---- telephone numbers */

static const struct row phones[] = {
	{ "Handynummer: 0171 9876543", "Handynummer: #" },
	{ "Tel. +49 30 4455667", "Tel. #" },
	{ "Appelez le 06.98.76.54.32 après 18 h.", "Appelez le # après 18 h." },
	{ "Mi móvil es 612 98 76 54.", "Mi móvil es #." },
	{ "Il mio cellulare è 347 987 6543.", "Il mio cellulare è #." },
	{ "Mijn nummer is 06 98765432.", "Mijn nummer is #." },
	{ "Ring mig på 070-987 65 43.", "Ring mig på #." },
	{ "Call our desk at 020 7946 0123.", "Call our desk at #." },
	{ "Text me at 212-555-0147.", "Text me at #." },
	{ "Mobile 0044 7700 900456", "Mobile #" },
	{ "手机号：13987654321", "手机号：#" },
	{ "电话：021-98765432", "电话：#" },
	{ "फ़ोन करें: +91-98765-01234", "फ़ोन करें: #" },
	{ "هاتفي +971 50 123 9876", "هاتفي #" },
	{ "tel 415‐555‐0170", "tel #" },
	{ "call (617) 555-0116, or (415) 555-0170", "call #, or #" },
	{ "phone 4155550170", "phone #" },
	{ "+44 7700 900963。", "#。" },
	{ "17,+44 7700 900963,123", "17,#,123" },
	{ "phone: 17,0171 9876543,123", "phone: 17,#,123" },
	{ "{\"phone\": \"0171 9876543\"}", "{\"phone\": \"#\"}" },
	{ "tel:+49-30-4455667", "tel:#" },
	{ "<a href=\"tel:+493044556677\">call</a>", "<a href=\"tel:#\">call</a>" },
	{ "+49 (0) 171 9876543", "#" },
	{ "+49 (0)171/98 76 543", "#" },
	{ "(030) 4455667", "#" },
	{ "0171/9876543", "#" },
	{ "+1 (212) 555-0147 ext. 12", "#" },
	{ "020 7946 0123 x12 call", "# call" },
	{ "Tel.: 089 1234-0", "Tel.: #" },
	{ "Tel.: +49 89 1234-567", "Tel.: #" },
	{ "011 44 20 7946 0123 is my phone number", "# is my phone number" },
	{ "Phone 0011 49 30 4455667", "Phone #" },
	{ "0171 9876543 is my mobile", "# is my mobile" },
	{ "Fax/Tel: 030 4455667 / 0171 1234567", "Fax/Tel: # / #" },
	{ "Τηλ. 210 123 4567", "Τηλ. #" },
	{ "Тел. 8 (912) 345-67-89", "Тел. #" },
	{ "Телефон: 050 123 45 67", "Телефон: #" },
	{ "Zadzwoń: 512 345 678", "Zadzwoń: #" },
	{ "Volejte 601 123 456", "Volejte #" },
	{ "Hívjon: 06 20 123 4567", "Hívjon: #" },
	{ "Tālr. 21 234 567", "Tālr. #" },
	{ "Soita 040 123 4567", "Soita #" },
	{ "携帯 090-1234-5678", "携帯 #" },
	{ "전화 010-2000-1234", "전화 #" },
	{ "(11) 96123-4567", "#" },
	{ "call 1-800-234-5678", "call #" },
	{ "whatsapp +55 11 96123-4567", "whatsapp #" },
	{ "+49 171 9876543 und +49 172 9876543", "# und #" },
	{ "phone=+4915112345678", "phone=#" },
	{ "\"to\": \"+4915112345678\"", "\"to\": \"#\"" },
	{ "Téléphone : 06 12 34 56 78", "Téléphone : #" },
	{ "my numbers: 0171 9876543, 0172 9876543", "my numbers: #, #" },
	{ "number +12025550123.", "number #." },
	{ "call customer service 0800 123 4567", "call customer service #" },
	{ "Part no. 212-555-1040 is a gasket.", NULL },
	{ "Zoom meeting ID: 812 3456 7890, passcode 55-01-22", NULL },
	{ "x = +12345678; y = -98765432", NULL },
	{ "From 100.200.300 to 400.500.600 the counter overflows.", NULL },
	{ "Your order 48213077 has shipped and arrives on Tuesday.", NULL },
	{ "Invoice 77670440682 is overdue by 12 days.", NULL },
	{ "ISBN 0-306-40615-2, second edition.", NULL },
	{ "ISBN 978-3-16-148410-0 and 192.168.100.200", NULL },
	{ "The row reads 12 45 33 78 90 11 22 64 in the table.", NULL },
	{ "Lottery numbers: 04 11 19 27 33 42, extra 7.", NULL },
	{ "Call me on 2026-11-30 12:00 or 30.11.2026", NULL },
	{ "Revenue grew from 1,234,567 to 2,345,678 dollars.", NULL },
	{ "Coordinates: 48.858370, 2.294481", NULL },
	{ "order 4155550170", NULL },
	{ "Your case number is 5500 8991 4330 1467.", NULL },
	{ "Order number 612987654", NULL },
	{ "The number is 612987654321", NULL },
	{ "Version 24.04.1.2 call", NULL },
	{ "Train ICE 1537, coach 21, seat 106", NULL },
	{ "PO 10010012345 and PO 10010012346 are duplicates.", NULL },
	{ "The match ended 21-19, 17-21, 22-20.", NULL },
	{ "2026-11-22T10:15:30.123456Z", NULL },
	{ "会议时间:2026年11月22日 14:30-16:00。", NULL },
	{ "订单号 97575107701575922 已发货。", NULL },
	{ "物流单号:5017-0011-1350-3359,预计明天送达。", NULL },
	{ "第20261122期,开奖号码03 08 14 19 27。", NULL },
	{ "Pedido 0047/2026 concluído", NULL },
	{ "注文番号は 20261122-0047 です。", NULL },
	{ "phone 4111 1111 1111 1111", NULL },
	{ "He called at 10:30 and paid 1234567 euros", NULL },
	{ "The function was called 123456789 times", NULL },
};

Test(filters_contact, phone_numbers_are_found_by_shape_or_words)
{
	all_hold("phone", phones, sizeof phones / sizeof *phones);
}

Test(filters_contact, a_number_alone_needs_no_word_where_the_rule_says_so)
{
	static const char *const alone[] = { "0171 9876543", " 612987654\n", "\"06 12 34 56 78\".",
					     "0044 7700 900456" };
	struct filter_set *weak = one("phone", FILTER_CONTEXT_WEAK),
			  *set = one("phone", FILTER_CONTEXT_ALONE);
	for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
		struct scan s = scan_whole(set, alone[i], strlen(alone[i]));
		cr_expect_eq(s.findings, 1, "%s", alone[i]);
		scan_free(&s);
	}
	struct scan s = scan_whole(weak, "612987654", 9);
	cr_expect_eq(s.findings, 0);
	scan_free(&s);
	static const char more[] = "612987654 and more of a text that goes on";
	s = scan_whole(set, more, strlen(more));
	cr_expect_eq(s.findings, 0);
	scan_free(&s);
	filter_set_free(weak);
	filter_set_free(set);
}

Test(filters_contact, every_plan_can_be_read)
{
	const struct phone_plan *plan;
	for (size_t i = 0; (plan = filter_phone_plan(i)); i++) {
		cr_expect_eq(filter_phone_code(plan->code, strlen(plan->code)), strlen(plan->code), "%s",
			     plan->country);
		for (const char *p = plan->ranges; *p; p++)
			cr_expect(strchr("0123456789[]-*: ", *p), "%s: %s", plan->country, p);
		cr_expect(*plan->source);
	}
	cr_expect_eq(filter_phone_read("491711234567", 12, true, false), PHONE_WORLD);
	cr_expect_eq(filter_phone_read("4901711234567", 13, true, false), PHONE_WORLD);
	cr_expect_eq(filter_phone_read("201001234567", 12, true, false), PHONE_ASSIGNED);
	cr_expect_eq(filter_phone_read("2101001234567", 13, true, false), PHONE_NONE);
	cr_expect_eq(filter_phone_read("12345678", 8, true, false), PHONE_NONE);
	cr_expect_eq(filter_phone_read("01711234567", 11, false, false), PHONE_TRUNK);
	cr_expect_eq(filter_phone_read("612987654", 9, false, false), PHONE_SHORT);
	cr_expect_eq(filter_phone_read("0111", 4, false, false), PHONE_NONE);
}

/* ---- words */

Test(filters_contact, words_are_written_as_they_are_compared)
{
	for (int k = 0; k < NEAR_KINDS; k++) {
		const char *w = filter_near_words[k];
		char folded[8000];
		size_t n = filter_near_fold(w, strlen(w), folded, sizeof folded);
		cr_expect(n == strlen(w) && memcmp(folded, w, n) == 0, "kind %d: %.*s", k, (int)n,
			  folded);
		cr_expect(!strstr(w, "||") && !strstr(w, "**"), "kind %d has an empty word", k);
	}
}
