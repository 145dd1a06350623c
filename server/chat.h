/* Private: the answer to a chat completion. */
#ifndef SERVER_CHAT_H
#define SERVER_CHAT_H

#include "server/respond.h"

/* As struct route's answer. */
int server_chat_answer(struct exchange *x) MUST_USE;

#endif
