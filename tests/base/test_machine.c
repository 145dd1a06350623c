/* What the machine says of itself. */
#include "base/machine.h"

#include <criterion/criterion.h>
#include <string.h>

Test(base_machine, the_processors_name_is_printable_and_cut_to_the_room_it_has)
{
	char name[64], cut[4], one[1] = { 'x' };
	machine_processor(name, sizeof name);
	for (size_t i = 0; name[i]; i++)
		cr_expect(name[i] >= ' ' && name[i] <= '~');
	cr_expect(name[0] != ' ');
	machine_processor(cut, sizeof cut);
	cr_expect(strlen(cut) < sizeof cut && strncmp(name, cut, strlen(cut)) == 0);
	machine_processor(one, sizeof one);
	cr_expect_eq(one[0], '\0');
}
