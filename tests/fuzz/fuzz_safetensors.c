/* The header of a safetensors file: any bytes are either refused or give ranges that tile the file. */
#include "base/check.h"
#include "model/tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct model_tensors *t;
	uint64_t header = 0, sum = 0;
	if (len < 9)
		return 0;
	/* The last byte stands for the size of a buffer that is not there. */
	uint64_t file_bytes = len - 1 + data[len - 1];
	if (model_tensors_parse(&t, "f", data, len - 1, file_bytes, NULL) < 0)
		return 0;
	for (int i = 7; i >= 0; i--)
		header = header << 8 | data[i];
	for (size_t i = 0; i < model_tensors_count(t); i++) {
		const struct model_tensor *w = model_tensors_at(t, i);
		check(w->begin >= header + 8 && w->begin + w->bytes <= file_bytes);
		check(model_tensors_find(t, w->name) == w);
		sum += w->bytes;
	}
	check(sum == file_bytes - header - 8);
	model_tensors_close(t);
	return 0;
}
