/* Alternatives to drawn tokens. Each is a text of its own, and together they are many texts: "4111"
 * beside the first token, " 1111" beside the second, and a reader puts together what a rule
 * withholds. So they are named at one token within any stretch that a match can reach over (the
 * set's hold); and there each alternative is scanned in place, with what stands before and behind
 * it: named are those that change nothing of what the rules find. Any text that can be put together
 * differs from scanned ones by one alternative within the reach of a match.
 *
 * Most often that is the answer's first token, which is where classifiers look. In JSON it would be
 * a bracket: there a token counts, and has alternatives, only where one of them was not negligible
 * beside it. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

#define AFTER      256u            /* bytes behind a word to which it can be the context */
#define JSON_MOST  (size_t)KIB(64) /* of content, which is scanned from its beginning */
#define NEGLIGIBLE 6.9F            /* ln 1000 */

void serve_tops_free(struct serve_tops *t)
{
	for (unsigned i = 0; i < ANSWER_TOP; i++)
		if (t->stream[i])
			filter_stream_close(t->stream[i]);
	buf_free(&t->content);
	*t = (struct serve_tops){ 0 };
}

bool serve_tops_shows(const struct serve_tops *t, unsigned alternative)
{
	return t->show[alternative];
}

static bool is_same(const struct answer_token *a, const struct answer_token *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->text, b->text, a->len) == 0);
}

static unsigned stream_how(const struct serve_chat *c)
{
	return c->steering | (serve_content_is_json(c) ? FILTER_JSON : 0);
}

/* Open the stream of an alternative: what stands before it, and itself. */
static int open_one(struct serve_chat *c, struct serve_tops *t, unsigned i,
		    const struct answer_token *a, uint64_t at, struct err *e)
{
	struct cleared out;
	TRY(filter_stream_open(&t->stream[i], serve_rules(c, POLICY_CONTENT),
			       stream_how(c), e));
	t->len[i] = a->len;
	int rc = filter_stream_push(t->stream[i], t->content.bytes + t->from, at - t->from, &out,
				    e);
	if (rc == FILTER_OPEN)
		rc = filter_stream_push(t->stream[i], a->text, a->len, &out, e);
	return rc;
}

/* Whether alternatives to this token may be named at all; they count as named then. */
static bool is_place(const struct serve_chat *c, const struct serve_tops *t,
		     const struct answer_token *token, int count, uint64_t at)
{
	bool likely = !serve_content_is_json(c);
	if (at < t->next || (serve_content_is_json(c) && at > JSON_MOST))
		return false;
	for (int i = 1; i < count; i++)
		likely |= !is_same(&token[i], &token[0]) &&
			  token[i].logprob >= token[0].logprob - NEGLIGIBLE;
	return likely && count > 1;
}

static int begin(struct serve_chat *c, struct serve_tops *t, const struct answer_token *token,
		 int count, uint64_t at, struct err *e)
{
	size_t width = filter_set_hold(serve_rules(c, POLICY_CONTENT), stream_how(c));
	bool place = is_place(c, t, token, count, at);
	t->judging = true;
	t->count = (unsigned)count - 1;
	t->end = t->pushed = at + token[0].len;
	t->from = at > width && !serve_content_is_json(c) ? at - width : 0;
	if (place)
		t->next = t->end + width;
	for (unsigned i = 0; i < t->count; i++) {
		t->show[i] = is_same(&token[i + 1], &token[0]);
		if (place && !t->show[i]) {
			int rc = open_one(c, t, i, &token[i + 1], at, e);
			TRY(rc);
		}
	}
	return 0;
}

/* Whether the content's own stream withholds these bytes of it too. */
static bool is_known(const struct filter_record *own, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < own->findings; i++)
		if (own->finding[i].start <= start && end <= own->finding[i].end &&
		    own->finding[i].action > FILTER_NOTICE)
			return true;
	return false;
}

/* Whether a finding is there for the alternative alone. moved: how much further everything behind
 * it stands than in the content. */
static bool is_new(const struct serve_tops *t, unsigned i, const struct filter_record *own,
		   const struct filter_finding *x, uint64_t token_len)
{
	uint64_t begin = t->end - token_len - t->from, end = begin + t->len[i];
	if (x->action <= FILTER_NOTICE || x->end + AFTER < begin)
		return false;
	if (x->end <= begin)
		return !is_known(own, x->start + t->from, x->end + t->from);
	if (x->start < end)
		return true;
	return !is_known(own, x->start - end + t->end, x->end - end + t->end);
}

/* Push what came to the stream of an alternative. 1: it is decided. */
static int judge_one(struct serve_completion *ch, unsigned i, uint64_t token_len, bool last,
		     struct err *e)
{
	struct serve_tops *t = &ch->tokens.tops;
	struct cleared out;
	const struct filter_record *own = filter_stream_record(ch->content);
	int rc = filter_stream_push(t->stream[i], t->content.bytes + t->pushed,
				    t->content.len - t->pushed, &out, e);
	if (rc == FILTER_OPEN && last)
		filter_stream_cut(t->stream[i]);
	if (rc == FILTER_OPEN && last)
		rc = filter_stream_end(t->stream[i], &out, e);
	TRY(rc);
	const struct filter_record *r = filter_stream_record(t->stream[i]);
	uint64_t behind = t->end - token_len - t->from + t->len[i] + AFTER;
	bool clear = rc == FILTER_OPEN || rc == FILTER_COMPLETE;
	if (clear && !last && (r->released < behind || own->released < t->end + AFTER))
		return 0;
	for (size_t k = 0; k < r->findings && clear; k++)
		clear = !is_new(t, i, own, &r->finding[k], token_len);
	t->show[i] = clear;
	return 1;
}

static int judge(struct serve_completion *ch, uint64_t token_len, bool last, struct err *e)
{
	struct serve_tops *t = &ch->tokens.tops;
	int left = 0;
	for (unsigned i = 0; i < t->count; i++) {
		if (!t->stream[i])
			continue;
		int known = judge_one(ch, i, token_len, last, e);
		TRY(known);
		left += !known;
		if (!known)
			continue;
		filter_stream_close(t->stream[i]);
		t->stream[i] = NULL;
	}
	t->pushed = t->content.len;
	t->judging = left > 0;
	return left == 0;
}

/* Whether rules may withhold something of the content. */
static bool is_filtered(const struct serve_chat *c)
{
	return c->filtered && filter_set_withholds(serve_rules(c, POLICY_CONTENT));
}

int serve_tops_judge(struct serve_chat *c, struct serve_completion *ch, size_t index,
		     uint64_t content, bool last, struct err *e)
{
	struct serve_tops *t = &ch->tokens.tops;
	struct answer_token token[ANSWER_TOP + 1];
	struct buf text = { 0 };
	int rc, count = c->service->who->token(c->answer, ch->index, index, token, &text, e);
	TRY_OUT(count);
	TRY_OUT(buf_done(&t->content, e));
	if (!is_filtered(c)) {
		memset(t->show, true, sizeof t->show);
		rc = 1;
		goto out;
	}
	if (!t->judging)
		TRY_OUT(begin(c, t, token, count, content, e));
	rc = judge(ch, token[0].len, last, e);
out:
	buf_free(&text);
	return rc;
}
