#include "kernels/matmul_fp8.inc"
