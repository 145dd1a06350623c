#include "kernels/rows_body.h"
