/* The route table. What is not listed is 404, another method 405; what a route needs of its caller
 * is a column of the table. */
#include "server/routes.h"
#include "server/answers.h"

static const struct route routes[] = {
	{ "/health", "GET", NEED_OPEN, false, API_CHAT, server_answer_health },
	{ "/v1/models", "GET", NEED_TOKEN, false, API_CHAT, server_answer_models },
	{ "/v1/models/", "GET", NEED_TOKEN, true, API_CHAT, server_answer_model },
	{ "/v1/chat/completions", "POST", NEED_TOKEN, false, API_CHAT, server_answer_chat },
	{ "/v1/receipts/", "GET", NEED_TOKEN, true, API_CHAT, server_answer_receipt },
};

const struct route *server_route_at(size_t i)
{
	return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}
