/* The cache of the Hugging Face hub, whose snapshots are folders of links. */
#ifndef BASE_HUB_CACHE_H
#define BASE_HUB_CACHE_H

#include "base/err.h"

/* A folder that is a snapshot of a cached repository, or lies in one:
 *
 *     CACHE/models--ORG--NAME/snapshots/REVISION/FILE -> ../../blobs/ETAG
 *     CACHE/models--ORG--NAME/blobs/ETAG                 the content, or -> ../../blobs/AB/HASH
 *     CACHE/blobs/AB/HASH                                the content, shared by repositories
 *
 * Its links are followed when they end in a regular file of the repository or of the shared store,
 * at most 8 of them in a row.  Source: "Hub Local Cache" of the hub's documentation, and
 * huggingface_hub 2.4, utils/_shared_blobs.py. */
struct hub_cache;

/* dir: absolute, without links in it (realpath). *out NULL: the folder is no snapshot. */
int hub_cache_find(struct hub_cache **out, const char *dir, struct err *e) MUST_USE;
void hub_cache_close(struct hub_cache *c); /* NULL is fine */

/* Open the relative name below the snapshot for reading, by way of its links. Each step is opened
 * from its parent's descriptor with O_NOFOLLOW and we read the text of a link, so that nothing
 * put in place meanwhile leads elsewhere. Never blocks on a FIFO; the kind of *fd is not checked.
 * ERR_UNSUPPORTED: a link that leads out of the cache, to a folder, in a circle or to nothing, with
 * the remedy; ERR_INPUT: no plain name; ERR_NOTFOUND. */
int hub_cache_open(const struct hub_cache *c, const char *name, int *fd, struct err *e) MUST_USE;

#endif
