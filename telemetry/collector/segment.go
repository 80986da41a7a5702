package collector

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	_ "modernc.org/sqlite" // the driver
)

const (
	segmentSuffix = ".sqlite"
	damagedSuffix = ".damaged"
)

// segment is a file with the blocks of a stretch of time.
type segment struct {
	path  string
	made  time.Time // of its name
	db    *sql.DB
	bytes int64 // the store's mutex guards this
	gone  bool  // dropped or set aside; and this

	packed, hashes []byte // what write works in
}

// schema: the bodies stand in a table of their own, so that what a search looks at first lies close together.
const schema = `
CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS block (
	id INTEGER PRIMARY KEY, signal INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
	longest INTEGER NOT NULL, worst INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS traces (block INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS body (block INTEGER PRIMARY KEY, sum INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS grams (block INTEGER PRIMARY KEY, bits BLOB NOT NULL);
`

// formatVersion is that of the schema and of what is in the blobs.
const formatVersion = 1

// errFormat is returned for a file that a newer version wrote.
var errFormat = errors.New("its format is newer than this program")

// openSegment opens a file, or makes it.
func openSegment(ctx context.Context, path string) (*segment, error) {
	pragmas := url.Values{"_pragma": {
		"page_size(16384)", "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-1024)", "wal_autocheckpoint(256)",
	}}
	name := url.URL{Scheme: "file", Opaque: strings.ReplaceAll((&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), "?", "%3f"), RawQuery: pragmas.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(3)
	db.SetMaxIdleConns(1)
	s := &segment{path: path, db: db}
	var ms int64
	if _, err := fmt.Sscanf(filepath.Base(path), "%d"+segmentSuffix, &ms); err == nil {
		s.made = time.UnixMilli(ms)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.bytes = s.measure()
	return s, nil
}

func (s *segment) prepare(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	var version int
	err := s.db.QueryRowContext(ctx, "SELECT version FROM format").Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = s.db.ExecContext(ctx, "INSERT INTO format VALUES (?)", formatVersion)
	case err == nil && version > formatVersion:
		err = errFormat
	}
	return err
}

// measure returns how large its files are.
func (s *segment) measure() (bytes int64) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if fi, err := os.Stat(s.path + suffix); err == nil {
			bytes += fi.Size()
		}
	}
	return bytes
}

// blocks reads what blocks there are.
func (s *segment) blocks(ctx context.Context) ([]*block, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id, signal, count, first, last, longest, worst, size FROM block ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*block
	for rows.Next() {
		b := &block{seg: s, sealed: true}
		if err := rows.Scan(&b.id, &b.signal, &b.count, &b.first, &b.last, &b.longest, &b.worst, &b.size); err != nil {
			return nil, err
		}
		if b.signal > logs || b.count <= 0 {
			return nil, errBlock
		}
		b.saved = b.count
		list = append(list, b)
	}
	return list, rows.Err()
}

// write writes blocks, of which some may have been written before, when they had fewer records.
func (s *segment) write(ctx context.Context, list []block) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for i := range list {
		b := &list[i]
		s.packed = s2.Encode(s.packed[:cap(s.packed)], b.content)
		s.hashes = s.hashes[:0]
		for _, h := range b.traces {
			s.hashes = binary.LittleEndian.AppendUint32(s.hashes, h)
		}
		if _, err := tx.ExecContext(ctx, "REPLACE INTO block VALUES (?,?,?,?,?,?,?,?)",
			b.id, b.signal, b.count, b.first, b.last, b.longest, b.worst, b.size); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "REPLACE INTO body VALUES (?,?,?)", b.id, crc32.Checksum(s.packed, castagnoli), s.packed); err != nil {
			return err
		}
		if len(s.hashes) > 0 {
			if _, err := tx.ExecContext(ctx, "REPLACE INTO traces VALUES (?,?)", b.id, s.hashes); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// content reads the content of a block.
func (s *segment) content(ctx context.Context, b *block) ([]byte, error) {
	var sum uint32
	var packed sql.RawBytes
	rows, err := s.db.QueryContext(ctx, "SELECT sum, content FROM body WHERE block = ?", b.id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, errors.Join(errBlock, rows.Err())
	}
	if err := rows.Scan(&sum, &packed); err != nil {
		return nil, err
	}
	if crc32.Checksum(packed, castagnoli) != sum {
		return nil, errBlock
	}
	if n, err := s2.DecodedLen(packed); err != nil || n != b.size {
		return nil, errBlock
	}
	content, err := s2.Decode(nil, packed)
	if err != nil {
		return nil, errBlock
	}
	return content, nil
}

// withTraces returns which blocks may have records of traces, of those with IDs in [from, to].
func (s *segment) withTraces(ctx context.Context, sorted []uint32, from, to int64) (map[int64]bool, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT block, hashes FROM traces WHERE block BETWEEN ? AND ?", from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := make(map[int64]bool)
	for rows.Next() {
		var id int64
		var hashes sql.RawBytes
		if err := rows.Scan(&id, &hashes); err != nil {
			return nil, err
		}
		for ; len(hashes) >= 4; hashes = hashes[4:] {
			if hasHash(sorted, binary.LittleEndian.Uint32(hashes)) {
				ids[id] = true
				break
			}
		}
	}
	return ids, rows.Err()
}

// grams reads what text is in a block; nil where that was not written yet.
func (s *segment) grams(ctx context.Context, id int64) (*grams, error) {
	var packed []byte
	err := s.db.QueryRowContext(ctx, "SELECT bits FROM grams WHERE block = ?", id).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := new(grams)
	if n, err := s2.DecodedLen(packed); err != nil || n != len(g) {
		return nil, errBlock
	}
	_, err = s2.Decode(g[:], packed)
	return g, err
}

// unindexed returns the blocks of which no grams were written.
func (s *segment) unindexed(ctx context.Context) ([]int64, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id FROM block WHERE id NOT IN (SELECT block FROM grams)")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// writeGrams writes the grams of blocks.
func (s *segment) writeGrams(ctx context.Context, list map[int64]*grams) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for id, g := range list {
		if _, err := tx.ExecContext(ctx, "REPLACE INTO grams VALUES (?,?)", id, s2.Encode(nil, g[:])); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// close closes the file. What is in the log that stands beside it goes into it.
func (s *segment) close() error { return s.db.Close() }

// remove closes the file and deletes it.
func (s *segment) remove() error {
	err := s.db.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if e := os.Remove(s.path + suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// setAside gives a file that cannot be read another name, and its log, too.
func setAside(path string) error {
	var err error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if e := os.Rename(path+suffix, path+damagedSuffix+suffix); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
