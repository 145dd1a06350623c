/* Private to flow/: an audit under way, shared by the steps of flow/audit_fork.c, the lineage of
 * flow/fork_lineage.c and the report of flow/fork_report.c. */
#ifndef FLOW_FORK_AUDIT_H
#define FLOW_FORK_AUDIT_H

#include "flow/fork_findings.h"
#include "flow/fork.h"
#include "base/progress.h"
#include "flow/fork_model.h"
#include "forks/mix.h"

#define FLOW_KIN_MAX 16 /* relatives whose distances among each other are looked at */

/* What a related candidate is to the suspect. The measure of the weights does not tell: it is
 * symmetric. */
enum flow_direction {
	FLOW_UNRELATED, /* nothing to ask: the weights show no dependence */
	FLOW_PARENT,    /* the suspect descends from the candidate */
	FLOW_ANCESTOR,  /* it does so over one of the parents */
	FLOW_SIBLING,   /* both descend from one base */
	FLOW_CHILD,     /* the candidate descends from the suspect */
	FLOW_UNKNOWN,   /* related, and nobody says how */
};
const char *flow_direction_name(enum flow_direction d); /* NULL of FLOW_UNRELATED */

/* A registered content that the suspect is compared with. Its files are closed again: of many large
 * releases one is open at a time. */
struct flow_candidate {
	struct registry_release release; /* the first with this root */
	char name[330];
	json_t *models; /* all models that have a version with this root */
	bool declared;  /* the suspect's card names it */
	bool own;       /* the suspect is another version of the same model */
	int failed;     /* why it cannot be compared; 0: it was */
	struct err why;
	bool compared; /* result is filled */
	struct fork_comparison result;
	bool has_facts; /* its folder could be read */
	struct flow_fork_facts facts;
	struct flow_fork_measure measure;
	double log_p;         /* natural logarithm of its p-value; 0 where it has none */
	double log_threshold; /* Holm's, of that; NaN where it has none */
	json_t *comparison;   /* as in a report; NULL until compared */
	uint64_t identical;   /* tensors of the body */
	double own_share; /* of the suspect's body that is this one's and nobody else's, by values */
	bool ambiguous;   /* all that is the same in it, unrelated candidates have as well */
	enum fork_kin kin;             /* by the distances among the relatives */
	double weight;                 /* its share in a mix; NaN: none is known */
	struct flow_candidate *behind; /* the suspect lies between that one and this; or NULL */
	enum flow_direction direction;
	size_t place;      /* among the parents; SIZE_MAX: none of them */
	const char *basis; /* what tells the direction; NULL where nothing does */
	char base[330];    /* of a sibling: from what both descend, or "" */
};

struct flow_fork_audit {
	struct flow *flow;
	const char *asked; /* REF of the one candidate; NULL: every release that lies here */
	uint64_t seed;
	const json_t *only; /* as asked: flow.h */
	bool lists;
	struct flow_fork_model suspect;
	bool without_files; /* all that is left of it are its sketch and what its card declared */
	struct digest subject;             /* the suspect's root */
	json_t *known_as;                  /* the releases that have this root: "model@version" */
	uint64_t registered;               /* index of the first of them; UINT64_MAX: none */
	bool located;                      /* some release lies here, be it this one */
	struct flow_candidate **candidate; /* by evidence, the strongest first, once compared */
	size_t count;
	json_t *models;      /* the name of each release, here or not */
	json_t *unavailable; /* {name, reason}: whose files are gone or not what was registered */
	json_t *unjudged;    /* the same: that cannot be compared as they are */
	struct flow_candidate *family[FLOW_KIN_MAX]; /* the nearest relatives */
	size_t families;
	double *square;  /* [families + 1][families + 1] between these, the suspect last; or NULL */
	json_t *mix;     /* of what it was mixed, layer by layer; or NULL */
	json_t *adapter; /* of which candidate it is one; or NULL */
	struct pool *pool;
	struct progress bar;
	struct fork_sketch *sketch;     /* the suspect's */
	struct flow_candidate **parent; /* nearest first: of the candidates, as many as there are */
	size_t parents;
};

void flow_candidate_free(struct flow_candidate *c);
void flow_candidate_forget(
	struct flow_candidate *c); /* what it was compared to be; not its numbers */

/* fork_weigh.c: compare with every candidate; those that fail are named and left out. ERR_NOTFOUND:
 * all of them are gone. */
int flow_fork_weigh(struct flow_fork_audit *a, struct err *e) MUST_USE;
/* What lies beside a candidate's weights; closely: and its weights tensor by tensor. What cannot be
 * read is left as it was. */
int flow_fork_look(struct flow_fork_audit *a, struct flow_candidate *c, bool closely,
		   struct err *e) MUST_USE;

/* A candidate's files, as registered: a folder is only taken for the release that it holds. */
int flow_fork_open_candidate(const struct flow_fork_audit *a, const struct flow_candidate *c,
			     struct flow_fork_model *m, struct err *e) MUST_USE;

/* fork_beside.c: take back what identical tensors say where unrelated candidates have them too; the
 * shared components, appended to a list; of which candidate the suspect is an adapter, or NULL. */
int flow_fork_shared(struct flow_fork_audit *a, struct err *e) MUST_USE;
int flow_fork_components(const struct flow_fork_audit *a, json_t *list, struct err *e) MUST_USE;
int flow_fork_adapter_of(struct flow_fork_audit *a, json_t **out, struct err *e) MUST_USE;

/* fork_kin.c: how the nearest relatives stand to each other. */
int flow_fork_kin(struct flow_fork_audit *a, struct err *e) MUST_USE;
/* Whether m lies on the line between x and y (NULL: the suspect); false where that cannot be told.
 */
bool flow_fork_between(const struct flow_fork_audit *a, const struct flow_candidate *x,
		       const struct flow_candidate *m, const struct flow_candidate *y);

/* Whether the weights tie the candidate to the suspect: dependent, or most of the suspect's body is
 * the candidate's, value for value. */
bool flow_fork_related(const struct flow_candidate *c);

/* Relative change of the weights; infinite where none was measured. */
double flow_fork_distance(const struct flow_candidate *c);

/* Of a related one: whether nothing but the order of registration tells what it is. */
bool flow_fork_presumed(const struct flow_candidate *c);

/* After all were compared, corrected and ranked: who descends from whom, and which are the parents.
 */
int flow_fork_lineage(struct flow_fork_audit *a, struct err *e) MUST_USE;

/* Of a suspect whose files are gone: by its kept sketch, and what its entry has of its card.
 * ERR_NOTFOUND: no sketch is kept. */
int flow_fork_examine_kept(struct flow *f, const json_t *entry, uint64_t seed, json_t **report,
			   struct err *e) MUST_USE;

/* After that: whether it is one of the parents. */
bool flow_fork_is_parent(const struct flow_candidate *c);

/* The report of what was found; a new reference. */
int flow_fork_report(const struct flow_fork_audit *a, json_t **out, struct err *e) MUST_USE;

#endif
