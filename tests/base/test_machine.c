/* What the machine says of itself. */
#include "base/machine.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

Test(base_machine, a_process_knows_its_memory_its_files_and_its_age)
{
	struct machine_process before, after;
	int fd[2];
	machine_process(&before);
	cr_assert_eq(pipe(fd), 0);
	machine_process(&after);
	cr_expect_eq(after.files, before.files + 2);
	close(fd[0]);
	close(fd[1]);
	cr_expect(before.files >= 3 && before.files <= before.files_max);
	cr_expect(before.resident_bytes > 500000 && before.resident_bytes < before.virtual_bytes);
	double now = (double)time(NULL);
	cr_expect(before.start_s > now - 3600 && before.start_s <= now + 1, "%f", before.start_s - now);
	cr_expect(before.processor_s >= 0 && after.processor_s >= before.processor_s);
}

Test(base_machine, a_disk_says_what_is_left_and_no_disk_says_nothing)
{
	uint64_t left = machine_disk("/tmp");
	cr_expect(left > 0 && left < UINT64_MAX);
	cr_expect_eq(machine_disk("/nowhere/at/all"), UINT64_MAX);
}
