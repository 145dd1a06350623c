/* Names of files in a release: their rule, and a set that refuses names which could collide. */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A relative name with '/': UTF-8, no empty, "." or ".." component, no control byte, components of
 * at most 255 bytes, at most 64 of them. ERR_INPUT with the reason.  Source: OMS v1.0, and our
 * refusals beyond it. */
int name_check(const char *name, size_t len, struct err *e) MUST_USE;
/* Whether a name is in normal form C, as almost all are. */
bool name_composed(const char *name);

/* Names seen so far, with every folder above them, compared after NFC and case folding. */
struct names;
int names_open(struct names **out, struct err *e) MUST_USE;
/* Check the name and take it in as a file (or a folder). ERR_INPUT: the name itself, a duplicate,
 * one that differs only by case or normalisation, or a file where a folder is. */
int names_add(struct names *n, const char *name, bool folder, struct err *e) MUST_USE;
void names_close(struct names *n);

#endif
