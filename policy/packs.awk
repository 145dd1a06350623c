# policy/packs/packs.txt -> the C source of policy_pack_list (policy/rules.h): names, and texts of NAME.toml.
function fail(text) {
	print text >"/dev/stderr"
	failed = 1
	exit 1
}
BEGIN {
	print "#include \"policy/rules.h\"\n\nconst struct policy_pack policy_pack_list[] = {"
}
/^#/ || NF == 0 { next }
NF > 2 || (NF == 2 && $2 != "later") { fail(FILENAME ":" FNR ": expected NAME, or NAME later") }
NF == 2 { printf "\t{ \"packs/%s\", NULL },\n", $1; next }
{
	file = FILENAME
	sub(/[^\/]*$/, $1 ".toml", file)
	printf "\t{ \"packs/%s\",\n", $1
	lines = 0
	while ((got = (getline line <file)) > 0) {
		gsub(/[\\"]/, "\\\\&", line)
		printf "\t  \"%s\\n\"\n", line
		lines++
	}
	if (got < 0 || lines == 0) fail(file ": cannot be read, or is empty")
	close(file)
	print "\t},"
}
END {
	if (!failed) print "\t{ NULL, NULL },\n};"
}
