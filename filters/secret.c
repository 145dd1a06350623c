/* Judging what fits the pattern of a kind: its check, its entropy, whether it is a stand-in. */
#include "filters/secret.h"

#include "base/check.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define KINDS_MAX 512

static const struct secret_kind *const table[] = {
	filter_secrets_code,    filter_secrets_cloud, filter_secrets_ai,
	filter_secrets_service, filter_secrets_key,   filter_secrets_generic,
};

static const struct secret_kind *kind_of[KINDS_MAX];
static size_t kinds;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void list_kinds(void)
{
	for (size_t t = 0; t < sizeof table / sizeof *table; t++)
		for (const struct secret_kind *k = table[t]; k->name; k++) {
			check(kinds < KINDS_MAX);
			kind_of[kinds++] = k;
		}
}

const struct secret_kind *filter_secret_at(size_t i)
{
	pthread_once(&once, list_kinds);
	return i < kinds ? kind_of[i] : NULL;
}

static bool named(const struct secret_kind *k, const char *name, size_t len)
{
	return strlen(k->name) == len && memcmp(k->name, name, len) == 0;
}

unsigned filter_secret_version(const char *name)
{
	unsigned newest = 0;
	const struct secret_kind *k;
	for (size_t i = 0; (k = filter_secret_at(i)); i++)
		if (named(k, name, strlen(name)) && k->version > newest)
			newest = k->version;
	return newest;
}

bool filter_secret_is(const struct secret_kind *k, const char *asked)
{
	const char *slash = strchr(asked, '/');
	uint64_t version;
	if (!slash)
		return named(k, asked, strlen(asked)) && k->version == filter_secret_version(asked);
	return named(k, asked, (size_t)(slash - asked)) &&
	       text_parse_u64(slash + 1, strlen(slash + 1), &version) == 0 && version == k->version;
}

/* Patterns are those of the program, whatever the rules: compiled once, never freed. */
int filter_secret_regex(size_t i, const struct regex **out, struct err *e)
{
	static struct regex regex[KINDS_MAX];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const struct secret_kind *k = filter_secret_at(i);
	if (!k || i >= KINDS_MAX)
		return err_set(e, ERR_INPUT, "there are too many kinds of secrets");
	pthread_mutex_lock(&lock);
	int r = regex[i].code ? 0 : filter_regex_compile_anchored(&regex[i], k->pattern, e);
	pthread_mutex_unlock(&lock);
	*out = &regex[i];
	return r < 0 ? err_prefix(e, "%s", k->name) : 0;
}

/* ---- a value */

double detect_entropy(const char *v, size_t n)
{
	size_t count[256] = { 0 };
	double bits = 0;
	for (size_t i = 0; i < n; i++)
		count[(uint8_t)v[i]]++;
	for (int c = 0; c < 256; c++)
		if (count[c])
			bits -= (double)count[c] / (double)n * log2((double)count[c] / (double)n);
	return bits;
}

/* Words that stand for a secret to come, lower case. In 40 random characters of base 64 one of five
 * letters stands by chance once in a million times. */
static const char *const stand_in[] = {
	"example", "xxxxx", "changeme", "change_me", "change-me", "your_", "your-", "yourkey",
	"yourtoken", "yoursecret", "yourapikey", "placeholder", "dummy", "redacted", "insert_",
	"insert-", "replace", "_here", "-here", "tokenhere", "keyhere", "my_token", "my-token",
	"my_secret", "my-secret", "my_api", "my-api", "not_real", "notreal", "not-real",
	"process.env", "os.environ", "getenv", "secrets.", "deadbeef", "*****", "....", "${",
	"$(", "{{", "<%", "%s", "#####", "-----", "_____", NULL,
};

static bool contains(const char *v, size_t n, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= n; i++)
		if (strncasecmp(v + i, word, len) == 0)
			return true;
	return false;
}

/* Whether most letters and digits are one character, or climb one by one: 123456, abcdef. */
static bool monotone(const char *v, size_t n)
{
	size_t count[128] = { 0 }, all = 0, most = 0, climbing = 0, run = 1;
	int last = 0;
	for (size_t i = 0; i <= n; i++) {
		int c = i < n ? tolower((unsigned char)v[i]) : 0;
		if (i < n && !(c < 128 && isalnum(c)))
			continue;
		if (i < n) {
			all++;
			most = ++count[c] > most ? count[c] : most;
		}
		if (i < n && (c == last + 1 || (last == '9' && c == '0'))) {
			run++;
		} else {
			climbing += run >= 4 ? run : 0;
			run = 1;
		}
		last = c;
	}
	return all == 0 || most * 10 >= all * 6 || climbing * 10 >= all * 6;
}

bool detect_placeholder(const char *v, size_t n)
{
	if (n > 0 && (v[0] == '<' || v[0] == '$' || v[0] == '%' || v[0] == '{'))
		return true;
	for (size_t i = 0; stand_in[i]; i++)
		if (contains(v, n, stand_in[i]))
			return true;
	return monotone(v, n);
}

bool filter_secret_judge(const struct secret_kind *k, const char *v, size_t n)
{
	enum secret_verdict verdict = k->check ? (k->check)(v, n) : SECRET_LIKELY;
	if (verdict == SECRET_NO || detect_published(v, n))
		return false;
	if (verdict == SECRET_PROVED)
		return true;
	return detect_entropy(v, n) * 10 >= k->entropy && !detect_placeholder(v, n);
}

/* ---- tails */

static bool within(char c, const char *signs)
{
	return (isalnum((unsigned char)c) && (uint8_t)c < 0x80) || (c && strchr(signs, c));
}

/* Five dashes begin the END line, and five end it. *state: dashes in a row; above them how many
 * rows of five are over; above all whether the lines are strings of a program. */
#define ARMOR_STRINGS 64u

static bool armor_goes_on(char c, uint32_t *state)
{
	uint32_t row = *state % 8, rows = *state % ARMOR_STRINGS / 8;
	bool strings = *state >= ARMOR_STRINGS;
	if (row == 5) {
		rows++;
		row = 0;
	}
	row = c == '-' ? row + 1 : 0;
	*state = (strings ? ARMOR_STRINGS : 0) + rows * 8 + row;
	return rows < 2 && within(c, strings ? "+/=-\\\"', \t\r\n>#*|" : "+/=-\\ \t\r\n>#*|");
}

uint32_t filter_secret_tail_state(enum secret_tail t, const char *head, size_t n)
{
	bool strings = memchr(head, '"', n) || memchr(head, '\'', n);
	return t == SECRET_TAIL_ARMOR && strings ? ARMOR_STRINGS : 0;
}

bool filter_secret_tail(enum secret_tail t, char c, uint32_t *state)
{
	if (t == SECRET_TAIL_ARMOR)
		return armor_goes_on(c, state);
	if (t == SECRET_TAIL_LINES) {
		bool indent = *state != 0 && (c == ' ' || c == '\t' || c == '>');
		*state = indent || c == '\n' || c == '\r';
		return indent || within(c, "+/=\\\r\n");
	}
	/* Behind the padding of base64 comes only padding. */
	bool padded = *state != 0;
	*state = padded || c == '=';
	return padded ? c == '=' : within(c, "-_.+/=~");
}
