// Logcheck checks the files of a pgcredit log with packages that pgcredit's
// authors did not write: golang.org/x/mod/sumdb/note and .../sumdb/tlog.
//
//	logcheck DIR
//
// DIR holds any of these; what is not there is not checked, and the last line
// says how many of each were, so that a caller can see that none was forgotten:
//
//	vkey                the log's public key (must be there)
//	witness-vkeys       public keys of witnesses, one a line; each of them must
//	                    have cosigned the file "checkpoint"
//	checkpoint          a signed checkpoint
//	N.checkpoint        signed checkpoints of N entries
//	OLD-NEW.consistency proof from OLD.checkpoint to NEW.checkpoint, one hash a line
//	X.tlog-proof        with the entry, to the byte, in X.entry
//	tile/               C2SP tlog-tiles of "checkpoint": every entry bundle must be
//	                    there, and every tile, and all must give its root
//
// It prints a line "ok FILE" or "not ok FILE: why" for each and then
//
//	checked 1 checkpoint, 4 checkpoints, 6 proofs, 10 consistency, 300 entries, 4 tiles
//
// and exits with 0 when every line is ok, else with 1.
//
// Build: GO111MODULE=off GOPATH=/usr/share/gocode go build logcheck.go
// (Debian: golang-go golang-golang-x-mod-dev).
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A cosigner is a note.Verifier for cosignature/v1, which x/mod does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed witness key")
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(data) != 1+ed25519.PublicKeySize || data[0] != 4 {
		return nil, errors.New("witness key is not of type 4")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), data...))
	hash := binary.BigEndian.Uint32(sum[:4])
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("id of the witness key is wrong")
	}
	return &cosigner{parts[0], hash, ed25519.PublicKey(data[1:])}, nil
}

type checkpoint struct {
	size int64
	root tlog.Hash
}

var (
	dir       string
	logKey    note.Verifier
	witnesses []note.Verifier
	failed    bool
)

// parseCheckpoint verifies the log's signature, and those of all witnesses too
// when it is told to.
func parseCheckpoint(data []byte, cosigned bool) (*checkpoint, error) {
	n, err := note.Open(data, note.VerifierList(append([]note.Verifier{logKey}, witnesses...)...))
	if err != nil {
		return nil, err
	}
	signed := map[string]bool{}
	for _, sig := range n.Sigs {
		signed[fmt.Sprintf("%s+%08x", sig.Name, sig.Hash)] = true
	}
	need := []note.Verifier{logKey}
	if cosigned {
		need = append(need, witnesses...)
	}
	for _, v := range need {
		if !signed[fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash())] {
			return nil, fmt.Errorf("not signed by %s", v.Name())
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" {
		return nil, errors.New("not a checkpoint")
	}
	if lines[0] != logKey.Name() {
		return nil, fmt.Errorf("origin %q is not the name of the key", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return nil, fmt.Errorf("size %q", lines[1])
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return nil, err
	}
	return &checkpoint{size, root}, nil
}

func parseHash(s string) (h tlog.Hash, err error) {
	data, err := base64.StdEncoding.DecodeString(s)
	if err == nil && len(data) != len(h) {
		err = fmt.Errorf("hash %q has %d bytes", s, len(data))
	}
	copy(h[:], data)
	return h, err
}

func parseHashes(lines []string) ([]tlog.Hash, error) {
	hashes := []tlog.Hash{}
	for _, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

func readCheckpoint(name string, cosigned bool) (*checkpoint, error) {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	return parseCheckpoint(data, cosigned)
}

func checkNumbered(name string) error {
	c, err := readCheckpoint(name, false)
	if err != nil {
		return err
	}
	if strconv.FormatInt(c.size, 10)+".checkpoint" != name {
		return fmt.Errorf("it is of size %d", c.size)
	}
	return nil
}

func checkConsistency(name string) error {
	sizes := strings.SplitN(strings.TrimSuffix(name, ".consistency"), "-", 2)
	if len(sizes) != 2 {
		return errors.New("file name is not OLD-NEW.consistency")
	}
	older, err := readCheckpoint(sizes[0]+".checkpoint", false)
	if err != nil {
		return err
	}
	newer, err := readCheckpoint(sizes[1]+".checkpoint", false)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	hashes := []tlog.Hash{}
	if len(data) > 0 {
		if hashes, err = parseHashes(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")); err != nil {
			return err
		}
	}
	if older.size == 0 {
		// tlog.CheckTree takes no empty tree; tlog-witness takes it with no proof.
		if len(hashes) != 0 || older.root != tlog.Hash(sha256.Sum256(nil)) {
			return errors.New("from size 0 the proof is empty")
		}
		return nil
	}
	return tlog.CheckTree(hashes, newer.size, newer.root, older.size, older.root)
}

func checkProof(name string) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	entry, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(name, ".tlog-proof")+".entry"))
	if err != nil {
		return err
	}
	i := bytes.Index(data, []byte("\n\n"))
	if i < 0 {
		return errors.New("no empty line")
	}
	c, err := parseCheckpoint(data[i+2:], false)
	if err != nil {
		return err
	}
	lines := strings.Split(string(data[:i]), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a tlog-proof@v1")
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return errors.New("no index")
	}
	index, err := strconv.ParseInt(lines[0][len("index "):], 10, 64)
	if err != nil || index < 0 {
		return fmt.Errorf("line %q", lines[0])
	}
	hashes, err := parseHashes(lines[1:])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, c.size, c.root, index, tlog.RecordHash(entry))
}

// tilePath is the C2SP name of a tile; tlog's own has the height in it.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
}

// bundlePath is the name of the entry bundle beside a tile of level 0.
func bundlePath(t tlog.Tile) string {
	return "tile/entries/" + strings.TrimPrefix(tilePath(t), "tile/0/")
}

func readBundle(t tlog.Tile) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, bundlePath(t)))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s is cut short", bundlePath(t))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end])
		data = data[end:]
	}
	if len(entries) != t.W {
		return nil, fmt.Errorf("%s has %d entries", bundlePath(t), len(entries))
	}
	return entries, nil
}

// tilesOf lists the tiles of a tree, level by level.  tlog.NewTiles would give
// every width of the unfinished ones in older versions.
func tilesOf(size int64) (all []tlog.Tile) {
	for level := 0; size > 0; level++ {
		for n := int64(0); n*256 < size; n++ {
			width := size - n*256
			if width > 256 {
				width = 256
			}
			all = append(all, tlog.Tile{H: 8, L: level, N: n, W: int(width)})
		}
		size /= 256
	}
	return all
}

// checkTiles builds the whole tree from the entry bundles, in memory, and
// compares the root and each tile with it.
func checkTiles(c *checkpoint) (entries int64, tiles int, err error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			list[i] = stored[index]
		}
		return list, nil
	})
	all := tilesOf(c.size)
	for _, t := range all {
		if t.L > 0 {
			break
		}
		bundle, err := readBundle(t)
		if err != nil {
			return entries, tiles, err
		}
		for _, entry := range bundle {
			hashes, err := tlog.StoredHashes(entries, entry, reader)
			if err != nil {
				return entries, tiles, err
			}
			stored = append(stored, hashes...)
			entries++
		}
	}
	root, err := tlog.TreeHash(c.size, reader)
	if err != nil {
		return entries, tiles, err
	}
	if root != c.root {
		return entries, tiles, errors.New("the entries have another root than the checkpoint")
	}
	for _, t := range all {
		want, err := tlog.ReadTileData(t, reader)
		if err != nil {
			return entries, tiles, err
		}
		got, err := os.ReadFile(filepath.Join(dir, tilePath(t)))
		if err != nil {
			return entries, tiles, err
		}
		if !bytes.Equal(got, want) {
			return entries, tiles, fmt.Errorf("%s is another tile", tilePath(t))
		}
		tiles++
	}
	return entries, tiles, nil
}

func readKeys() error {
	data, err := os.ReadFile(filepath.Join(dir, "vkey"))
	if err != nil {
		return err
	}
	if logKey, err = note.NewVerifier(strings.TrimSuffix(string(data), "\n")); err != nil {
		return err
	}
	data, err = os.ReadFile(filepath.Join(dir, "witness-vkeys"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, line := range strings.Fields(string(data)) {
		w, err := newCosigner(line)
		if err != nil {
			return err
		}
		witnesses = append(witnesses, w)
	}
	return nil
}

func report(name string, err error) {
	if err != nil {
		fmt.Printf("not ok %s: %v\n", name, err)
		failed = true
	} else {
		fmt.Printf("ok %s\n", name)
	}
}

func checkEach(pattern string, check func(string) error) int {
	paths, _ := filepath.Glob(filepath.Join(dir, pattern))
	for _, path := range paths {
		report(filepath.Base(path), check(filepath.Base(path)))
	}
	return len(paths)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: logcheck DIR")
		os.Exit(2)
	}
	dir = os.Args[1]
	if err := readKeys(); err != nil {
		fmt.Fprintln(os.Stderr, "logcheck:", err)
		os.Exit(2)
	}
	newest, entries, tiles := 0, int64(0), 0
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); err == nil {
		c, err := readCheckpoint("checkpoint", true)
		report("checkpoint", err)
		newest++
		if _, missing := os.Stat(filepath.Join(dir, "tile")); missing == nil && err == nil {
			entries, tiles, err = checkTiles(c)
			report("tile", err)
		}
	}
	numbered := checkEach("*.checkpoint", checkNumbered)
	proofs := checkEach("*.tlog-proof", checkProof)
	consistency := checkEach("*.consistency", checkConsistency)
	fmt.Printf("checked %d checkpoint, %d checkpoints, %d proofs, %d consistency, %d entries, %d tiles\n",
		newest, numbered, proofs, consistency, entries, tiles)
	if failed {
		os.Exit(1)
	}
}
