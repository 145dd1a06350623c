/* The route table. What is not listed is 404, another method 405; what a route needs of its caller
 * is a column of the table. */
#include "server/routes.h"
#include "server/answers.h"

/* Stock clients ask again after 501, so it is 404 with a code of its own. A path that ends in a
 * slash goes on. */
#define LACKS(where, what)                                                \
	{                                                                 \
		.path = (where), .method = "POST", .needs = ACCESS_INFER, \
		.is_prefix = (where)[sizeof(where) - 2] == '/',           \
		.lacks = "not available in this version: " what           \
	}

static const struct route routes[] = {
	{ .path = "/health",
	  .method = "GET",
	  .place = ROUTE_BOTH,
	  .needs = ACCESS_OPEN,
	  .answer = server_answer_health },
	{ .path = "/ready",
	  .method = "GET",
	  .place = ROUTE_BOTH,
	  .needs = ACCESS_OPEN,
	  .answer = server_answer_ready },
	{ .path = "/metrics",
	  .method = "GET",
	  .place = ROUTE_BOTH,
	  .needs = ACCESS_METRICS,
	  .measures = true,
	  .answer = server_answer_metrics },
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
	{ .path = "/tokenize",
	  .method = "POST",
	  .needs = ACCESS_INFER,
	  .scope = ACCESS_TOKENIZE,
	  .answer = server_answer_tokenize },
	{ .path = "/detokenize",
	  .method = "POST",
	  .needs = ACCESS_INFER,
	  .scope = ACCESS_TOKENIZE,
	  .answer = server_answer_detokenize },
	{ .path = "/apply-template",
	  .method = "POST",
	  .needs = ACCESS_INFER,
	  .scope = ACCESS_TOKENIZE,
	  .answer = server_answer_template },
	{ .path = "/version",
	  .method = "GET",
	  .needs = ACCESS_INFER,
	  .answer = server_answer_version },
	LACKS("/v1/embeddings", "embeddings: a model here writes text and embeds none"),
	LACKS("/v1/moderations", "moderations: rules are a policy's, and filter what is asked"),
	LACKS("/v1/rerank", "rerank: a model here writes text and ranks none"),
	LACKS("/v1/audio/", "audio: a model here reads and writes text"),
	LACKS("/v1/images/", "images: a model here reads and writes text"),
	LACKS("/v1/files", "files: nothing is kept for a client"),
	LACKS("/v1/batches", "batches: nothing is kept for a client"),
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
