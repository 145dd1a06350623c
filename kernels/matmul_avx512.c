#include "kernels/matmul.inc"
