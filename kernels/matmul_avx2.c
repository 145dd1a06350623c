#include "kernels/matmul_body.h"
