/* The header of a safetensors file: any bytes are either refused or give ranges that tile the file. */
#include "base/check.h"
#include "engine/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct engine_tensors *t;
	uint64_t header = 0, sum = 0;
	if (len < 9)
		return 0;
	/* The last byte stands for the size of a buffer that is not there. */
	uint64_t file_bytes = len - 1 + data[len - 1];
	if (engine_tensors_parse(&t, "f", data, len - 1, file_bytes, NULL) < 0)
		return 0;
	for (int i = 7; i >= 0; i--)
		header = header << 8 | data[i];
	for (size_t i = 0; i < engine_tensors_count(t); i++) {
		const struct engine_tensor *w = engine_tensors_at(t, i);
		check(w->begin >= header + 8 && w->begin + w->bytes <= file_bytes);
		check(engine_tensors_find(t, w->name) == w);
		sum += w->bytes;
	}
	check(sum == file_bytes - header - 8);
	engine_tensors_close(t);
	return 0;
}
