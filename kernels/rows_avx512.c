#include "kernels/rows.inc"
