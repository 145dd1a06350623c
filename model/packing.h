/* What the matrices of a model are packed to. */
#ifndef MODEL_PACKING_H
#define MODEL_PACKING_H

/* STORED keeps the file's type. Q8 and Q4 quantise in groups of 32 what is wide: attention and
 * feed-forward matrices, and the head (at least Q8). Router, norms, biases, sinks, the latents'
 * up-projections and embeddings stay as stored. */
enum model_packing { /* clang-format off */
	MODEL_PACKING_STORED, MODEL_PACKING_BF16, MODEL_PACKING_Q8, MODEL_PACKING_Q4
}; /* clang-format on */

#endif
