/* All that one server serves: services by the names of their models, over one log. */
#include "audit/audit.h"
#include "base/limits.h"
#include "base/text.h"
#include "serve/engine_answer.h"
#include "serve/receipt.h"
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>

int serve_host_open(struct serve_host **out, struct flow *f, struct err *e)
{
	struct serve_host *h = *out = calloc(1, sizeof *h);
	if (!h)
		return err_set(e, ERR_NOMEM, "out of memory");
	h->flow = f;
	pthread_mutex_init(&h->reloading, NULL);
	pthread_mutex_init(&h->lock, NULL);
	int rc = serve_receipt_key(f, h->id_key, e);
	if (rc == 0)
		rc = aside_open(&h->aside, 0, NULL, e);
	if (rc == 0)
		rc = aside_open(&h->brief, 0, NULL, e);
	if (rc < 0) {
		serve_host_close(h);
		*out = NULL;
	}
	return rc;
}

struct aside *serve_host_aside(const struct serve_host *h) { return h->aside; }

void serve_host_close(struct serve_host *h)
{
	if (!h)
		return;
	for (size_t i = h->count; i-- > 0;) /* those that share threads before whose they are */
		serve_service_close(h->service[i]);
	aside_close(h->aside);
	aside_close(h->brief);
	json_decref(h->last_reload);
	pthread_mutex_destroy(&h->reloading);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

struct serve_service *serve_host_at(const struct serve_host *h, size_t i)
{
	return i < h->count ? h->service[i] : NULL;
}

struct serve_service *serve_host_find(const struct serve_host *h, const char *model)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(serve_service_model(h->service[i]), model) == 0)
			return h->service[i];
	return NULL;
}

const struct env *serve_host_env(const struct serve_host *h) { return flow_env(h->flow); }

/* Before the minutes that a load takes. */
static int check_place(const struct serve_host *h, const char *model, struct err *e)
{
	if (h->count == SERVE_SERVICES_MAX)
		return err_set(e, ERR_INPUT, "more than %d models in one server",
			       SERVE_SERVICES_MAX);
	if (serve_host_find(h, model))
		return err_set(e, ERR_CONFLICT,
			       "two models are called \"%.200s\": clients choose one by its name",
			       model);
	return 0;
}

int serve_host_take(struct serve_host *h, struct serve_service *s, struct err *e)
{
	int rc = check_place(h, serve_service_model(s), e);
	if (rc < 0)
		serve_service_close(s);
	else
		h->service[h->count++] = s;
	if (rc == 0)
		memcpy(s->id_key, h->id_key, sizeof s->id_key);
	if (rc == 0)
		serve_host_seen(h, s->bundle->profile);
	return rc;
}

/* What is given for all models is shared out: memory as it is left, the caches' in equal parts,
 * threads as they are, for one pass at a time. */
static int share(const struct serve_host *h, struct serve_options *o, struct err *e)
{
	uint64_t taken = 0, *most = &o->compute.memory_max;
	for (size_t i = h->count; i-- > 0;) {
		const struct engine *m = serve_engine_of(h->service[i]);
		if (!m)
			continue;
		o->with = h->service[i];
		taken += engine_info(m)->weight_bytes;
	}
	if (o->models > 1)
		o->compute.cache_bytes /= o->models;
	if (*most && *most <= taken)
		return err_set(e, ERR_NOMEM,
			       "the models before it take %llu bytes, all of the %llu that are "
			       "allowed (--memory)",
			       (unsigned long long)taken, (unsigned long long)*most);
	*most -= *most ? taken : 0;
	return 0;
}

int serve_host_add(struct serve_host *h, const struct serve_options *o, struct err *e)
{
	struct serve_options mine = *o;
	struct serve_service *s;
	TRY(check_place(h, o->model_name ? o->model_name : o->ref, e));
	int rc = share(h, &mine, e);
	if (rc == 0)
		rc = serve_service_open(&s, h->flow, &mine, e);
	if (rc != 0)
		return h->count ? err_prefix(e, "%s", o->model_name ? o->model_name : o->ref) : rc;
	return serve_host_take(h, s, e);
}

int serve_host_ready(struct serve_host *h, struct err *e)
{
	int rc = err_set(e, ERR_UNAVAILABLE, "no model is served");
	for (size_t i = 0; i < h->count && rc < 0; i++)
		rc = serve_service_ready(h->service[i], e);
	return rc;
}

void serve_host_measure(struct serve_host *h, struct measure_writer *w)
{
	serve_measures_write(h->service, h->count, w);
	if (h->count)
		serve_measures_log(h->flow, w);
}
