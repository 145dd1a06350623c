/* Private to flow/: an audit under way, shared by the steps of flow/audit_fork.c, the lineage of
 * flow/fork_lineage.c and the report of flow/fork_report.c. */
#ifndef FLOW_FORK_AUDIT_H
#define FLOW_FORK_AUDIT_H

#include "flow/fork_findings.h"
#include "flow/fork_model.h"

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
	struct flow_fork_facts facts;
	struct flow_fork_measure measure;
	double log_p;         /* natural logarithm of its p-value; 0 where it has none */
	double log_threshold; /* Holm's, of that; NaN where it has none */
	json_t *comparison;   /* as in a report; NULL until compared */
	enum flow_direction direction;
	const char *basis; /* what tells the direction; NULL where nothing does */
	char base[330];    /* of a sibling: from what both descend, or "" */
};

struct flow_fork_audit {
	struct flow *flow;
	const char *asked; /* REF of the one candidate; NULL: every release that lies here */
	uint64_t seed;
	struct flow_fork_model suspect;
	struct digest subject;             /* the suspect's root */
	json_t *known_as;                  /* the releases that have this root: "model@version" */
	uint64_t registered;               /* index of the first of them; UINT64_MAX: none */
	bool located;                      /* some release lies here, be it this one */
	struct flow_candidate **candidate; /* by evidence, the strongest first, once compared */
	size_t count;
	json_t *models;      /* the name of each release, here or not */
	json_t *unavailable; /* {name, reason}: whose files are gone or not what was registered */
	json_t *unjudged;    /* the same: that cannot be compared as they are */
	struct flow_candidate **parent; /* nearest first: of the candidates, as many as there are */
	size_t parents;
};

/* Of a related one: whether nothing but the order of registration tells what it is. */
bool flow_fork_presumed(const struct flow_candidate *c);

/* After all were compared, corrected and ranked: who descends from whom, and which are the parents.
 */
int flow_fork_lineage(struct flow_fork_audit *a, struct err *e) MUST_USE;

/* The report of what was found; a new reference. */
int flow_fork_report(const struct flow_fork_audit *a, json_t **out, struct err *e) MUST_USE;

#endif
