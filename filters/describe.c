/* What the tables of detectors hold, for people: kinds of numbers, secrets, and shapes by regex, in
 * one list. */
#include "filters/detect.h"
#include "filters/filters.h"
#include "filters/kind.h"
#include "filters/secret.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct filter_detector list[FILTER_DETECTORS_MAX];
static size_t count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *or_empty(const char *text) { return text ? text : ""; }

/* A place for a row that is the newest of its name; NULL where another row of the name has one. */
static struct filter_detector *place(const char *name, unsigned version)
{
	if (version != filter_detector_version(name) || count == FILTER_DETECTORS_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return NULL;
	list[count] = (struct filter_detector){ .name = name, .version = version };
	return &list[count++];
}

static const char *need_name(enum kind_need need)
{
	switch (need) {
	case NEED_NOTHING:
		return "nothing";
	case NEED_NO_VETO:
		return "no other name before it";
	case NEED_WORD:
		return "one of its words near it";
	case NEED_LABEL:
		return "one of its words near it, alone too";
	case NEED_UNSET:
	case NEED_NEVER:
		break;
	}
	return "is not taken";
}

static void add_kind(const struct kind *k)
{
	struct filter_detector *d = place(k->name, k->version);
	if (!d)
		return;
	d->what = or_empty(k->what);
	d->source = or_empty(k->source);
	d->example = or_empty(k->example);
	d->check = k->check ? "check digits or a date decide" : "the form decides";
	d->words = k->words;
	if (k->bare == k->loose && (!k->groups || k->bare == k->grouped))
		snprintf(d->context, sizeof d->context, "needs %s", need_name(k->bare));
	else
		snprintf(d->context, sizeof d->context,
			 "bare: %s; in its groups: %s; in others: %s", need_name(k->bare),
			 k->groups ? need_name(k->grouped) : "is not taken", need_name(k->loose));
}

static void add_secret(const struct secret_kind *k)
{
	struct filter_detector *d = place(k->name, k->version);
	if (!d)
		return;
	d->what = or_empty(k->what);
	d->source = or_empty(k->source);
	d->example = or_empty(k->example);
	d->check = k->check     ? "a checksum or its structure decides"
		   : k->entropy ? "entropy and a list of placeholders decide"
				: "a list of placeholders decides";
	d->keywords = k->keywords;
	snprintf(d->context, sizeof d->context, "needs one of its keywords");
}

/* Shapes that are neither kinds nor secrets. */
static const struct shape {
	const char *name, *what, *source, *example;
} shapes[] = {
	{ "email", "e-mail address", "RFC 5322, section 3.4.1; RFC 6531",
	  "write to henryb@example.com" },
	{ "phone", "telephone number", "ITU-T E.164; national numbering plans", "+44 7700 900963" },
	{ "ip", "IP address", "RFC 791; RFC 4291; reserved ranges: RFC 6890",
	  "from 142.250.74.46" },
	{ "mac", "MAC address of a network interface", "IEEE 802, clause 8", "00:1A:2B:3C:4D:5E" },
	{ "url", "URL", "RFC 3986", "see https://www.example.com/a?b=c" },
	{ "url.credentials", "URL with a user's name and password in it", "RFC 3986, section 3.2.1",
	  "https://deploy:hunter2@build.example.com" },
	{ "crypto.btc", "Bitcoin address", "Base58Check; BIP 173 and 350",
	  "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ" },
	{ "crypto.bch", "Bitcoin Cash address", "CashAddr specification",
	  "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a" },
	{ "crypto.doge", "Dogecoin address", "Base58Check", "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L" },
	{ "crypto.eth", "Ethereum address", "EIP-55",
	  "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" },
	{ "crypto.ltc", "Litecoin address", "Base58Check; BIP 173",
	  "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1" },
	{ "crypto.sol", "Solana address", "Base58 of an Ed25519 public key",
	  "solana 4fYNw3dojWmQ4dXtSGE9epjRGy9pFSx62YypT7avPYvA" },
	{ "crypto.trx", "Tron address", "Base58Check", "TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy" },
	{ "crypto.xmr", "Monero address", "Monero: base58 with a Keccak checksum",
	  "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wf"
	  "n3RVGQBEP3A" },
	{ "crypto.xrp", "XRP Ledger address", "XRP Ledger: base58 encodings",
	  "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh" },
	{ "date_of_birth", "date of birth", "dates near words of birth, in 25 languages",
	  "born 12 March 1985 in Ulm" },
	{ "plate", "vehicle registration plate of a member state of the EU",
	  "national registration rules", "Kennzeichen: B-MW 1234" },
	{ "uk.vehicle", "United Kingdom: vehicle registration mark",
	  "DVLA INF104: vehicle registration numbers", "reg AB51 ABC" },
	{ "ng.vehicle", "Nigeria: vehicle registration plate", "FRSC: number plate scheme",
	  "KJA 999PZ" },
	{ "postal_address", "postal address", "UPU S42; national postal codes and street words",
	  "Hauptstra\u00dfe 12, 10115 Berlin" },
	{ "unicode.tags", "text hidden in tag characters",
	  "UTS #51, section 3.4 (emoji tag sequences)", "\U000E0068\U000E0069" },
	{ "unicode.selectors", "bytes hidden in variation selectors",
	  "Unicode Standard, section 23.4 (variation selectors)", "a\uFE01\uFE02" },
	{ "unicode.bidi", "text turned round by a direction override",
	  "UAX #9, section 2.2 (explicit overrides)", "\u202Eterces\u202C" },
};

static void add_shape(const struct detector *x)
{
	static const struct shape none = { "", "", "", "" };
	const struct shape *s = &none;
	struct filter_detector *d = place(x->name, x->version);
	if (!d)
		return;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (strcmp(shapes[i].name, x->name) == 0)
			s = &shapes[i];
	d->what = s->what;
	d->source = s->source;
	d->example = s->example;
	d->check = x->check ? "a check of the value decides" : "the form decides";
	d->words = x->context;
	snprintf(d->context, sizeof d->context, "%s",
		 !x->context       ? "needs nothing"
		 : x->context_bare ? "bare: one of its words near it; else: nothing"
				   : "needs one of its words near it");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct filter_detector *)a)->name,
		      ((const struct filter_detector *)b)->name);
}

static void make(void)
{
	for (size_t i = 0; kind_at(i); i++)
		add_kind(kind_at(i));
	for (size_t i = 0; filter_detector_at(i); i++)
		add_shape(filter_detector_at(i));
	for (size_t i = 0; filter_secret_at(i); i++)
		add_secret(filter_secret_at(i));
	qsort(list, count, sizeof *list, by_name);
}

const struct filter_detector *filter_detector_describe(size_t i)
{
	pthread_once(&once, make);
	return i < count ? &list[i] : NULL;
}

const struct filter_detector *filter_detector_find(const char *name)
{
	size_t from = 0, to;
	pthread_once(&once, make);
	for (to = count; from < to;) {
		size_t i = (from + to) / 2;
		int c = strcmp(name, list[i].name);
		if (c == 0)
			return &list[i];
		if (c < 0)
			to = i;
		else
			from = i + 1;
	}
	return NULL;
}

bool filter_detector_worded(const char *name)
{
	char base[128];
	snprintf(base, sizeof base, "%.*s", (int)strcspn(name, "/"), name);
	const struct filter_detector *d = filter_detector_find(base);
	return d && (d->words || d->keywords);
}
