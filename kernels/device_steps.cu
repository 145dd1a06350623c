/* Lists of operations that are run many times: one launch after the other, a graph of them, or one
 * kernel (step.cu). */
#include "kernels/device_step.h"
#include "kernels/device_runtime.h"

#include <stdlib.h>

struct steps {
	enum device_steps_way way;
	uint32_t count;
	struct step_record *record; /* [count] */
	cudaGraphExec_t graph;      /* of the ways GRAPH and AHEAD */
	void *at;                   /* of KERNEL: in device memory, records and the barrier */
	struct step_list list;
	uint32_t blocks;
	size_t shared;
};

/* Give all to the stream; a launch that follows another one may begin ahead of its end. */
static int launch_all(const struct steps *s, void *stream, bool ahead)
{
	int error = 0;
	for (uint32_t i = 0; i < s->count && error == 0; i++) {
		device_launch_ahead = ahead && i > 0;
		error = device_operations[s->record[i].operation].run(stream, s->record[i].args);
	}
	device_launch_ahead = false;
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
	error = launch_all(s, stream, s->way == DEVICE_STEPS_AHEAD);
	cudaError_t ended = cudaStreamEndCapture(at, &graph);
	error = error != 0 ? error : ended;
	if (error == 0)
		error = cudaGraphInstantiate(&s->graph, graph, 0);
	if (graph != nullptr)
		cudaGraphDestroy(graph);
	return error;
}

static int make_kernel(struct steps *s, void *stream)
{
	size_t bytes = s->count * sizeof *s->record;
	cudaStream_t at = device_stream_of(stream);
	int error = step_plan(s->record, s->count, &s->blocks, &s->shared);
	if (error == 0) {
		error = cudaMalloc(&s->at, bytes + sizeof(uint32_t));
		cudaGetLastError(); /* or the next launch would answer for this */
	}
	if (error == 0)
		error = cudaMemcpyAsync(s->at, s->record, bytes, cudaMemcpyHostToDevice, at);
	if (error == 0)
		error = cudaMemsetAsync((char *)s->at + bytes, 0, sizeof(uint32_t), at);
	memcpy(&s->list.batch, s->record[0].args, sizeof s->list.batch);
	s->list.record = (const struct step_record *)s->at;
	s->list.barrier = (uint32_t *)((char *)s->at + bytes);
	s->list.count = s->count;
	return error;
}

int device_steps_end(void *steps)
{
	struct steps *s = (struct steps *)steps;
	if (s->graph)
		cudaGraphExecDestroy(s->graph);
	int error = s->at ? cudaFree(s->at) : cudaSuccess;
	free(s->record);
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
	cudaStream_t at = device_stream_of(stream);
	if (s->way == DEVICE_STEPS_LAUNCHES)
		return launch_all(s, stream, false);
	if (s->way == DEVICE_STEPS_KERNEL)
		return step_launch(at, s->list, s->blocks, s->shared);
	return cudaGraphLaunch(s->graph, at);
}
