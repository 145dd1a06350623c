#!/bin/bash
# docs/exit-codes.md is what the sources say, and a sentence that changes makes it stale.
set -eu
.ci/exit-codes --check
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
for room in */; do
	ls "$room"*.[ch] >/dev/null 2>&1 || continue
	mkdir "$copy/$room"
	cp "$room"*.[ch] "$copy/$room"
done
mkdir "$copy/.ci" "$copy/docs"
cp .ci/exit-codes "$copy/.ci"
cp docs/exit-codes.md "$copy/docs"
"$copy/.ci/exit-codes" --check
stale() {
	"$copy/.ci/exit-codes" --check >"$copy/said" && { echo "not seen: $1"; exit 1; }
	grep -q 'exit-codes >docs/exit-codes.md' "$copy/said"
	"$copy/.ci/exit-codes" >"$copy/docs/exit-codes.md"
}
sed -i 's/"no such record"/"no record of that number"/' "$copy"/audit/*.c
stale "another sentence"
grep -q '^- no record of that number$' "$copy/docs/exit-codes.md"
sed -i 's/ERR_NOTFOUND, "no record of that number"/ERR_VERIFY, "no record of that number"/' "$copy"/audit/*.c
stale "another code"
sed -n '/^## 3/,/^## 4/p' "$copy/docs/exit-codes.md" | grep -q '^- no record of that number$'
sed -i '/^## 5/,/^## 6/{/^- the folder is gone/d}' "$copy/docs/exit-codes.md"
stale "a line taken out"
