/* The table of forms: what a file says is read back, and a file of another device or library, or one with a
 * mistake, is refused with a sentence that names it. */
#include "kernels/choice.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct device_facts h200 = { .name = "NVIDIA H200", .capability = 90 };
static struct device_choice table;
static struct err e;

static char *file_of(const char *lines)
{
	static char text[2000];
	int len = device_choice_head(text, sizeof text, &h200);
	snprintf(text + len, sizeof text - (size_t)len, "%s", lines);
	return text;
}

Test(choice, every_form_is_written_and_read_back)
{
	static const enum device_operation both[] = { DEVICE_product, DEVICE_attend };
	for (size_t o = 0; o < 2; o++) {
		for (uint32_t f = 0; f < device_forms(both[o]); f++) {
			bool fast = strcmp(device_form_name(both[o], f), "cublas") == 0;
			struct device_choice_line l = { (uint8_t)both[o], KERNEL_CACHE_BF16,
				                        fast ? DEVICE_FAST : DEVICE_DENSE, (uint8_t)f, 8 };
			char line[200];
			device_choice_write(line, sizeof line, &l);
			cr_assert_eq(device_choice_parse(file_of(line), &h200, &table, &e), 0, "%s: %s", line,
				     e.text);
			cr_assert_eq(table.lines, 1);
			cr_assert_eq(memcmp(&table.line[0], &l, sizeof l), 0, "%s", line);
		}
	}
}

Test(choice, the_line_with_the_fewest_rows_that_are_enough_is_found)
{
	const char *lines = "# measured\n\nproduct bf16 experts 64 large-64\nproduct bf16 experts 8 narrow-one\n"
			    "product bf16 dense 1 narrow\nattend bf16 latent 4 queries-8\n";
	static const struct {
		enum device_operation operation;
		uint8_t format;
		enum device_class shapes;
		uint32_t rows;
		const char *form;
	} rows[] = {
		{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 1, "narrow-one" },
		{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 8, "narrow-one" },
		{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 9, "large-64" },
		{ DEVICE_product, KERNEL_BF16, DEVICE_EXPERTS, 65, "auto" },
		{ DEVICE_product, KERNEL_BF16, DEVICE_DENSE, 1, "narrow" },
		{ DEVICE_product, KERNEL_Q4, DEVICE_EXPERTS, 1, "auto" },
		{ DEVICE_attend, KERNEL_CACHE_BF16, DEVICE_LATENT, 1, "queries-8" },
		{ DEVICE_attend, KERNEL_CACHE_F32, DEVICE_LATENT, 1, "auto" },
	};
	cr_assert_eq(device_choice_parse(file_of(lines), &h200, &table, &e), 0, "%s", e.text);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint32_t f = device_choice_find(&table, rows[i].operation, rows[i].format, rows[i].shapes,
						rows[i].rows);
		cr_assert_str_eq(device_form_name(rows[i].operation, f), rows[i].form, "row %zu", i);
	}
}

Test(choice, a_file_of_another_device_or_library_is_refused_by_name)
{
	static const struct {
		const char *from, *to, *says;
	} changes[] = {
		{ "choice 1", "choice 2", "no table of choices" },
		{ "H200", "H100", "is of another device: \"device NVIDIA H100\", not \"device NVIDIA H200\"" },
		{ "capability 90", "capability 80", "another compute capability" },
		{ "library 1", "library 2", "is of another library" },
		{ "narrow", "broad", "line 5: \"product bf16 experts 8 broad\" is no choice" },
		{ "experts", "expert", "line 5" },
		{ "product bf16", "product bf61", "line 5" },
		{ "product bf16", "softmax bf16", "line 5" },
	};
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		char wrong[2000];
		const char *text = file_of("product bf16 experts 8 narrow\n"), *at = strstr(text, changes[i].from);
		cr_assert_not_null(at);
		snprintf(wrong, sizeof wrong, "%.*s%s%s", (int)(at - text), text, changes[i].to,
			 at + strlen(changes[i].from));
		device_choice_built_in(90, &table);
		uint32_t lines = table.lines;
		cr_assert_lt(device_choice_parse(wrong, &h200, &table, &e), 0, "%s", changes[i].to);
		cr_assert_not_null(strstr(e.text, changes[i].says), "%s", e.text);
		cr_assert_eq(table.lines, lines, "the table is as it was");
	}
}

Test(choice, a_library_is_opened_with_the_file_that_is_named_or_says_why_not)
{
	char path[] = "/tmp/choice.XXXXXX";
	int fd = mkstemp(path);
	const char *text = file_of("product bf16 experts 8 narrow-one\n");
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	device_choice_open("/nowhere/lib.so", &h200, &table);
	cr_assert_str_eq(table.said, "built in");
	setenv("HALLMARK_CUDA_CHOICE", path, 1);
	device_choice_open("/nowhere/lib.so", &h200, &table);
	cr_assert_str_eq(table.said, path);
	cr_assert_eq(table.lines, 1);
	struct device_facts other = { .name = "NVIDIA L4", .capability = 89 };
	device_choice_open("/nowhere/lib.so", &other, &table);
	cr_assert_not_null(strstr(table.said, "is of another device"), "%s", table.said);
	cr_assert_eq(strncmp(table.said, "built in: ", 10), 0);
	cr_assert_eq(table.lines, 0);
	unlink(path);
	device_choice_open("/nowhere/lib.so", &h200, &table);
	cr_assert_not_null(strstr(table.said, "cannot be read"), "%s", table.said);
	cr_assert_gt(table.lines, 0);
}

Test(choice, cublas_is_for_dense_products_of_the_fast_regime_alone)
{
	static const char *const refused[] = { "product bf16 dense 8 cublas\n", "product bf16 experts 8 cublas\n",
		                               "product bf16 fast 8 large-64\n", "attend bf16 fast 8 cublas\n" };
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		cr_expect_eq(device_choice_parse(file_of(refused[i]), &h200, &table, &e), ERR_INPUT, "%s", refused[i]);
	device_choice_built_in(90, &table);
	cr_expect_not(device_choice_cublas(&table, KERNEL_BF16, 512));
	cr_expect(device_choice_cublas(&table, KERNEL_BF16, 513));
	cr_expect(device_choice_cublas(&table, KERNEL_MXFP4, 2048));
	cr_expect_not(device_choice_cublas(&table, KERNEL_F32, 2048));
	cr_expect(device_choice_cublas(&table, KERNEL_FORMATS, 1024));
	const char *never = "product bf16 fast 1024 cublas\nproduct bf16 fast 4294967295 auto\n";
	cr_assert_eq(device_choice_parse(file_of(never), &h200, &table, &e), 0, "%s", e.text);
	cr_expect(device_choice_cublas(&table, KERNEL_BF16, 1024));
	cr_expect_not(device_choice_cublas(&table, KERNEL_FORMATS, 1025));
}
