/* Replies of which something is demanded, as rules: reasoning, which is free, then calls, an answer
 * that a constraint describes, or free text. What the model's tokenizer has a control token for may
 * be drawn as that token; the rest is ordinary text.
 *
 *   root    ::= (open thought close)? (answer | calls)        most families
 *   root    ::= analysis? (final answer | call)                harmony
 *   thought ::= any text in which nothing stands that the reader would take for a marker */
#include "reply/reply_frame.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* ---- literals ---- */

static void literal_part(struct buf *out, const char *text, size_t len)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_add_byte(out, '\\');
		if (text[i] == '\n')
			buf_add_text(out, "\\n");
		else
			buf_add_byte(out, (unsigned char)text[i]);
	}
	buf_add_text(out, "\" ");
}

void reply_frame_literal(struct buf *out, const char *text)
{
	literal_part(out, text, strlen(text));
}

/* Bytes of the longest marker that text begins with; 0: none. */
static size_t marker_at(const struct reply_frame *f, const char *text)
{
	size_t most = 0;
	for (size_t i = 0; f->markers && i < f->markers->count; i++) {
		const struct reply_marker *m = &f->markers->at[i];
		if (m->len > most && strncmp(m->bytes, text, m->len) == 0)
			most = m->len;
	}
	return most;
}

void reply_frame_marked(const struct reply_frame *f, struct buf *out, const char *text)
{
	size_t plain = 0;
	if (!*text)
		reply_frame_literal(out, text);
	while (text[plain]) {
		size_t marker = marker_at(f, text + plain);
		plain += marker == 0;
		if (marker == 0 && text[plain])
			continue;
		if (plain > 0)
			literal_part(out, text, plain);
		if (marker > 0) { /* as the token, or spelled: the reader cannot tell */
			buf_add_text(out, "(@");
			literal_part(out, text + plain, marker);
			buf_add_text(out, "| ");
			literal_part(out, text + plain, marker);
			buf_add_text(out, ") ");
		}
		text += plain + marker;
		plain = 0;
	}
}

/* ---- text in which some strings do not stand ---- */

/* The automaton of Aho and Corasick: a state for each proper beginning of a string. */
#define AVOID_CHARS 64
#define AVOID_STATES 512
struct avoid {
	uint32_t text[REPLY_AVOID_MAX][AVOID_CHARS]; /* the strings, as code points */
	size_t len[REPLY_AVOID_MAX], count;
	struct {
		const uint32_t *at;
		size_t len;
	} state[AVOID_STATES];
	size_t states;
	uint32_t letter[REPLY_AVOID_MAX * AVOID_CHARS]; /* all that occur */
	size_t letters;
};

static bool same(const uint32_t *a, const uint32_t *b, size_t len)
{
	return memcmp(a, b, len * sizeof *a) == 0;
}

static void add_state(struct avoid *v, const uint32_t *at, size_t len)
{
	for (size_t i = 0; i < v->states; i++)
		if (v->state[i].len == len && same(v->state[i].at, at, len))
			return;
	check(v->states < AVOID_STATES);
	v->state[v->states].at = at;
	v->state[v->states++].len = len;
}

static void add_letter(struct avoid *v, uint32_t cp)
{
	for (size_t i = 0; i < v->letters; i++)
		if (v->letter[i] == cp)
			return;
	v->letter[v->letters++] = cp;
}

static void avoid_string(struct avoid *v, const char *s)
{
	size_t n = 0, bytes = strlen(s), i = v->count++;
	check(i < REPLY_AVOID_MAX);
	for (size_t at = 0; at < bytes; n++) {
		check(n < AVOID_CHARS);
		at += (size_t)text_utf8_decode(s + at, bytes - at, &v->text[i][n]);
		add_letter(v, v->text[i][n]);
	}
	v->len[i] = n;
	for (size_t k = 0; k < n; k++)
		add_state(v, v->text[i], k);
}

/* The state after one more letter; SIZE_MAX: a string is whole. */
static size_t avoid_step(const struct avoid *v, size_t state, uint32_t letter)
{
	uint32_t seen[AVOID_CHARS + 1];
	size_t n = v->state[state].len, best = 0;
	memcpy(seen, v->state[state].at, n * sizeof *seen);
	seen[n++] = letter;
	for (size_t i = 0; i < v->count; i++)
		if (v->len[i] <= n && same(seen + n - v->len[i], v->text[i], v->len[i]))
			return SIZE_MAX;
	for (size_t i = 1; i < v->states; i++) {
		size_t len = v->state[i].len;
		if (len <= n && len > v->state[best].len &&
		    same(seen + n - len, v->state[i].at, len))
			best = i;
	}
	return best;
}

static void class_letter(struct buf *out, uint32_t cp)
{
	char utf8[4];
	if (cp == '\n') {
		buf_add_text(out, "\\n");
		return;
	}
	if (cp < 0x80 && strchr("\\]^-[", (int)cp))
		buf_add_byte(out, '\\');
	buf_add(out, utf8, (size_t)text_utf8_encode(cp, utf8));
}

static void state_name(struct buf *out, const char *name, size_t state)
{
	if (state)
		buf_printf(out, "%s-%zu ", name, state);
	else
		buf_printf(out, "%s ", name);
}

/* name-STATE ::= "" | [letters] name-NEXT | ... | [^those and the forbidden] name */
static void avoid_rule(const struct avoid *v, const char *name, size_t state, struct buf *out)
{
	struct buf other = { 0 };
	state_name(out, name, state);
	buf_add_text(out, "::= \"\" ");
	for (size_t to = 1; to < v->states; to++) {
		size_t before = other.len;
		for (size_t i = 0; i < v->letters; i++)
			if (avoid_step(v, state, v->letter[i]) == to)
				class_letter(&other, v->letter[i]);
		if (other.len == before)
			continue;
		buf_add_text(out, "| [");
		buf_add(out, other.bytes + before, other.len - before);
		buf_add_text(out, "] ");
		state_name(out, name, to);
	}
	for (size_t i = 0; i < v->letters; i++)
		if (avoid_step(v, state, v->letter[i]) == SIZE_MAX)
			class_letter(&other, v->letter[i]);
	buf_add_text(out, "| [^");
	buf_add(out, other.bytes ? other.bytes : "", other.len);
	buf_printf(out, "] %s\n", name);
	out->failed |= other.failed;
	buf_free(&other);
}

void reply_frame_avoid(struct buf *out, const char *name, const char *const *string, size_t count)
{
	struct avoid v = { .states = 1 };
	v.state[0].at = v.text[0];
	for (size_t i = 0; i < count; i++)
		avoid_string(&v, string[i]);
	for (size_t i = 0; i < v.states; i++)
		avoid_rule(&v, name, i, out);
}

/* ---- families' markers ---- */

#define KIND(k) (1u << (k))

/* The markers of these kinds; those that stand alone only where `alone`. */
static size_t marks_of(enum reply_syntax s, unsigned kinds, bool alone, const char **out)
{
	size_t n = 0;
	for (const struct mark *m = reply_marks(s); m->text; m++)
		if (kinds & KIND(m->kind) && (alone || !(m->how & MARK_ALONE)) &&
		    n < REPLY_AVOID_MAX)
			out[n++] = m->text;
	return n;
}

/* (a | b) of the markers of a kind. */
static void one_of(const struct reply_frame *f, enum mark_kind kind, struct buf *out)
{
	const char *mark[REPLY_AVOID_MAX];
	size_t n = marks_of(f->syntax, KIND(kind), true, mark);
	buf_add_text(out, "(");
	for (size_t i = 0; i < n; i++) {
		buf_add_text(out, i ? "| " : "");
		reply_frame_marked(f, out, mark[i]);
	}
	buf_add_text(out, ") ");
}

/* ---- reasoning ---- */

static const char *const harmony_marks[] = { "<|end|>", "<|return|>", "<|call|>", "<|start|>",
					     "<|channel|>" };

/* The rule `thought`. A marker of calls would begin one there, or could be read as its
 * beginning. */
static void add_thought(const struct reply_frame *f, struct buf *out)
{
	const char *mark[REPLY_AVOID_MAX];
	size_t n = marks_of(f->syntax, KIND(MARK_UNTHINK) | KIND(MARK_SECTION) | KIND(MARK_CALL),
			    false, mark);
	if (f->syntax == REPLY_SYNTAX_HARMONY)
		reply_frame_avoid(out, "thought", harmony_marks,
				  sizeof harmony_marks / sizeof *harmony_marks);
	else
		reply_frame_avoid(out, "thought", mark, n);
}

/* The rule `text`: free text before calls, or in place of them. */
static void add_text(const struct reply_frame *f, struct buf *out)
{
	const char *mark[REPLY_AVOID_MAX];
	size_t n = marks_of(f->syntax, KIND(MARK_SECTION) | KIND(MARK_CALL), false, mark);
	reply_frame_avoid(out, "text", mark, n);
}

/* ---- the whole ---- */

static void harmony_message(const struct reply_frame *f, const char *channel, struct buf *out)
{
	reply_frame_marked(f, out, "<|channel|>");
	reply_frame_literal(out, channel);
	reply_frame_marked(f, out, "<|message|>");
}

/* The end of a message that another one follows. */
static void harmony_next(const struct reply_frame *f, struct buf *out)
{
	reply_frame_marked(f, out, "<|end|><|start|>assistant");
}

static void harmony_root(const struct reply_frame *f, struct buf *out)
{
	buf_add_text(out, "analysis ::= ");
	harmony_message(f, "analysis", out);
	buf_add_text(out, "thought ");
	harmony_next(f, out);
	buf_add_text(out, "\nsaid ::= ");
	harmony_message(f, "commentary", out);
	buf_add_text(out, "thought ");
	harmony_next(f, out);
	buf_add_text(out, "\nfinal ::= ");
	reply_frame_marked(f, out, "<|channel|>final");
	if (f->answer == REPLY_ANSWER_JSON) {
		buf_add_text(out, "(");
		reply_frame_marked(f, out, " <|constrain|>json");
		buf_add_text(out, ")? ");
	}
	reply_frame_marked(f, out, "<|message|>");
	buf_add_text(out, f->answer == REPLY_ANSWER_TEXT   ? "thought\n"
			  : f->answer == REPLY_ANSWER_NONE ? "\n"
							   : "answer\n");
	buf_add_text(out, "root ::= ");
	if (f->thought == REPLY_THOUGHT_OPEN) {
		buf_add_text(out, "thought ");
		harmony_next(f, out);
	}
	if (f->answer == REPLY_ANSWER_TEXT)
		buf_add_text(out, "(analysis | said)* (final | calls)?\n");
	else
		buf_printf(out, "%s%s\n", f->thought == REPLY_THOUGHT_OPEN ? "" : "analysis? ",
			   f->answer == REPLY_ANSWER_NONE ? "calls"
			   : f->tools                     ? "(final | calls)"
							  : "final");
}

/* The rule `shown`: the answer, and what a family may open it with. What closes it need not come:
 * the reader takes all behind the opening as the answer. */
static void add_shown(const struct reply_frame *f, struct buf *out)
{
	const char *mark[REPLY_AVOID_MAX];
	buf_add_text(out, "shown ::= ");
	if (marks_of(f->syntax, KIND(MARK_SHOW), true, mark) > 0) {
		buf_add_text(out, "(");
		one_of(f, MARK_SHOW, out);
		buf_add_text(out, "\"\\n\"? )? ");
	}
	buf_add_text(out, "answer\n");
}

/* What comes behind the reasoning. */
static const char *body_of(const struct reply_frame *f)
{
	static const char *const body[4][2] = {
		[REPLY_ANSWER_NONE] = { "calls", "calls" },
		[REPLY_ANSWER_ANY] = { "shown", "(shown | calls)" },
		[REPLY_ANSWER_JSON] = { "shown", "(shown | calls)" },
		[REPLY_ANSWER_TEXT] = { "text", "(text calls?)" },
	};
	bool alone = f->syntax == REPLY_SYNTAX_LLAMA3 && f->answer == REPLY_ANSWER_TEXT && f->tools;
	return alone ? "(calls | [ \\n]* ([^{\\[ \\n] text)?)" : body[f->answer][f->tools != NULL];
}

/* Line ends around markers belong to them. */
static void root_of(const struct reply_frame *f, struct buf *out)
{
	bool open = f->thought == REPLY_THOUGHT_OPEN, text = f->answer == REPLY_ANSWER_TEXT;
	if (f->answer == REPLY_ANSWER_ANY || f->answer == REPLY_ANSWER_JSON)
		add_shown(f, out);
	buf_printf(out, "body ::= %s\nroot ::= ", body_of(f));
	if (f->thought == REPLY_THOUGHT_NONE) {
		buf_add_text(out, "body\n");
		return;
	}
	if (!open) {
		buf_add_text(out, text ? "body | \"\\n\"? " : "(\"\\n\"? ");
		one_of(f, MARK_THINK, out);
	}
	buf_add_text(out, text ? "thought (" : "thought ");
	one_of(f, MARK_UNTHINK, out);
	buf_add_text(out, "\"\\n\"{0,2} ");
	buf_add_text(out, text ? "body)?\n" : open ? "body\n" : ")? body\n");
}

int reply_frame_grammar(const struct reply_frame *f, struct buf *out, struct err *e)
{
	bool harmony = f->syntax == REPLY_SYNTAX_HARMONY;
	check(f->tools || f->answer != REPLY_ANSWER_NONE);
	if (f->tools)
		TRY(reply_frame_calls(f, out, e));
	if (harmony || f->thought != REPLY_THOUGHT_NONE)
		add_thought(f, out);
	if (!harmony && f->answer == REPLY_ANSWER_TEXT)
		add_text(f, out);
	if (harmony)
		harmony_root(f, out);
	else
		root_of(f, out);
	return buf_done(out, e);
}
