/* The whole server before an answerer that knows its answer: bench/server PORT HOME serves
 * on loopback until it is told to end, for bench/server.py to measure. Each answer is in the
 * log, durably, before it goes out. Without arguments it runs that script. */
#include "flow/flow.h"
#include "serve/service.h"
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT "An overdraft lets you spend more than you have."

struct answer {
	struct reply_event event;
	bool said;
};

static const uint32_t ids[3] = { 5, 6, 7 };

static int known_open(void *self, const struct answer_request *q, struct answer **out,
		      struct err *e)
{
	(void)self, (void)q;
	*out = calloc(1, sizeof **out);
	return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int known_next(struct answer *a, unsigned choice, struct answer_step *out, struct err *e)
{
	(void)choice, (void)e;
	a->event = (struct reply_event){ .text = TEXT, .len = sizeof TEXT - 1 };
	*out = (struct answer_step){ .event = &a->event,
				     .events = !a->said,
				     .end = a->said ? ANSWER_STOP : ANSWER_GOING };
	a->said = true;
	return 0;
}

static int known_token(struct answer *a, unsigned choice, size_t index, struct answer_token *out,
		       struct buf *text, struct err *e)
{
	(void)a, (void)choice, (void)index, (void)out, (void)text;
	return err_set(e, ERR_UNSUPPORTED, "no tokens");
}

static void known_facts(const struct answer *a, struct answer_facts *out)
{
	(void)a;
	*out = (struct answer_facts){ .prompt = ids, .prompt_count = 3, .choices = 1 };
	out->choice[0] = (struct answer_choice_facts){ .id = ids, .count = 3 };
}

static void known_model(const void *self, struct answer_model *out)
{
	(void)self;
	*out = (struct answer_model){ .knows_ids = true, .regime = "known/1", .context_max = 64 };
}

static void known_cancel(struct answer *a) { (void)a; }
static void known_close(struct answer *a) { free(a); }
static void known_free(void *self) { (void)self; }

static const struct answerer known = {
	.backend = "known",
	.open = known_open,
	.next = known_next,
	.token = known_token,
	.facts = known_facts,
	.model = known_model,
	.cancel = known_cancel,
	.close = known_close,
	.free = known_free,
};

static struct server *running;

static void on_signal(int number)
{
	(void)number;
	server_stop(running);
}

static int serve(const char *home, const char *address, struct err *e)
{
	struct env env = env_system();
	struct flow_options o = { .home = home, .env = &env, .quiet = true, .many = true };
	struct serve_options of = { .ref = "known", .model_name = "m" };
	struct server_options where = { .listener = { { .address = address } },
					.listeners = 1,
					.requests_max = 1024 }; /* all are of one address */
	struct serve_service *s;
	struct serve_host *h;
	struct flow *f;
	TRY(flow_open(&f, &o, e));
	TRY(serve_host_open(&h, f, e));
	TRY(serve_service_open_answerer(&s, f, &of, &known, NULL, e));
	TRY(serve_host_take(h, s, e));
	TRY(server_open(&running, h, &where, e));
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	int rc = server_run(running, e);
	server_close(running);
	serve_host_close(h);
	flow_close(f);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	char address[40];
	if (argc < 3) {
		execl("bench/server.py", "bench/server.py", argv[0], NULL);
		perror("bench/server.py");
		return 1;
	}
	snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
	int rc = serve(argv[2], address, &e);
	if (rc < 0)
		fprintf(stderr, "bench/server: %s\n", e.text);
	return rc < 0;
}
