/* Private: the routes, as callbacks of libmicrohttpd. cls is the struct server. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include <microhttpd.h>

enum MHD_Result routes_answer(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **state);

void routes_completed(void *cls, struct MHD_Connection *connection, void **state,
		      enum MHD_RequestTerminationCode code);

#endif
