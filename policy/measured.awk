# policy/measured.txt -> the C source of policy_measured_list (policy/rules.h).
function fail(text) {
	print FILENAME ":" FNR ": " text >"/dev/stderr"
	failed = 1
	exit 1
}
BEGIN { print "#include \"policy/rules.h\"\n\nconst struct policy_measured policy_measured_list[] = {" }
/^#/ || NF == 0 { next }
NF != 5 || split($1, name, "/") != 2 || $2 $3 $4 $5 name[2] !~ /^[0-9]+$/ {
	fail("expected NAME/VERSION and four numbers")
}
$3 > $2 || $5 > $4 { fail("more found than there are") }
{ printf "\t{ \"%s\", %d, %d, %d, %d, %d },\n", name[1], name[2], $2, $3, $4, $5 }
END { if (!failed) print "\t{ NULL, 0, 0, 0, 0, 0 },\n};" }
