/* Errors: a negative code for the program, a sentence for the person.
 *
 * A fallible function returns 0 (or a non-negative result) or one of these codes. Where a sentence
 * helps, its last parameter is a caller-owned `struct err *`, which may be NULL. Outcomes (denied,
 * blocked, does not match) are results, not errors; ERR_VERIFY and ERR_DENIED exist for the command
 * line's exit status. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
	ERR_INPUT = -1,       /* malformed or contradictory input */
	ERR_USAGE = -2,       /* the command line was wrong */
	ERR_VERIFY = -3,      /* checked, and wrong */
	ERR_DENIED = -4,      /* policy says no */
	ERR_NOTFOUND = -5,    /* no such thing */
	ERR_CONFLICT = -6,    /* exists already, or changed under us */
	ERR_UNAVAILABLE = -7, /* busy, full, or shutting down: try again; or not on this machine */
	ERR_UNSUPPORTED = -8, /* understood, and refused by name */
	ERR_IO = -9,          /* the system failed us */
	ERR_NOMEM = -10,      /* out of memory, or over a memory limit */
};

struct err {
	int code;       /* enum err_code, 0 when unset */
	char text[600]; /* one sentence, UTF-8, no newline: what was expected, what was found, what
			   to do */
	/* For programs that ask over a protocol; unset by err_set. */
	const char *kind; /* a word of the protocol's; NULL: none. Static */
	char at[96];      /* the member of the input that it is about; "": none */
};

/* Record code and sentence in e (may be NULL). Returns code: `return err_set(...)` is one line. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set, with strerror(errno) appended; ENOENT gives ERR_NOTFOUND, ENOMEM ERR_NOMEM, others
 * ERR_IO. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#ifdef __clang_analyzer__ /* sees one file at a time: tell it that these never return 0 */
#define err_set(e, code, ...) ((err_set)(e, code, __VA_ARGS__), (code))
#define err_errno(e, ...) ((err_errno)(e, __VA_ARGS__), ERR_IO)
#endif

/* Say of the error in e what kind it is (may be NULL) and where it lies. Returns code: `return
 * err_at(e, err_set(e, ERR_INPUT, ...), "invalid_type", "%s", name)`. */
int err_at(struct err *e, int code, const char *kind, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Put "context: " before the sentence in e and return its code (ERR_IO if e is NULL or unset). A
 * sentence that begins with the context already, or with a path in it, stays as it is. */
int err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The sentence for a code without one ("out of memory"). Static storage. */
const char *err_name(int code);

/* Exit status of the program for a result: 0 ok, 1 error, 2 usage, 3 verify, 4 denied, 5 not found,
 * 6 conflict, 7 unavailable. Non-negative results give 0. */
int err_exit_status(int code);

/* Leave the function with a negative result. */
#define TRY(call)                           \
	do {                                \
		int try_result_ = (call);   \
		if (try_result_ < 0)        \
			return try_result_; \
	} while (0)
/* The same for a function that has something to give back: it declares int rc and ends in one
 * `out:` label. */
#define TRY_OUT(call)             \
	do {                      \
		rc = (call);      \
		if (rc < 0)       \
			goto out; \
	} while (0)

#endif
