#!/bin/sh
# A log that we wrote, read by Go's sumdb packages: note, tiles, every inclusion proof, a receipt; then the
# same log with one byte changed in an entry, a tile and the checkpoint, which Go must refuse.
# peer: golang.org/x/mod/sumdb
set -eu
packages=/usr/share/gocode
command -v go >/dev/null || { echo "skipped: no go on PATH"; exit 77; }
[ -d $packages/src/golang.org/x/mod/sumdb/tlog ] || { echo "skipped: no golang-golang-x-mod-dev"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GO111MODULE=off GOFLAGS= GOPATH=$packages GOTOOLCHAIN=local
export GOCACHE="$BUILD/peers/go-cache" HOME="$work"
go build -o "$work/witness" tests/audit/go/witness.go
mkdir "$work/site"
if ! WITNESS_DIR=$work/site "$BUILD/test/audit" --filter 'audit_witness/*' -j1 >"$work/out" 2>&1; then
	cat "$work/out"
	exit 1
fi
vkey=$(cat "$work/site/vkey")
"$work/witness" "$work/site/log" "$vkey" "$work/site/300.tlog-proof"
cp -r "$work/site/log" "$work/log"
for file in checkpoint tile/0/000 tile/0/002.p/* tile/entries/001 tile/1/000.p/*; do
	name=$(cd "$work/log" && for f in $file; do echo "$f"; done | sort -V | tail -n 1)
	printf '\377' | dd of="$work/log/$name" bs=1 seek=60 conv=notrunc 2>/dev/null
	if "$work/witness" "$work/log" "$vkey" >/dev/null 2>&1; then
		echo "Go accepted a changed $name"
		exit 1
	fi
	cp "$work/site/log/$name" "$work/log/$name"
done
"$work/witness" "$work/log" "$vkey"
