/* The one object that is compiled anew for every change of any source: the Makefile gives
 * BUILD_SOURCES, so that no other object (and no cache of compilations) depends on it. */
#include "base/build.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *build_id(void) { return "hallmark-" BUILD_VERSION "+sha256:" TEXT(BUILD_SOURCES); }
