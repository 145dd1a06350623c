/* Private to flow/: what licences of models ask of what is made from them, as data, and what of it
 * a fork leaves out. No advice on law: what a declared licence says beside what a parent's says. */
#ifndef FLOW_LICENCE_H
#define FLOW_LICENCE_H

#include "base/digest.h"
#include "base/source.h"

#define FLOW_LICENCE_RULES "licences/1" /* the version of the table; it moves with every change */

/* What a licence asks, as bits. */
enum flow_duty {
	FLOW_DUTY_TEXT = 1 << 0,           /* its text goes along */
	FLOW_DUTY_NOTICE = 1 << 1,         /* notices go along */
	FLOW_DUTY_NAME = 1 << 2,           /* the name begins with `prefix` */
	FLOW_DUTY_SHOWN = 1 << 3,          /* `shown` is displayed */
	FLOW_DUTY_USE = 1 << 4,            /* restrictions of use are passed on, enforceable */
	FLOW_DUTY_NONCOMMERCIAL = 1 << 5,  /* no commercial use */
	FLOW_DUTY_SHARE_ALIKE = 1 << 6,    /* what is derived has the same licence */
	FLOW_DUTY_NO_DERIVATIVES = 1 << 7, /* nothing derived is published */
	FLOW_DUTY_SCALE = 1 << 8,   /* above a number of users or a revenue: ask, or display */
	FLOW_DUTY_OUTPUTS = 1 << 9, /* what it answers improves no other model, or by terms */
};

struct flow_licence {
	const char *name;       /* SPDX where it has one, else LicenseRef-... */
	const char *const *ids; /* as cards write it, in lower case; a "*" ends a beginning */
	unsigned weights,
		outputs; /* duties that flow to fine-tunes; to models trained on outputs */
	const char *prefix, *shown;
	const char *text;   /* words of the text itself, in lower case, single blanks; or NULL */
	const char *source; /* where the duties stand */
};
extern const struct flow_licence flow_licences[];
extern const size_t flow_licence_count;

/* By a card's license and license_name; NULL: none that is known. */
const struct flow_licence *flow_licence_of(const char *license, const char *license_name);

/* Licence and notice files of a folder. */
#define FLOW_LICENCE_FILES 8
struct flow_licence_texts {
	struct {
		char name[64];
		struct digest text;                 /* of its words with single blanks between */
		const struct flow_licence *licence; /* whose text it is; NULL: not known */
		bool notice;
	} file[FLOW_LICENCE_FILES];
	size_t files;
	uint64_t shown; /* bit i: `shown` of flow_licences[i] stands in README.md or a notice */
};
int flow_licence_read(struct flow_licence_texts *x, struct source *files, struct err *e) MUST_USE;

#endif
