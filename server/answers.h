/* Private: what the routes answer. */
#ifndef SERVER_ANSWERS_H
#define SERVER_ANSWERS_H

#include "server/respond.h"

/* As struct route's answer. */
int server_answer_health(struct exchange *x) MUST_USE;
int server_answer_ready(struct exchange *x) MUST_USE;
int server_answer_metrics(struct exchange *x) MUST_USE;
int server_answer_models(struct exchange *x) MUST_USE; /* models.c */
int server_answer_model(struct exchange *x) MUST_USE;
int server_answer_tokenize(struct exchange *x) MUST_USE; /* answers_text.c */
int server_answer_detokenize(struct exchange *x) MUST_USE;
int server_answer_template(struct exchange *x) MUST_USE;
int server_answer_version(struct exchange *x) MUST_USE;
int server_answer_chat(struct exchange *x) MUST_USE; /* in every shape (chat.c) */
int server_answer_count(struct exchange *x) MUST_USE; /* of a message's prompt */
int server_answer_receipt(struct exchange *x) MUST_USE;
int server_answer_operate(struct exchange *x) MUST_USE; /* stop, pause, resume, drain */
int server_answer_reload(struct exchange *x) MUST_USE;
int server_answer_status(struct exchange *x) MUST_USE;

/* 200 with this document, which is freed. */
int server_answer_json(struct exchange *x, struct buf *body, const char *const *field) MUST_USE;
int server_answer_error(struct exchange *x, int status, const char *message) MUST_USE;

#endif
