/* Lists of operations that are run many times: one launch after the other, a graph of them, or one
 * kernel (step.cu). Attention that this kernel has no registers for stands by itself between two
 * launches of it, in a graph: two launches a layer then. */
#include "kernels/device_step.h"
#include "kernels/device_runtime.h"

#include <stdlib.h>

/* Of the way KERNEL: operations that one launch of it runs, or one with a launch of its own. */
struct part {
	uint32_t first, count;
	bool alone;
	uint32_t blocks;
	size_t shared;
};

struct steps {
	enum device_steps_way way;
	uint32_t count, parts;
	struct step_record *record; /* [count] */
	struct part *part;          /* [parts] */
	cudaGraphExec_t graph;      /* of the ways GRAPH and AHEAD, and of more than one part */
	void *at;                   /* of KERNEL: in device memory, records and the barrier */
	bool latent;                /* KERNEL: which */
};

/* Give all to the stream; a launch that follows another one may begin ahead of its end, but not of
 * what is cuBLAS's, which need not be a kernel. */
static int launch_all(const struct steps *s, void *stream, bool ahead)
{
	int error = 0;
	for (uint32_t i = 0; i < s->count && error == 0; i++) {
		device_launch_ahead =
			ahead && i > 0 && s->record[i - 1].operation != DEVICE_product_dense;
		error = device_operations[s->record[i].operation].run(stream, s->record[i].args);
	}
	device_launch_ahead = false;
	return error;
}

/* The barrier is that of all parts, which run one after the other. */
static int launch_part(const struct steps *s, const struct part &p, void *stream)
{
	const struct step_record &first = s->record[p.first];
	struct step_list list = {};
	if (p.alone)
		return device_operations[first.operation].run(stream, first.args);
	memcpy(&list.batch, first.args, sizeof list.batch);
	list.record = (const struct step_record *)s->at + p.first;
	list.barrier = (uint32_t *)((struct step_record *)s->at + s->count);
	list.count = p.count;
	return step_launch(device_stream_of(stream), list, s->latent, p.blocks, p.shared);
}

static int launch_parts(const struct steps *s, void *stream)
{
	int error = 0;
	for (uint32_t i = 0; i < s->parts && error == 0; i++)
		error = launch_part(s, s->part[i], stream);
	return error;
}

/* A capture that was begun is ended whatever comes, or the stream would be of no more use. */
static int make_graph(struct steps *s, void *stream)
{
	cudaGraph_t graph = nullptr;
	cudaStream_t at = device_stream_of(stream);
	int error = cudaStreamBeginCapture(at, cudaStreamCaptureModeThreadLocal);
	if (error != cudaSuccess)
		return error;
	if (s->way == DEVICE_STEPS_KERNEL)
		error = launch_parts(s, stream);
	else
		error = launch_all(s, stream, s->way == DEVICE_STEPS_AHEAD);
	cudaError_t ended = cudaStreamEndCapture(at, &graph);
	error = error != 0 ? error : ended;
	if (error == 0)
		error = cudaGraphInstantiate(&s->graph, graph, 0);
	if (graph != nullptr)
		cudaGraphDestroy(graph);
	return error;
}

/* Attention alone may stand by itself: of many rows all products would, and gain nothing. */
static int find_parts(struct steps *s)
{
	s->part = (struct part *)calloc(s->count, sizeof *s->part);
	if (!s->part)
		return cudaErrorMemoryAllocation;
	for (uint32_t i = 0; i < s->count; i++)
		s->latent |= step_is_latent(s->record[i]);
	for (uint32_t i = 0; i < s->count; i++) {
		int error = step_takes(s->record[i], s->latent);
		bool alone =
			error == cudaErrorNotSupported && s->record[i].operation == DEVICE_attend;
		if (error != 0 && !alone)
			return error;
		if (s->parts == 0 || alone || s->part[s->parts - 1].alone)
			s->part[s->parts++] = { i, 0, alone, 0, 0 };
		s->part[s->parts - 1].count++;
	}
	return 0;
}

static int plan_parts(struct steps *s)
{
	int error = find_parts(s);
	for (uint32_t i = 0; i < s->parts && error == 0; i++) {
		struct part &p = s->part[i];
		if (!p.alone)
			error = step_plan(s->record + p.first, p.count, s->latent, &p.blocks,
					  &p.shared);
	}
	return error;
}

static int make_kernel(struct steps *s, void *stream)
{
	size_t bytes = s->count * sizeof *s->record;
	cudaStream_t at = device_stream_of(stream);
	int error = plan_parts(s);
	if (error == 0) {
		error = cudaMalloc(&s->at, bytes + sizeof(uint32_t));
		cudaGetLastError(); /* or the next launch would answer for this */
	}
	if (error == 0)
		error = cudaMemcpyAsync(s->at, s->record, bytes, cudaMemcpyHostToDevice, at);
	if (error == 0)
		error = cudaMemsetAsync((char *)s->at + bytes, 0, sizeof(uint32_t), at);
	return error == 0 && s->parts > 1 ? make_graph(s, stream) : error;
}

int device_steps_end(void *steps)
{
	struct steps *s = (struct steps *)steps;
	if (s->graph)
		cudaGraphExecDestroy(s->graph);
	int error = s->at ? cudaFree(s->at) : cudaSuccess;
	free(s->record);
	free(s->part);
	delete s;
	return error;
}

/* One batch for all: KERNEL copies it once. */
static bool take_steps(struct steps *s, const struct device_step *step)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct step_record *r = &s->record[i];
		if (step[i].operation >= DEVICE_OPERATION_COUNT)
			return false;
		memcpy(r->args, step[i].args, device_operations[step[i].operation].args_bytes);
		r->operation = step[i].operation;
		if (memcmp(r->args, s->record[0].args, sizeof(void *)) != 0)
			return false;
	}
	return true;
}

int device_steps_make(void *stream, const struct device_step *step, uint32_t count,
		      enum device_steps_way way, void **out)
{
	struct steps *s = new struct steps();
	s->way = way;
	s->count = count;
	s->record = (struct step_record *)calloc(count, sizeof *s->record);
	int error = !s->record             ? cudaErrorMemoryAllocation
		    : !take_steps(s, step) ? cudaErrorInvalidValue
					   : cudaSuccess;
	if (error == 0 && way == DEVICE_STEPS_KERNEL)
		error = make_kernel(s, stream);
	else if (error == 0 && way != DEVICE_STEPS_LAUNCHES)
		error = make_graph(s, stream);
	if (error != 0)
		device_steps_end(s);
	else
		*out = s;
	return error;
}

int device_steps_go(void *stream, void *steps)
{
	const struct steps *s = (const struct steps *)steps;
	if (s->way == DEVICE_STEPS_LAUNCHES)
		return launch_all(s, stream, false);
	if (s->graph == nullptr)
		return launch_parts(s, stream);
	return cudaGraphLaunch(s->graph, device_stream_of(stream));
}
