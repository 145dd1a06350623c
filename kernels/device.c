/* The CPU's side of the GPU: find the library, check it, and turn its numbers into sentences. */
#include "kernels/device.h"
#include "base/check.h"
#include "kernels/choice.h"
#include "kernels/device_table.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libhallmark_cuda.so"

struct device {
	const struct device_table *table;
	void *library;
	uint32_t which;
	struct device_facts facts;
	struct device_choice choice;
};

struct device_stream {
	struct device *device;
	void *at;
};

/* ---- opening ---- */

/* folder/up/LIBRARY, folder being the program's; false if no such file can be read. */
static bool beside_program(char *path, size_t room, const char *up)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	if (len <= 0)
		return false;
	self[len] = '\0';
	char *slash = strrchr(self, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return (size_t)snprintf(path, room, "%s/%s" LIBRARY, self, up) < room &&
	       access(path, R_OK) == 0;
}

static int find_library(char *path, size_t room, const char *named, struct err *e)
{
	if (named == NULL)
		named = getenv("HALLMARK_CUDA");
	if (named != NULL && *named != '\0') {
		/* a slash, or dlopen would search for it */
		int len = snprintf(path, room, "%s%s", strchr(named, '/') ? "" : "./", named);
		if (len < 0 || (size_t)len >= room || access(path, R_OK) != 0)
			return err_set(e, ERR_NOTFOUND, "no device found: cannot read %.300s",
				       named);
		return 0;
	}
	if (beside_program(path, room, "") || beside_program(path, room, "../lib/"))
		return 0;
	return err_set(e, ERR_NOTFOUND,
		       "no device found: no " LIBRARY " beside the program or in ../lib "
		       "(make cuda builds it, HALLMARK_CUDA names another)");
}

static int load(struct device *d, const char *path, struct err *e)
{
	/* NODELETE: the CUDA runtime in it leaves handlers that run at exit */
	d->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (d->library == NULL)
		return err_set(e, ERR_UNSUPPORTED, "%s", dlerror());
	device_table_function *table = NULL;
	void *symbol = dlsym(d->library, DEVICE_TABLE_SYMBOL);
	memcpy(&table, &symbol, sizeof table); /* ISO C has no cast from data to function */
	if (table == NULL)
		return err_set(e, ERR_UNSUPPORTED, "%.300s: has no " DEVICE_TABLE_SYMBOL, path);
	d->table = table();
	if (d->table->version != DEVICE_TABLE_VERSION)
		return err_set(e, ERR_UNSUPPORTED,
			       "%.300s: interface version %u, expected %d: build both together",
			       path, d->table->version, DEVICE_TABLE_VERSION);
	return 0;
}

static int start(struct device *d, struct err *e)
{
	int error = d->table->open(d->which, &d->facts);
	if (error == d->table->old_driver && d->facts.driver == 0)
		return err_set(e, ERR_NOTFOUND,
			       "no device found: no NVIDIA driver is installed here (install the "
			       "GPU's, or compute with --device cpu)");
	if (error == d->table->old_driver)
		return err_set(e, ERR_UNSUPPORTED,
			       "the NVIDIA driver is too old: it is for CUDA %u.%u, the library "
			       "needs %u.%u: %s",
			       d->facts.driver / 1000, d->facts.driver % 1000 / 10,
			       d->facts.runtime / 1000, d->facts.runtime % 1000 / 10,
			       d->table->why(error));
	if (error != 0)
		return d->which > 0 ? err_set(e, ERR_NOTFOUND, "no device found: GPU %u: %s",
					      d->which, d->table->why(error))
				    : err_set(e, ERR_NOTFOUND, "no device found: %s",
					      d->table->why(error));
	char known[100] = "";
	for (const uint32_t *c = d->table->capability; *c != 0; c++) {
		if (*c / 10 == d->facts.capability / 10 && *c <= d->facts.capability)
			return 0;
		size_t len = strlen(known);
		snprintf(known + len, sizeof known - len, "%s%u.%u", len > 0 ? ", " : "", *c / 10,
			 *c % 10);
	}
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: %.100s (compute capability %u.%u; the "
		       "library has code for %s)",
		       d->facts.name, d->facts.capability / 10, d->facts.capability % 10, known);
}

int device_open_at(struct device **out, const char *library, uint32_t which, struct err *e)
{
	char path[4096];
	TRY(find_library(path, sizeof path, library, e));
	struct device *d = calloc(1, sizeof *d);
	if (d == NULL)
		return err_set(e, ERR_NOMEM, "%s", err_name(ERR_NOMEM));
	d->which = which;
	int rc = load(d, path, e);
	if (rc == 0)
		rc = start(d, e);
	if (rc < 0) {
		device_close(d);
		return rc;
	}
	device_choice_open(path, &d->facts, &d->choice);
	*out = d;
	return 0;
}

bool device_expected(void)
{
	const char *named = getenv("HALLMARK_CUDA");
	return (named != NULL && *named != '\0') || access("/dev/nvidiactl", F_OK) == 0 ||
	       access("/dev/dxg", F_OK) == 0;
}

void device_close(struct device *d)
{
	if (d != NULL && d->library != NULL)
		dlclose(d->library);
	free(d);
}

const struct device_facts *device_info(const struct device *d) { return &d->facts; }
const struct device_choice *device_choices(const struct device *d) { return &d->choice; }

int device_supports(const struct device *d, const char *operation, struct err *e)
{
	for (uint32_t i = 0; i < d->table->operations; i++) {
		if (strcmp(operation, d->table->operation[i].name) == 0)
			return 0;
	}
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: %.60s on the GPU",
		       operation);
}

/* The library's functions, for this device: the runtime keeps one for each thread. */
static const struct device_table *entered(const struct device *d)
{
	(void)d->table->enter(d->which); /* what fails, the call that follows says */
	return d->table;
}

/* error 0: nothing happened */
static int answer(const struct device *d, int error, const char *what, struct err *e)
{
	if (error == 0)
		return 0;
	if (d->table->lost(error))
		return err_set(e, ERR_UNAVAILABLE, "the GPU %.100s was lost: %s: %s", d->facts.name,
			       what, d->table->why(error));
	int code = error == d->table->out_of_memory ? ERR_NOMEM
		   : error == d->table->unsupported ? ERR_UNSUPPORTED
						    : ERR_IO;
	return err_set(e, code, "%.100s: %s: %s", d->facts.name, what, d->table->why(error));
}

/* ---- memory ---- */

int device_alloc(struct device *d, size_t bytes, struct device_buffer *out, struct err *e)
{
	char what[60];
	check(bytes > 0);
	snprintf(what, sizeof what, "allocate %zu bytes", bytes);
	void *at = NULL;
	TRY(answer(d, entered(d)->alloc(&at, bytes), what, e));
	*out = (struct device_buffer){ d, at, bytes };
	return 0;
}

void device_free(struct device_buffer *b)
{
	if (b->device != NULL)
		entered(b->device)->free(b->at);
	*b = (struct device_buffer){ 0 };
}

int device_memory(const struct device *d, uint64_t *bytes, struct err *e)
{
	*bytes = 0;
	return answer(d, entered(d)->memory(bytes), "memory", e);
}

int device_pinned(struct device *d, size_t bytes, void **out, struct err *e)
{
	char what[60];
	check(bytes > 0);
	snprintf(what, sizeof what, "%zu bytes of host memory", bytes);
	return answer(d, entered(d)->pinned(out, bytes), what, e);
}

void device_pinned_free(struct device *d, void *at)
{
	if (at)
		entered(d)->pinned_free(at);
}

/* ---- streams ---- */

int device_stream_open(struct device *d, struct device_stream **out, struct err *e)
{
	struct device_stream *s = calloc(1, sizeof *s);
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "%s", err_name(ERR_NOMEM));
	s->device = d;
	int rc = answer(d, entered(d)->stream_open(&s->at), "open a stream", e);
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void device_stream_close(struct device_stream *s)
{
	if (s != NULL)
		entered(s->device)->stream_close(s->at);
	free(s);
}

int device_wait(struct device_stream *s, struct err *e)
{
	return answer(s->device, entered(s->device)->wait(s->at), "wait", e);
}

static char *part(const struct device_stream *s, const struct device_buffer *b, size_t offset,
		  size_t bytes)
{
	check(b->device == s->device && offset <= b->bytes && bytes <= b->bytes - offset);
	return (char *)b->at + offset;
}

int device_upload(struct device_stream *s, const struct device_buffer *to, size_t offset,
		  const void *from, size_t bytes, struct err *e)
{
	char *at = part(s, to, offset, bytes);
	return answer(s->device, entered(s->device)->copy(s->at, DEVICE_UP, at, from, bytes),
		      "upload", e);
}

int device_download(struct device_stream *s, void *to, const struct device_buffer *from,
		    size_t offset, size_t bytes, struct err *e)
{
	const char *at = part(s, from, offset, bytes);
	return answer(s->device, entered(s->device)->copy(s->at, DEVICE_DOWN, to, at, bytes),
		      "download", e);
}

int device_copy(struct device_stream *s, const struct device_buffer *to,
		const struct device_buffer *from, size_t bytes, struct err *e)
{
	char *at = part(s, to, 0, bytes);
	const char *source = part(s, from, 0, bytes);
	return answer(s->device, entered(s->device)->copy(s->at, DEVICE_WITHIN, at, source, bytes),
		      "copy", e);
}

int device_fill(struct device_stream *s, const struct device_buffer *to, uint8_t byte,
		struct err *e)
{
	char *at = part(s, to, 0, to->bytes);
	return answer(s->device, entered(s->device)->fill(s->at, at, byte, to->bytes), "fill", e);
}

int device_clock_start(struct device_stream *s, struct err *e)
{
	return answer(s->device, entered(s->device)->clock_start(s->at), "clock", e);
}

int device_clock_stop(struct device_stream *s, double *us, struct err *e)
{
	return answer(s->device, entered(s->device)->clock_stop(s->at, us), "clock", e);
}

/* ---- operations ---- */

int device_run(struct device_stream *s, enum device_operation o, const void *args, struct err *e)
{
	const struct device_table *t = entered(s->device);
	check(o < t->operations);
	int error = t->operation[o].run(s->at, args);
	check(error != t->invalid);
	return answer(s->device, error, t->operation[o].name, e);
}

bool device_dense_version(const struct device *d, char *out, size_t room)
{
	return d->table->dense_version(out, room);
}

int device_dense_open(struct device_stream *s, struct err *e)
{
	return answer(s->device, entered(s->device)->dense_open(s->at), "begin with cuBLAS", e);
}

/* ---- lists of operations ---- */

struct device_steps {
	struct device_stream *stream;
	void *at;
};

int device_steps_open(struct device_stream *s, const struct device_step *step, uint32_t count,
		      enum device_steps_way way, struct device_steps **out, struct err *e)
{
	const struct device_table *t = entered(s->device);
	check(count > 0);
	struct device_steps *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, ERR_NOMEM, "%s", err_name(ERR_NOMEM));
	l->stream = s;
	int error = t->steps_open(s->at, step, count, way, &l->at);
	check(error != t->invalid);
	int rc = answer(s->device, error, "prepare a list of operations", e);
	if (rc < 0)
		free(l);
	else
		*out = l;
	return rc;
}

int device_steps_run(struct device_steps *l, struct err *e)
{
	const struct device_table *t = entered(l->stream->device);
	return answer(l->stream->device, t->steps_run(l->stream->at, l->at),
		      "run a list of operations", e);
}

void device_steps_close(struct device_steps *l)
{
	if (l)
		entered(l->stream->device)->steps_close(l->at);
	free(l);
}

int device_ask(struct device_stream *s, const struct device_probe *p, struct err *e)
{
	int error = entered(s->device)->probe(s->at, p);
	check(error != s->device->table->invalid);
	return answer(s->device, error, "probe", e);
}
