#include "kernels/act.inc"
