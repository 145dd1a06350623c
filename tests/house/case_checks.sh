#!/bin/bash
# The house checks accept this tree's rules and refuse one violation of each kind.
set -eu
top=$PWD
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"

fresh() {
	rm -rf ./* .ci .git
	mkdir -p .ci base audit flow tests/x
	cp "$top"/.ci/{layers,limits,words,storage,messages,symbols,layers.txt} .ci/
	printf '#include "base/text.h"\n' >base/err.h
	touch base/text.h base/text_table.h audit/tree.h flow/flow.h
	printf '#include "base/err.h"\n#include "audit/tree.h"\n' >audit/audit.h
	printf '#include "audit/audit.h"\n#include <stdio.h>\n' >flow/flow.c
	printf '#include "flow/flow.h"\n#include "audit/tree.h"\n' >tests/x/test_x.c
}
# shellcheck disable=SC2086
accepts() { # "CHECK [ARGUMENT]" WHAT
	.ci/$1 >out 2>&1 || { cat out; echo "$1 refused: $2"; exit 1; }
}
# shellcheck disable=SC2086
refuses() { # "CHECK [ARGUMENT]" WHAT SENTENCE
	if .ci/$1 >out 2>&1; then echo "$1 accepted: $2"; exit 1; fi
	grep -q -- "$3" out || { cat out; echo "$1 did not say \"$3\": $2"; exit 1; }
}

fresh; accepts layers "a lawful tree"; accepts limits "a small tree"; accepts words "a clean tree"

echo '#include "flow/flow.h"' >base/up.c; refuses layers "base uses flow" "base may not use flow"
fresh; echo '#include "audit/tree.h"' >flow/flow.c; refuses layers "a private header" "private to audit"
fresh; echo '#include "base/text_table.h"' >flow/flow.c; refuses layers "a private header" "private to base"
fresh; echo '#include "base/text.inc"' >flow/flow.c
refuses layers "a body of another room" "private to base"
fresh; echo '#include "flow/flow.h"' >audit/x.inc
refuses layers "a .inc that goes up" "audit may not use flow"
fresh; echo '#include "tree.h"' >audit/tree.c; refuses layers "a relative path" "ROOM/NAME.h"
fresh; echo '#include "base/err.h"' >base/text.h; refuses layers "a circle" "circle"
fresh; mkdir attic; touch attic/x.c; refuses layers "a folder that is no room" "in no room"
fresh; echo '#include "flow/flow.h"' >audit/x.cu; refuses layers "a .cu that goes up" "audit may not use flow"
fresh; sed -i 's/^base:/base: flow/' .ci/layers.txt; refuses layers "a circle of rooms" "not written above"
fresh; echo '#include "audit/tree.h"' >flow/flow.c
echo 'flow/flow.c audit/tree.h until the tree is public' >.ci/exceptions.txt; accepts layers "an exception"
echo 'flow/flow.c audit/tree.h' >.ci/exceptions.txt; refuses layers "an exception without reason" "no reason"
fresh; echo 'flow/flow.c audit/tree.h why' >.ci/exceptions.txt; refuses layers "a stale exception" "stale"

function_of() {
	printf 'int f(int a,\n      int b)\n{\n'; yes '	b++;' | head -n "$1"; printf '}\n'
}
fresh; { function_of 66; function_of 66; } >audit/a.c; accepts limits "functions of 70 lines"
function_of 67 >audit/a.c; refuses limits "a function of 71 lines" "function of 71 lines"
function_of 67 >audit/b.cu; refuses limits "a function of 71 lines in a .cu" "audit/b.cu:1: function of 71"
function_of 67 >audit/b.inc; refuses limits "a function of 71 lines in a .inc" "audit/b.inc:1: function of 71"
fresh; yes '/* */' | head -n 801 >audit/a.c; refuses limits "a long file" "limit is 800"
fresh; yes '/* */' | head -n 201 >audit/audit.h; refuses limits "a long public header" "public header"
fresh; yes '/* */' | head -n 201 >audit/tree.h; refuses limits "a public header's part" "audit.h: 203 lines"
echo '#include "base/err.h"' >audit/audit.h; accepts limits "a long private header"
fresh; yes '/* */' | head -n 201 >base/err.h; refuses limits "a collection's long header" "base/err.h: 201"
sed -i '1s/.*/\/* Private: *\//' base/err.h; accepts limits "a collection's private header"
fresh; yes '/* */' | head -n 150 | tee base/text.h >base/err.h; echo '#include "base/text.h"' >>base/err.h
accepts limits "two headers of a collection, each alone"
fresh; printf '// %097d\n' 0 >audit/a.c; accepts limits "100 characters"
fresh; printf '// %098d\n' 0 >audit/a.c; refuses limits "101 characters" "101 characters"
fresh; printf '// %096dä\n' 0 >audit/a.c; accepts limits "100 characters, one of two bytes"

fresh; accepts storage "a tree without a database"
echo 'x = "CREATE TABLE t(a BLOB) STRICT";' >base/store_sqlite.c; accepts storage "an engine's own file"
echo 'x = "CREATE TABLE t(a BLOB)";' >audit/a.c; refuses storage "a type of one engine" "audit/a.c:1"
echo 'x = "sqlite://a.db";' >audit/a.c; refuses storage "the name of an engine" "audit/a.c:1"
echo 'rc = store_open(&s, path, e);' >audit/a.c; refuses storage "another opener" "only flow/home.c"
mv audit/a.c flow/home.c; accepts storage "the one opener"

fresh; echo "/* TO""DO */" >audit/a.c; refuses words "a note to self" "audit/a.c:1"
fresh; echo "see ../sha""red/x" >audit/a.c; refuses words "a path of a machine" "audit/a.c:1"
fresh; echo 'mkdtemp("/tmp/XXXXXX")' >audit/a.c; accepts words "a template of mkdtemp"

table() { printf '/* %s\n *   key   one\n * %s */\n' "$1" "$2"; }
fresh; table "A format:" "  value      two" >audit/a.c; accepts limits "a table in a comment"
table "A format:" "value      two" >audit/a.c
refuses limits "a rewrapped table" "audit/a.c:3: a table, rewrapped"
table "A format: key      one" "two" >audit/a.c
refuses limits "a rewrapped first line" "audit/a.c:1: a table"
printf '/* A format:\n *   %088d\n * value two */\n' 0 >audit/a.c; accepts limits "a short row before text"
printf '/* A format:\n *   %091d\n * value two */\n' 0 >audit/a.c
refuses limits "a rewrapped row" "audit/a.c:3"
printf 'int a[] = {\n * b      c\n};\n' >audit/a.c; accepts limits "spaces outside a comment"

commit() { # SUBJECT LINES [BODY]
	git init -q; git config user.name x; git config user.email x; git config commit.gpgsign false
	git commit -q --allow-empty -m "anything At all."
	yes x | head -n "$2" >data; git add data; git commit -q -m "$1" ${3:+-m "$3"}
	sed -i "s/base=.*/base=$(git rev-parse HEAD~1)/" .ci/messages
}
export GIT_CONFIG_GLOBAL=/dev/null
fresh; accepts messages "a tree without history"; grep -q "^skipped: messages" out
fresh; commit "base: count the bytes" 19; accepts messages "a short change without body"
fresh; commit "base: count the bytes" 20
refuses messages "a long change without body" "20 lines changed and no body"
fresh; commit "base: count the bytes" 20 "They were lost."; accepts messages "a long change with a body"
fresh; commit "base: $(printf '%066d' 0 | tr 0 a)" 1; accepts messages "72 characters"
fresh; commit "base: $(printf '%067d' 0 | tr 0 a)" 1
refuses messages "73 characters" "73 characters"
fresh; commit "count the bytes" 1
refuses messages "a subject without room" "room: verb phrase"
fresh; commit "base: the bytes" 1
refuses messages "a subject without verb" "does not begin with a verb"
fresh; commit "base: count the bytes." 1
refuses messages "a sentence" "full stop"

archive() { # ROOM SYMBOL...
	local room=$1
	shift
	mkdir -p lib && rm -f "lib/lib$room.a"
	for s in "$@"; do echo "int $s(void); int $s(void) { return 1; }"; done >lib/x.c
	cc -c lib/x.c -o "lib/$room.o" && ar rcs "lib/lib$room.a" "lib/$room.o"
}
archives() {
	fresh
	printf 'base:\naudit: base\nflow: audit base\n' >.ci/layers.txt
	printf 'base: *\naudit: audit_ log_\nflow: flow_ main\n' >.ci/prefixes.txt
	archive base digest_of; archive audit audit_open log_head; archive flow flow_open main
}
archives; rm lib/libflow.a; accepts "symbols lib" "archives to be built"; grep -q "^skipped: symbols" out
archives; accepts "symbols lib" "lawful names"
archives; archive flow flow_open find_it
refuses "symbols lib" "a name of no room" "flow: find_it: does not carry"
archives; archive flow mainly
refuses "symbols lib" "a name that only begins like one" "flow: mainly"
archives; archive base run
refuses "symbols lib" "a bare word" "base: run: a bare word"
archives; archive base log_head
refuses "symbols lib" "one name in two rooms" "log_head: defined in audit and in base"
archives; echo 'flow: flow_ log_tree_ main' >>.ci/prefixes.txt
refuses "symbols lib" "one prefix of two rooms" "told apart"
archives; sed -i /^flow/d .ci/prefixes.txt
refuses "symbols lib" "a room without prefixes" "room flow has no line"
archives; archive flow find_it; echo 'find_it until it is renamed' >.ci/symbol-exceptions.txt
accepts "symbols lib" "an exception"
echo find_it >.ci/symbol-exceptions.txt
refuses "symbols lib" "an exception without reason" "no reason"
archives; echo 'find_it why' >.ci/symbol-exceptions.txt
refuses "symbols lib" "a stale exception" "stale"
