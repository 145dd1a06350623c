#include "kernels/attn.inc"
