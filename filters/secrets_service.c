/* Secrets of services: chat, mail, payment, maps, monitoring, office. */
#include "filters/secret.h"

const struct secret_kind filter_secrets_service[] = {
	{ NULL, 0, NULL, NULL, 0, 0, NULL, SECRET_TAIL_NONE, NULL, NULL, NULL },
};
