#include "kernels/delta.inc"
