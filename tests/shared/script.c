#include "tests/shared/script.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct answer {
	struct script *by;
	unsigned choices;
	size_t at[API_CHOICES];
	uint64_t text_end[API_CHOICES];
	size_t tokens[API_CHOICES];
	struct answer_choice_facts facts[API_CHOICES];
	uint32_t id[SCRIPT_STEPS];
	struct answer_token token[API_CHOICES][SCRIPT_STEPS];
	struct reply_event event;
	struct answer_place place;
	atomic_bool gone;
};

static int note_prompt(void *self, struct err *e)
{
	(void)e;
	((struct script *)self)->prompt_by = gettid();
	return 0;
}

static int script_open(void *self, const struct answer_request *q, struct answer **out, struct err *e)
{
	struct script *s = self;
	struct answer *a = *out = calloc(1, sizeof *a);
	s->asked = *q;
	s->opened_by = gettid();
	if (q->beside && serve_beside(q->beside, note_prompt, s, e) < 0)
		return ERR_UNAVAILABLE;
	s->opened++;
	a->by = s;
	a->choices = s->open_error ? s->open_choices : q->asked->n;
	for (uint32_t i = 0; i < SCRIPT_STEPS; i++)
		a->id[i] = 100 + i;
	return s->open_error ? err_set(e, s->open_error, "opening was told to fail") : 0;
}

/* What the step says, and its token. */
static void say(struct answer *a, unsigned i, const struct script_step *t, struct answer_step *out)
{
	size_t len = strlen(t->text);
	a->event = (struct reply_event){
		.part = t->part, .text = t->text, .len = len, .begin = a->text_end[i], .id = t->id
	};
	a->place = (struct answer_place){ a->text_end[i], a->text_end[i] + len };
	a->text_end[i] += len;
	out->event = &a->event;
	out->events = 1;
	a->token[i][a->tokens[i]] = (struct answer_token){ a->id[a->tokens[i]], -0.5F, t->text, len };
	a->tokens[i]++;
	out->place = &a->place;
	out->places = 1;
}

static int script_next(struct answer *a, unsigned i, struct answer_step *out, struct err *e)
{
	struct script *s = a->by;
	static const struct script_step stop = { .end = ANSWER_STOP };
	const struct script_step *t = a->at[i] < s->steps ? &s->step[a->at[i]] : &stop;
	*out = (struct answer_step){ .end = t->end, .more = t->more, .lost = s->lost };
	if (s->at_step)
		s->at_step(s->ctx, i, a->at[i]);
	if (s->time_us)
		*s->time_us += s->step_us;
	if (a->gone)
		return err_set(e, ERR_UNAVAILABLE, "nobody reads any more");
	if (t->error)
		return err_set(e, t->error, "step %zu was told to fail", a->at[i]);
	a->at[i]++;
	if (t->text)
		say(a, i, t, out);
	return 0;
}

static int script_token(struct answer *a, unsigned i, size_t index, struct answer_token *out,
			struct buf *text, struct err *e)
{
	(void)text, (void)e;
	out[0] = a->token[i][index];
	memcpy(out + 1, a->by->top, (size_t)a->by->tops * sizeof *out);
	return a->by->tops + 1;
}

static void script_facts(const struct answer *a, struct answer_facts *out)
{
	a->by->recorded_beside |= gettid() != a->by->opened_by;
	*out = (struct answer_facts){
		.prompt = a->id, .prompt_count = 3, .cached = 2, .choices = a->choices
	};
	for (unsigned i = 0; i < a->choices; i++)
		out->choice[i] = (struct answer_choice_facts){ .id = a->id, .count = a->tokens[i] };
}

static void script_model(const void *self, struct answer_model *out)
{
	const struct script *s = self;
	*out = (struct answer_model){
		.knows_ids = true, .regime = "script/1", .context_max = 64, .ids = s->ids,
		.prompt_bytes_max = s->prompt_bytes_max
	};
}

static bool script_others(void *self, const char *client)
{
	(void)client;
	return ((struct script *)self)->others;
}

static void script_cancel(struct answer *a)
{
	a->by->cancelled++;
	a->gone = true;
}

static void script_close(struct answer *a)
{
	if (a)
		a->by->closed++;
	free(a);
}

static void script_free(void *self) { ((struct script *)self)->freed++; }

const struct answerer script_answerer = {
	.backend = "script",
	.open = script_open,
	.next = script_next,
	.token = script_token,
	.facts = script_facts,
	.model = script_model,
	.others = script_others,
	.cancel = script_cancel,
	.close = script_close,
	.free = script_free,
};

void script_say(struct script *s, const char *text, size_t piece)
{
	static char cut[SCRIPT_STEPS * 16];
	char *to = cut;
	s->steps = 0;
	for (size_t at = 0, len = strlen(text); at < len; at += piece) {
		size_t n = piece < len - at ? piece : len - at;
		s->step[s->steps++] = (struct script_step){ .text = memcpy(to, text + at, n) };
		to[n] = 0;
		to += n + 1;
	}
	s->step[s->steps++] = (struct script_step){ .end = ANSWER_STOP };
}
