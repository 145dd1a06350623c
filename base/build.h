/* What this program was built from. */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

#define BUILD_VERSION "0.1.0"

/* "hallmark-VERSION+sha256:HEX", in every record as engine_build. HEX is the SHA-256 of what
 * `sha256sum` prints for the Makefile and all sources of the rooms, in the order of the bytes of
 * their names: anybody who has the sources can compute it, wherever they lie. Compiler and flags
 * are not in it. Static storage. */
const char *build_id(void);

#endif
