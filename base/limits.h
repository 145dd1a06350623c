/* Every input has a cap; one line of reason each. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stddef.h>

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

#define LIMIT_PATH_BYTES 4096    /* PATH_MAX of Linux */
#define LIMIT_NAME_BYTES 255     /* one path component, one tensor or rule name component */
#define LIMIT_JSON_DEPTH 32      /* no format of ours nests deeper than 12 */
#define LIMIT_JSON_BYTES MIB(64) /* the largest tokenizer.json in the field is 33 MB */
#define LIMIT_SAFETENSORS_HEADER 100000000u /* the format's own limit */
#define LIMIT_SAFETENSORS_DEPTH 4           /* header, tensor, shape: the format needs 3 */
#define LIMIT_GGUF_HEADER MIB(256) /* the largest in the field, with its vocabulary, has 16 MB */
#define LIMIT_GGUF_VALUES (1u << 22) /* of metadata: three a token and the merges are 1,400,000 */
#define LIMIT_TENSORS 1000000u              /* 61 layers x 384 experts x 6 tensors is 140,544 */
#define LIMIT_TOML_BYTES MIB(16)            /* a literal bank of 100,000 terms */
#define LIMIT_BUNDLE_BYTES MIB(64)          /* a policy of that size and its packs, as JSON */
#define LIMIT_TOML_DEPTH 64                 /* nested arrays and inline tables */
#define LIMIT_REQUEST_BYTES MIB(8)          /* a long context as JSON */
#define LIMIT_REQUEST_DEPTH 512             /* of it: a hundred schemas in schemas, and unions */
#define LIMIT_RETAINED_BYTES MIB(4)         /* of it kept for replay: a million tokens of prose */
#define LIMIT_MESSAGES 4096u                /* turns of one conversation, each scanned alone */
#define LIMIT_ENTRY_BYTES 65535u            /* u16 length in an entry bundle */
#define LIMIT_MANIFEST_BYTES MIB(128)       /* cosign's own limit for what it signs */
#define LIMIT_FILES 100000u                 /* files in one release */
#define LIMIT_TEMPLATE_BYTES MIB(1)         /* the largest chat template in the field is 20 KB */
#define LIMIT_CONTEXT_TOKENS 1048576u       /* positions of one sequence */
#define LIMIT_THREADS 256u                  /* workers of one engine */
#define LIMIT_EXPRESSION_BYTES KIB(64)    /* of a tokenizer: those of releases have up to 5 KiB */
#define LIMIT_CONSTRAINT_BYTES MIB(1)       /* a schema or grammar that comes with a request */
#define LIMIT_CONSTRAINT_REGEX_BYTES KIB(64) /* a regular expression */
#define LIMIT_CONSTRAINT_NESTING 100        /* groups in groups, schemas in schemas */
#define LIMIT_CONSTRAINT_REPEAT 10000u      /* counts, of characters or items */
#define LIMIT_CONSTRAINT_NODES (1u << 19)   /* parts of a constraint while it is compiled: 30 MB */
#define LIMIT_CONSTRAINT_STATES (1u << 16)   /* of a regular language: more than counts go to */
#define LIMIT_CONSTRAINT_CELLS (1u << 22)    /* states times classes of characters: 16 MB */
#define LIMIT_CONSTRAINT_COMPILE (1u << 27)  /* steps for the languages of one: 2 s */
#define LIMIT_CONSTRAINT_DEPTH 400u         /* rules within rules while an answer is matched */
#define LIMIT_CONSTRAINT_ITEMS 4096u        /* ways of reading an answer that are kept at once */
#define LIMIT_CONSTRAINT_WORK (1u << 25)    /* steps for one mask: half a second */
#define LIMIT_CONSTRAINT_CACHE MIB(16)      /* states of one constraint, and as much for masks */
#define LIMIT_CONSTRAINTS_BYTES MIB(256)    /* of all that are open: each has a share of it */
#define LIMIT_SKETCH_BYTES MIB(512)         /* of a model: 512 blocks of 256 units take 180 MB */
#define LIMIT_BAN_BYTES KIB(8)              /* banned strings of one answer: 1 KiB of memory each */

#endif
