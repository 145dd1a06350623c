/* Private keys and signed tokens. */
#include "filters/secret.h"

const struct secret_kind filter_secrets_key[] = {
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
