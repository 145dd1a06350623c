#!/bin/sh
# The manifest of a release of ours verifies with the stock minisign tool, by key file and by key text, and
# no longer after one byte of manifest, signature or trusted comment changed; with another key it never does.
# peer: minisign
set -eu
command -v minisign >/dev/null || { echo "skipped: no minisign on PATH"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HALLMARK_HOME="$work/home" HOME="$work"
cp -r demo/model "$work/model"
"$BUILD/hallmark" key new --name k --models 'a/*' --quiet >/dev/null
"$BUILD/hallmark" key new --name other --quiet >/dev/null
"$BUILD/hallmark" release create "$work/model" --name a/model --version 1 --key k --quiet >/dev/null
"$BUILD/hallmark" key export k --format minisign >"$work/k.pub"
"$BUILD/hallmark" key export other --format minisign >"$work/other.pub"
file=$work/model.hallmark/manifest.json
sig=$file.minisig

accept() { minisign -V -q -m "$file" -x "$sig" "$@" || { echo "minisign refused: $*"; exit 1; }; }
refuse() {
	what=$1
	shift
	if minisign -V -q -m "$file" -x "$sig" "$@" >/dev/null 2>&1; then
		echo "minisign accepted $what"
		exit 1
	fi
}
# Replace one byte: change FILE OFFSET
change() { printf '~' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }

accept -p "$work/k.pub"
accept -P "$(tail -n 1 "$work/k.pub")"
minisign -V -H -q -m "$file" -x "$sig" -p "$work/k.pub"
refuse "another key" -p "$work/other.pub"
cp "$file" "$work/manifest" && cp "$sig" "$work/sig"
change "$file" 100
refuse "a changed manifest" -p "$work/k.pub"
cp "$work/manifest" "$file"
comment=$(grep -b '^trusted comment: ' "$sig" | cut -d: -f1)
change "$sig" $((comment + 18))
refuse "a changed trusted comment" -p "$work/k.pub"
cp "$work/sig" "$sig"
sed -i '2s/.\{4\}==*$/AAAA/' "$sig"
refuse "a changed signature" -p "$work/k.pub"
cp "$work/sig" "$sig"
accept -p "$work/k.pub"
