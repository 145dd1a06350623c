#include "kernels/attn.inc"
#include "kernels/index.inc"
