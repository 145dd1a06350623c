/* Secrets of model providers. */
#include "filters/secret.h"

const struct secret_kind filter_secrets_ai[] = {
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
