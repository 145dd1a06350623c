/* Replies of gpt-oss: messages, each with a header.
 *
 *   [<|start|>assistant] [to=RECIPIENT] <|channel|>CHANNEL [to=RECIPIENT] [[<|constrain|>]TYPE]
 *   <|message|>BODY (<|end|> | <|return|> | <|call|>)
 *
 * analysis is reasoning; final and commentary are content; to=functions.NAME, or the bare name of
 * a tool of the request, is a call with the body as arguments. The prompt ends with
 * "<|start|>assistant", so a reply begins behind it, maybe with " to=". A message to anyone else,
 * or in another channel, is content as it stands. */
#include "reply/reply_in.h"

#include <string.h>

struct header {
	size_t len; /* <|message|> included */
	const char *channel, *recipient;
	size_t channel_len, recipient_len;
};

static bool starts(const char *s, size_t len, const char *what)
{
	return len >= strlen(what) && memcmp(s, what, strlen(what)) == 0;
}

/* s is a prefix of what, and shorter. */
static bool may_become(const char *s, size_t len, const char *what)
{
	return len < strlen(what) && memcmp(s, what, len) == 0;
}

static const char *const openers[] = { "<|start|>", "<|channel|>", "<|message|>", "to=" };
static const char *const closers[] = { "<|end|>", "<|return|>", "<|call|>" };
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Which of the first n of list stands at s: its length, 0 for none; *partial as in find_mark. */
static size_t one_of(const char *const *list, size_t n, const char *s, size_t len, bool *partial)
{
	for (size_t i = 0; i < n; i++) {
		if (starts(s, len, list[i]))
			return strlen(list[i]);
		*partial |= may_become(s, len, list[i]);
	}
	return 0;
}

static size_t word_length(const char *s, size_t len)
{
	size_t n = 0;
	while (n < len && !reply_json_blank((unsigned char)s[n]) && s[n] != '<')
		n++;
	return n;
}

/* The part of a header before <|message|>. */
static bool read_fields(const char *s, size_t len, struct header *h)
{
	size_t at = 0, n;
	if (starts(s, len, "<|start|>")) {
		at = strlen("<|start|>");
		n = word_length(s + at, len - at);
		if (n != strlen("assistant") || memcmp(s + at, "assistant", n) != 0)
			return false;
		at += n;
	}
	while (at < len) {
		bool channel = starts(s + at, len - at, "<|channel|>");
		bool type = starts(s + at, len - at, "<|constrain|>");
		bool to = starts(s + at, len - at, "to=");
		at += channel ? strlen("<|channel|>") : type ? strlen("<|constrain|>") : to ? 3 : 0;
		n = word_length(s + at, len - at);
		if (channel)
			h->channel = s + at, h->channel_len = n;
		else if (to)
			h->recipient = s + at, h->recipient_len = n;
		else if (!n && !type && !reply_json_blank((unsigned char)s[at]))
			return false;
		at += n ? n : !channel && !type && !to;
	}
	return true;
}

/* A header at s. first: of the whole reply, where its beginning may be missing. */
static enum taken read_header(const char *s, size_t len, bool first, bool end, struct header *h)
{
	bool partial = false;
	if (!one_of(openers, first ? COUNT(openers) : 2, s, len, &partial))
		return partial && !end ? TAKE_MORE : TAKE_FAIL;
	size_t room = len < REPLY_HEADER_BYTES ? len : REPLY_HEADER_BYTES;
	const char *message = memmem(s, room, "<|message|>", strlen("<|message|>"));
	size_t fields = message ? (size_t)(message - s) : room;
	for (size_t i = 0; i < COUNT(closers); i++)
		if (memmem(s, fields, closers[i], strlen(closers[i])))
			return TAKE_FAIL;
	if (!message)
		return end || len >= REPLY_HEADER_BYTES ? TAKE_FAIL : TAKE_MORE;
	*h = (struct header){ .len = fields + strlen("<|message|>") };
	return read_fields(s, fields, h) ? TAKE_DONE : TAKE_FAIL;
}

static bool is(const char *s, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(s, what, len) == 0;
}

static void open_message(struct reply *r, const struct header *h)
{
	static const struct mark mark = { "", MARK_CALL, reply_harmony_call, 0, 0 };
	const size_t prefix = strlen("functions.");
	const char *name = h->recipient;
	size_t len = h->recipient_len;
	bool call = len > prefix && starts(name, len, "functions.");
	if (call)
		name += prefix, len -= prefix;
	else if (len) /* the prefix may be left out */
		reply_tool_parameters(r->tools, name, len, &call);
	bool analysis = is(h->channel, h->channel_len, "analysis");
	bool shown = !h->channel_len || is(h->channel, h->channel_len, "final") ||
		     is(h->channel, h->channel_len, "commentary");
	r->raw_body = h->recipient_len ? true : !analysis && !shown;
	if (call) {
		reply_open_call(r, &mark, h->len);
		if (reply_call_name(&r->call, name, len))
			return;
	}
	r->mode = REPLY_BODY;
	if (r->raw_body) {
		reply_settle_content(r);
		reply_emit(r, r->text.bytes + r->at, h->len);
	} else {
		reply_settle_call(r);
		r->reasoning = analysis;
	}
	r->at += h->len;
}

static bool step_gap(struct reply *r, bool end)
{
	const char *s = r->text.bytes + r->at;
	size_t len = r->text.len - r->at;
	struct header h;
	if (!len)
		return false;
	if (r->cut && len > 1 &&
	    read_header(s, len, r->before == BEFORE_NOTHING, false, &h) == TAKE_MORE) {
		r->at = r->text.len; /* half a header is no text */
		return false;
	}
	if (reply_json_blank((unsigned char)*s)) {
		reply_blank(r, s, 1);
		r->at++;
		return true;
	}
	enum taken t = read_header(s, len, r->before == BEFORE_NOTHING, end, &h);
	if (t == TAKE_MORE)
		return false;
	if (t == TAKE_DONE) {
		open_message(r, &h);
		return true;
	}
	reply_settle_content(r);
	reply_emit(r, s, 1);
	r->at++;
	r->mode = REPLY_BODY;
	r->raw_body = *s == '<';
	return true;
}

/* At a '<' in a message: 0 if it is text, else what ends the message (-1: wait). */
static int ends_here(const struct reply *r, bool end, size_t *closer)
{
	const char *s = r->text.bytes + r->at;
	size_t len = r->text.len - r->at;
	struct header h;
	bool partial = false;
	*closer = one_of(closers, COUNT(closers), s, len, &partial);
	if (*closer)
		return 1;
	enum taken t = read_header(s, len, false, end, &h);
	if (t == TAKE_DONE)
		return 1;
	return (partial || t == TAKE_MORE) && !end ? -1 : 0;
}

static bool step_body(struct reply *r, bool end)
{
	const char *s = r->text.bytes + r->at;
	size_t len = r->text.len - r->at, closer = 0;
	if (!len)
		return false;
	if (r->framed && !r->reasoning) {
		reply_emit_rest(r);
		return false;
	}
	const char *mark = memchr(s, '<', len);
	size_t plain = mark ? (size_t)(mark - s) : len;
	int ends = plain ? 0 : ends_here(r, end && !(r->cut && len > 1), &closer);
	if (ends < 0) {
		r->at += end ? len : 0; /* half a mark is no text */
		return false;
	}
	if (!ends)
		plain = plain ? plain : 1;
	else if (r->raw_body)
		plain = closer;
	if (plain)
		reply_emit(r, s, plain);
	r->at += plain ? plain : closer;
	if (ends) {
		r->mode = REPLY_GAP;
		r->reasoning = r->raw_body = false;
		r->before = BEFORE_REASONING;
	}
	return true;
}

bool reply_step_harmony(struct reply *r, bool end)
{
	return r->mode == REPLY_GAP ? step_gap(r, end) : step_body(r, end);
}
