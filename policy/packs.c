/* Packs that come with the program. Each is a TOML text made from this table: one rule for each
 * detector, with its tests. A pack's digest stands in the bundle, so a change here is a change of
 * every policy that extends it. */
#include "policy/rules.h"

#include <string.h>

struct row {
	const char *detector, *hits, *misses; /* three texts each, divided by | */
	bool eu;                              /* part of packs/pii-eu too */
};

/* Values are invented: random under the check digit's rule, or published as examples. */
static const struct row rows[] = {
	{ "pan", "4111 1111 1111 1111|card 5500-0000-0000-0004|378282246310005",
	  "4111 1111 1111 1112|order 1234567890123|5500 8991 4330 1467", true },
	{ "iban", "GB57 FERN 0027 5892 9007 54|DE89370400440532013000|NO93 8601 1117 947",
	  "GB58 FERN 0027 5892 9007 54|DE89370400440532013001|locker tag NO4543386596589", true },
	{ "email", "write to henryb@example.com.|a.b+c@mail.example.co.uk|<e.murphy@example.org>",
	  "image@2x.png|user@localhost|price: 3 apples @ 2.50", true },
	{ "phone", "call (617) 555-0116|+44 7700 900963|phone 4155550170",
	  "order 4155550170|5500 8991 4330 1467|ISBN 978-3-16-148410-0", true },
	{ "ip", "from 142.250.74.46|91.198.174.192:80|seen at 185.15.59.224",
	  "127.0.0.1|section 4.3.2.1|256.1.1.1", true },
	{ "mac", "MAC 00:1A:2B:3C:4D:5E|aa-bb-cc-dd-ee-f0|0012.3456.789A",
	  "FF:FF:FF:FF:FF:FF|00:1A:2B:3C:4D|12:30:45 to 12:40:00", true },
	{ "crypto.btc",
	  "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ|3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy|"
	  "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
	  "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyY|3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz|"
	  "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp",
	  true },
	{ "us.itin", "911-70-1234|912 53 1234|933-64-1234", "911-89-1234|811-70-1234|911701234",
	  false },
	{ "uk.nino", "PR 123612C|YZ 61 48 68 B|tw987654a", "GB 12 34 56 A|AB 12 34 56 1|BG123612A",
	  false },
	{ "uk.vehicle", "reg AB51 ABC|BD62XYZ|LN14-HGT", "AB80 ABC|AQ51 ABC|IB51 ABC", false },
	{ "in.pan", "PAN ABBPM4567S|permanent account number ABCPD1234Z|pan AAACR5055K",
	  "ABBPM4567S|PAN ABBXM4567S|PAN ABBPM45678", false },
	{ "ng.nin", "12345678902|NIN: 98765432102|55512345672",
	  "12345678901|98765432103|5551234567", false },
	{ "sg.uen", "53125226D|201434292D|T16RF0037C", "53125226E|201434292E|T16RF0037D", false },
	{ "us.ssn", "219-09-9998|219 09 9998|ssn 219099998", "000-12-3456|900-02-2345|219-09-0000",
	  false },
	{ "cn.resident_id", "44999419050905575X|44999419050504245X|44999419050131442X",
	  "449994190509055751|449994190505042452|44999419050131442", false },
	{ "cn.uscc", "91350100D4835HM0H4|91350100PQHH7HURJ9|9135010023MQ22GF56",
	  "91350100D4835HM0H5|91350100PQHH7HURJ0|9135010023MQ22GF57", false },
	{ "us.aba", "routing number 007991413|routing number 095952422|routing number 037876650",
	  "routing number 007991414|routing number 095952423|routing number 037876651", false },
	{ "us.dea", "AB1687411|AB5051646|AB9631020", "AB1687412|AB5051647|AB9631021", false },
	{ "us.npi", "npi 1955966852|npi 1437717840|npi 1440803785",
	  "npi 1955966853|npi 1437717841|npi 1440803786", false },
	{ "uk.nhs", "773 729 2187|529 104 2451|377 487 0357",
	  "773 729 2188|529 104 2452|377 487 0358", false },
	{ "de.tax_id", "91 482 301 657|21 067 389 777|14 326 908 732",
	  "91 482 301 658|21 067 389 778|14 326 908 733", true },
	{ "de.vat_id", "DE315916822|DE996324320|DE475862905", "DE315916823|DE996324321|DE475862906",
	  true },
	{ "de.pension", "42 070649 J 537|57 070649 C 514|12 070649 R 378",
	  "42 070649 J 538|57 070649 C 515|12 070649 R 379", true },
	{ "de.health", "O144933383|R376273365|T933740617", "O144933384|R376273366|T933740618",
	  true },
	{ "de.passport", "passport C0VYGGTJ18|passport C0CCXHM398|passport C0TF5TWN05",
	  "passport C0VYGGTJ19|passport C0CCXHM399|passport C0TF5TWN06", true },
	{ "de.id_card", "Ausweis L06H4HHVF8|Ausweis L0GF639161|Ausweis L05CPPF252",
	  "Ausweis L06H4HHVF9|Ausweis L0GF639162|Ausweis L05CPPF253", true },
	{ "br.cpf", "100.268.478-17|338.879.265-87|968.995.592-69",
	  "100.268.478-18|338.879.265-88|968.995.592-60", false },
	{ "br.cnpj", "34.818.580/0001-40|72.270.041/0001-09|29.220.732/0001-79",
	  "34.818.580/0001-41|72.270.041/0001-00|29.220.732/0001-70", false },
	{ "in.aadhaar", "3040 5317 7200|4295 5869 9836|9448 3070 0269",
	  "3040 5317 7201|4295 5869 9837|9448 3070 0260", false },
	{ "in.gstin", "27XRTRV4468F1Z7|27DNPUW1775S1Z9|27ODQMC4577E1Z5",
	  "27XRTRV4468F1Z8|27DNPUW1775S1Z0|27ODQMC4577E1Z6", false },
	{ "pl.pesel", "85010162814|85010145026|85010154097", "85010162815|85010145027|85010154098",
	  true },
	{ "fi.hetu", "010185-277A|010185-686H|010185-109W", "010185-277B|010185-686I|010185-109X",
	  true },
	{ "es.nif", "61163198B|29891180N|10523527S", "61163198C|29891180O|10523527T", true },
	{ "es.nie", "X0591868D|X6632058P|X7605651B", "X0591868E|X6632058Q|X7605651C", true },
	{ "it.fiscal", "RSSHWW85T10A525B|RSSOEU85T10A597E|RSSZQD85T10A518P",
	  "RSSHWW85T10A525C|RSSOEU85T10A597F|RSSZQD85T10A518Q", true },
	{ "it.vat", "IT 77670440682|IT 73320174417|IT 81724898150",
	  "IT 77670440683|IT 73320174418|IT 81724898151", true },
	{ "se.person", "850101-4867|850101-9817|850101-8579", "850101-4868|850101-9818|850101-8570",
	  true },
	{ "se.org", "556329-4791|556755-8407|556324-3038", "556329-4792|556755-8408|556324-3039",
	  true },
	{ "za.id", "8501016800087|8501013504088|8501011954087",
	  "8501016800088|8501013504089|8501011954088", false },
	{ "ca.sin", "374 494 425|380 959 221|715 243 218", "374 494 426|380 959 222|715 243 219",
	  false },
	{ "tr.id", "67914348338|39978808912|69334717022", "67914348339|39978808913|69334717023",
	  false },
	{ "th.id", "7-8757-80393-63-0|1-2779-94366-63-1|2-0745-56080-69-6",
	  "7-8757-80393-63-1|1-2779-94366-63-2|2-0745-56080-69-7", false },
	{ "kr.rrn", "850101-4525618|850101-4097717|850101-6101647",
	  "850101-4525619|850101-4097718|850101-6101648", false },
	{ "kr.brn", "business 744-18-47658|business 448-93-50927|business 335-56-85130",
	  "business 744-18-47659|business 448-93-50928|business 335-56-85131", false },
	{ "sg.nric", "S2153366A|S7794872D|S4220725Z", "S2153366B|S7794872E|S4220725A", false },
	{ "au.abn", "17 769 099 114|55 087 591 901|73 949 215 145",
	  "17 769 099 115|55 087 591 902|73 949 215 146", false },
	{ "au.acn", "acn 194 127 510|acn 028 650 062|acn 205 331 755",
	  "acn 194 127 511|acn 028 650 063|acn 205 331 756", false },
	{ "au.tfn", "228 539 246|483 500 369|106 779 846", "228 539 247|483 500 360|106 779 847",
	  false },
	{ "au.medicare", "2739 08850 0|2737 61051 1|2467 10116 2",
	  "2739 08851 0|2737 61052 1|2467 10117 2", false },
};

static const char *const names[] = { "packs/pii-eu", "packs/pii-all", NULL };

static const char *const later[] = {
	"eu-ai-act-deployer",
	"eu-ai-act-gpai",
	"gdpr",
	"cn-generative-ai",
	"us-hipaa",
	"pci-dss",
	"sec-17a-4",
	"kr-ai-basic",
	"br-lgpd",
	"ae-pdpl",
	"id-pdp",
	"nist-ai-rmf",
	"secrets",
	NULL,
};

const char *policy_pack_name(size_t i)
{
	return i < sizeof names / sizeof *names ? names[i] : NULL;
}

bool policy_pack_later(const char *name)
{
	for (size_t i = 0; later[i]; i++)
		if (strncmp(name, "packs/", 6) == 0 && strcmp(name + 6, later[i]) == 0)
			return true;
	return false;
}

/* "a|b|c" as a TOML array. */
static void add_texts(struct buf *out, const char *key, const char *texts)
{
	buf_printf(out, "%s = [\"", key);
	for (const char *c = texts; *c; c++)
		if (*c == '|')
			buf_add_text(out, "\", \"");
		else
			buf_add_byte(out, (unsigned char)*c);
	buf_add_text(out, "\"]\n");
}

static void add_rule(struct buf *out, const char *pack, const struct row *x)
{
	bool card = strcmp(x->detector, "pan") == 0;
	buf_printf(out, "\n[[rule]]\nid = \"%s/%s\"\n", pack, x->detector);
	buf_add_text(
		out,
		"phase = [\"input\", \"output\", \"reasoning\", \"tool_arguments\", \"tool_results\"]\n");
	buf_printf(out, "match = { detector = \"%s\" }\naction = \"%s\"\n", x->detector,
		   card ? "mask" : "redact");
	add_texts(out, "tests.hit", x->hits);
	add_texts(out, "tests.miss", x->misses);
}

bool policy_pack_text(const char *name, struct buf *out)
{
	bool eu = strcmp(name, names[0]) == 0;
	if (!eu && strcmp(name, names[1]) != 0)
		return false;
	const char *pack = name + strlen("packs/");
	buf_printf(out, "[policy]\nname = \"%s\"\nversion = 1\n", name);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].eu || !eu)
			add_rule(out, pack, &rows[i]);
	return true;
}
