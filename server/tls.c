/* New files are read as a whole and checked before they take the place of the old ones; a pair that
 * does not fit changes nothing. Connections keep what they began with. */
#include "server/tls.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file that is not there any more has no change: it is not read either. */
static struct tls_stamp stamp_of(const char *path)
{
	struct stat st;
	struct tls_stamp stamp = { 0 };
	if (path && stat(path, &st) == 0) {
		stamp.ino = st.st_ino;
		stamp.bytes = st.st_size;
		stamp.changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	}
	return stamp;
}

static bool has_changed(const struct tls_stamp *a, const struct tls_stamp *b)
{
	return a->ino != b->ino || a->bytes != b->bytes || a->changed_ns != b->changed_ns;
}

static void take_stamps(const struct server_tls *t, struct tls_stamp out[SERVER_TLS_FILES])
{
	for (int i = 0; i < SERVER_TLS_FILES; i++)
		out[i] = stamp_of(t->file[i]);
}

/* The files as they are now, in place of those before. The stamps are taken first: what changes
 * while they are read is seen at the next look. */
static int read_files(struct server *s, struct err *e)
{
	struct server_tls *t = &s->tls;
	const struct net_tls_files files = { t->file[0], t->file[1], t->file[2], t->file[3] };
	struct tls_stamp stamp[SERVER_TLS_FILES];
	struct net_tls *made, *before;
	take_stamps(t, stamp);
	TRY(net_tls_open(&made, &files, env_now_us(&s->env), e));
	if (*net_tls_note(made))
		fprintf(stderr, "hallmark: %s\n", net_tls_note(made));
	pthread_mutex_lock(&t->lock);
	before = t->now;
	t->now = made;
	memcpy(t->stamp, stamp, sizeof stamp);
	pthread_mutex_unlock(&t->lock);
	net_tls_close(before);
	return 0;
}

int server_tls_open(struct server *s, const struct server_options *o, struct err *e)
{
	const struct net_tls_files *f = &o->tls;
	const char *const path[SERVER_TLS_FILES] = { f->cert, f->key, f->client_ca, f->client_crl };
	bool any = false;
	for (int i = 0; i < SERVER_TLS_FILES; i++) {
		s->tls.file[i] = path[i] ? strdup(path[i]) : NULL;
		if (path[i] && !s->tls.file[i])
			return err_set(e, ERR_NOMEM, "out of memory for TLS");
		any |= path[i] != NULL;
	}
	return any ? read_files(s, e) : 0;
}

void server_tls_close(struct server *s)
{
	net_tls_close(s->tls.now);
	for (int i = 0; i < SERVER_TLS_FILES; i++)
		free(s->tls.file[i]);
}

struct net_tls *server_tls_share(struct server *s)
{
	pthread_mutex_lock(&s->tls.lock);
	struct net_tls *t = net_tls_share(s->tls.now);
	pthread_mutex_unlock(&s->tls.lock);
	return t;
}

int server_reload_tls(struct server *s, struct err *e)
{
	return s->tls.file[0] ? read_files(s, e) : 0;
}

/* A certificate and its key are two files: they are read once neither has changed for a second. */
void server_tls_watch(struct server *s)
{
	struct server_tls *t = &s->tls;
	struct tls_stamp now[SERVER_TLS_FILES];
	struct err e = { 0 };
	bool changed = false, settled = true;
	if (!t->file[0])
		return;
	take_stamps(t, now);
	pthread_mutex_lock(&t->lock);
	for (int i = 0; i < SERVER_TLS_FILES; i++) {
		changed |= has_changed(&now[i], &t->stamp[i]);
		settled &= !has_changed(&now[i], &t->looked[i]);
	}
	memcpy(t->looked, now, sizeof now);
	if (changed && settled) /* they are read once, whatever comes of it */
		memcpy(t->stamp, now, sizeof now);
	pthread_mutex_unlock(&t->lock);
	if (!changed || !settled)
		return;
	if (read_files(s, &e) < 0)
		fprintf(stderr, "hallmark: the TLS files that were changed are not taken: %s\n",
			e.text);
	else
		fputs("hallmark: the TLS files that were changed are taken\n", stderr);
}
