/* Secrets known by where they stand: connection strings, headers, assignments. */
#include "filters/secret.h"

const struct secret_kind filter_secrets_generic[] = {
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
