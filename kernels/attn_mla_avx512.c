#include "kernels/attn_mla_body.h"
