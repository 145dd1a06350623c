// An independent reader of our log: golang.org/x/mod/sumdb/{note,tlog} and nothing of ours.
//
//	witness LOG_DIR VKEY [RECEIPT]
//
// Checks the checkpoint's note, every tile, every entry's inclusion proof, consistency from every size to the
// whole (in steps), and a .tlog-proof. Exit status 1 with a sentence when anything is wrong.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

func refuse(format string, args ...interface{}) { must(fmt.Errorf(format, args...)) }

func hash(text string) (h tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(text)
	must(err)
	if len(raw) != len(h) {
		refuse("a hash has %d bytes", len(raw))
	}
	copy(h[:], raw)
	return
}

func openCheckpoint(signed []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	must(err)
	n, err := note.Open(signed, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		refuse("checkpoint of another form or origin: %q", n.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

type reader struct{ dir string }

func (r reader) Height() int { return 8 }

func (r reader) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (r reader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, t := range tiles {
		name := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		b, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			return nil, err
		}
		if len(b) != t.W*tlog.HashSize {
			refuse("%s: %d bytes", name, len(b))
		}
		data = append(data, b)
	}
	return data, nil
}

func entries(dir string, size int64) (all [][]byte) {
	for n := int64(0); n*256 < size; n++ {
		t := tlog.Tile{H: 8, L: 0, N: n, W: 256}
		if size-n*256 < 256 {
			t.W = int(size - n*256)
		}
		b, err := os.ReadFile(filepath.Join(dir, strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)))
		must(err)
		for i := 0; i < t.W; i++ {
			length := int(binary.BigEndian.Uint16(b))
			all = append(all, b[2:2+length])
			b = b[2+length:]
		}
		if len(b) != 0 {
			refuse("bundle %d goes on after its entries", n)
		}
	}
	return
}

func checkReceipt(path, vkey string, all [][]byte) {
	text, err := os.ReadFile(path)
	must(err)
	at := bytes.Index(text, []byte("\n\n"))
	if at < 0 {
		refuse("receipt without a blank line")
	}
	head, checkpoint := strings.Split(string(text[:at]), "\n"), text[at+2:]
	if head[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(head[1], "index ") {
		refuse("receipt of another form")
	}
	index, err := strconv.ParseInt(head[1][len("index "):], 10, 64)
	must(err)
	var proof tlog.RecordProof
	for _, line := range head[2:] {
		proof = append(proof, hash(line))
	}
	tree := openCheckpoint(checkpoint, vkey)
	must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(all[index])))
}

func main() {
	if len(os.Args) < 3 {
		refuse("usage: witness LOG_DIR VKEY [RECEIPT]")
	}
	dir, vkey := os.Args[1], os.Args[2]
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(err)
	tree := openCheckpoint(signed, vkey)
	hashes := tlog.TileHashReader(tree, reader{dir}) // checks every tile it reads against the tree's hash
	all := entries(dir, tree.N)
	for i, entry := range all {
		proof, err := tlog.ProveRecord(tree.N, int64(i), hashes)
		must(err)
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)))
	}
	for n := int64(1); n < tree.N; n += 7 {
		old, err := tlog.TreeHash(n, hashes)
		must(err)
		proof, err := tlog.ProveTree(tree.N, n, hashes)
		must(err)
		must(tlog.CheckTree(proof, tree.N, tree.Hash, n, old))
	}
	if len(os.Args) > 3 {
		checkReceipt(os.Args[3], vkey, all)
	}
	fmt.Printf("%d entries proven\n", len(all))
}
