/* The route table. What is not listed is 404, another method 405; what a route needs of its caller
 * is a column of the table. */
#include "server/routes.h"
#include "server/answers.h"

static const struct route routes[] = {
	{ .path = "/health",
	  .method = "GET",
	  .place = ROUTE_BOTH,
	  .needs = ACCESS_OPEN,
	  .answer = server_answer_health },
	{ .path = "/v1/models",
	  .method = "GET",
	  .needs = ACCESS_INFER,
	  .answer = server_answer_models },
	{ .path = "/v1/models/",
	  .method = "GET",
	  .needs = ACCESS_INFER,
	  .is_prefix = true,
	  .answer = server_answer_model },
	{ .path = "/v1/chat/completions",
	  .method = "POST",
	  .needs = ACCESS_INFER,
	  .scope = ACCESS_CHAT,
	  .answer = server_answer_chat },
	{ .path = "/v1/completions",
	  .method = "POST",
	  .needs = ACCESS_INFER,
	  .scope = ACCESS_COMPLETIONS,
	  .shape = API_COMPLETION,
	  .answer = server_answer_chat },
	{ .path = "/v1/receipts/",
	  .method = "GET",
	  .needs = ACCESS_INFER | ACCESS_RECEIPTS_ALL,
	  .is_prefix = true,
	  .answer = server_answer_receipt },
};

const struct route *server_route_at(size_t i)
{
	return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}
