/* The generated table of UTS #39 confusables: see confusables.awk for the form of a line. */
#ifndef FILTERS_CONFUSABLES_TABLE_H
#define FILTERS_CONFUSABLES_TABLE_H

extern const char confusables_version[];
extern const char *const confusables_line[]; /* NULL-terminated; entries do not cross lines */
extern const unsigned confusables_count;

#endif
