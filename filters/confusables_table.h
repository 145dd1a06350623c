/* The generated table of UTS #39 confusables: see confusables.awk for the form of a line. */
#ifndef FILTERS_CONFUSABLES_TABLE_H
#define FILTERS_CONFUSABLES_TABLE_H

extern const char filter_confusables_version[];
/* NULL-terminated; entries do not cross lines */
extern const char *const filter_confusables_line[];
extern const unsigned filter_confusables_count;

#endif
