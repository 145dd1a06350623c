#include "kernels/matmul_int.inc"
