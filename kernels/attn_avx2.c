#include "kernels/attn_body.h"
