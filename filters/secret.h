/* Kinds of secrets: tokens, keys, passwords. Private to the room.
 *
 * A keyword that every value of a kind has in it or just before it is looked for by one automaton
 * for all kinds; a kind's pattern is tried only where its keyword was seen. So hundreds of kinds
 * cost what one automaton costs. */
#ifndef FILTERS_SECRET_H
#define FILTERS_SECRET_H

#include "filters/regex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum secret_verdict {
	SECRET_NO,     /* not of this kind */
	SECRET_LIKELY, /* entropy and the list of placeholders decide */
	SECRET_PROVED, /* a checksum or its structure leaves no doubt */
};
typedef enum secret_verdict secret_check(const char *v, size_t n);

/* Bytes that are withheld behind a match for as long as they continue, at most SECRET_TAIL_MAX. */
enum secret_tail {
	SECRET_TAIL_NONE,
	SECRET_TAIL_TOKEN, /* letters, digits, - _ . + / ~, then = */
	SECRET_TAIL_ARMOR, /* the lines of a key, to the end of its "-----END ...-----" */
	SECRET_TAIL_LINES, /* lines of base64 */
};
#define SECRET_TAIL_MAX (64u * 1024u)

struct secret_kind {
	const char *name; /* "secret.github_pat"; rows of one name and version act together */
	unsigned version;
	const char *keywords; /* ASCII in lower case, '|' between them: a try begins at each */
	const char *pattern;  /* PCRE2 of finite width; group s is the secret, else all of it */
	uint8_t lead;         /* letters, digits and - _ . ~ of a value before its keyword */
	uint8_t entropy;      /* least Shannon entropy of the secret in tenths of a bit a character */
	secret_check *check;  /* NULL: as if it said SECRET_LIKELY */
	enum secret_tail tail;
	const char *what, *source, *example; /* example: made up, of the public form */
};

/* The i-th row, or NULL. */
const struct secret_kind *filter_secret_at(size_t i);
/* Whether a row is meant by "secret.jwt" (its newest version) or "secret.jwt/1". */
bool filter_secret_is(const struct secret_kind *k, const char *asked);
/* The newest version of a name without one; 0: there is no such kind. */
unsigned filter_secret_version(const char *name);
/* Its pattern, compiled once for the whole process. */
int filter_secret_regex(size_t i, const struct regex **out, struct err *e) MUST_USE;
/* Whether a value that fits the pattern of k is a secret. */
bool filter_secret_judge(const struct secret_kind *k, const char *v, size_t n);
/* Whether c goes on with a tail; *state: of the head that the tail follows, at first. */
bool filter_secret_tail(enum secret_tail t, char c, uint32_t *state);
uint32_t filter_secret_tail_state(enum secret_tail t, const char *head, size_t n);

/* The tables, each ended by a row without a name. */
extern const struct secret_kind filter_secrets_code[], filter_secrets_cloud[], filter_secrets_ai[],
	filter_secrets_service[], filter_secrets_key[], filter_secrets_generic[];

/* Checks: secret_check.c */
secret_check detect_crc62, detect_bech32_key, detect_wif, detect_jwt, detect_basic_auth,
	detect_mixed, detect_certain, detect_armor, detect_user_password, detect_curl_user,
	detect_password, detect_password_bare, detect_token, detect_header, detect_nuget,
	detect_sentry;
/* Whether its maker prints a value in manuals, so that it opens nothing. */
bool detect_published(const char *v, size_t n);
/* Shannon entropy in bits a character. */
double detect_entropy(const char *v, size_t n);
/* Whether a text is a stand-in: an example, a template, a mask, one character, a sequence. */
bool detect_placeholder(const char *v, size_t n);

/* Pieces of patterns. A value's left border; that of one without - and _ inside. */
#define SECRET_L "(?<![A-Za-z0-9_-])"
#define SECRET_R "(?![A-Za-z0-9_-])"
#define SECRET_WORD_L "(?<![A-Za-z0-9])"
#define SECRET_WORD_R "(?![A-Za-z0-9])"
/* From a name to its value: the rest of the name, a type, an attribute, "value"; a sign; quotes.
 * SET is for names that stand everywhere: not in a list of strings, "NAME", "VALUE". */
#define SECRET_NAME                                                                              \
	"[A-Za-z0-9_. \\t-]{0,40}[\"'`]?(?:,?\\s{1,16}[\"']?value[\"']?)?[ \\t]{0,4}\\]?"
#define SECRET_SIGN "[:?|.+]?={1,3}>?|:{1,3}=?|=>|>|\\|\\|:"
#define SECRET_QUOTES "[ \\t\\r\\n]{0,12}(?:\\\\?[\"'`]){0,3}[ \\t]{0,2}"
#define SECRET_IS SECRET_NAME "(?:" SECRET_SIGN "|(?<=[\"'`]),)" SECRET_QUOTES
#define SECRET_SET SECRET_NAME "(?:" SECRET_SIGN ")" SECRET_QUOTES
/* A secret of these characters in a context: all of it, not a piece of something longer. */
#define SECRET_VALUE(class, n) "(?<s>[" class "]{" n "})(?![" class "]|[A-Za-z0-9_=/+-])"
#define SECRET_NAMED(name, class, n) "(?i)" name SECRET_IS SECRET_VALUE(class, n)
#define SECRET_UUID "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

#endif
