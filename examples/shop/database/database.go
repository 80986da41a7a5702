// Package database opens the SQLite files of the shop.
//
// A file may be open in several processes of one host at once: replicas of a service share it, and a replica that restarts finds what
// it wrote. The folder must not be on a network file system.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/sqltrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Settings say where a service keeps its file.
type Settings struct {
	Data string `desc:"folder of the database; default: $SHOP_DATA, else kontor in the user's cache folder"`
}

// Dir returns the folder that the settings name.
func (s Settings) Dir() (string, error) {
	if s.Data == "" {
		s.Data = os.Getenv("SHOP_DATA")
	}
	if s.Data != "" {
		return filepath.Abs(s.Data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the shop's files: %w; set SHOP_DATA", err)
	}
	return filepath.Join(cache, "kontor"), nil
}

// Open opens the file name.db in a folder, an absolute path that is made on demand, and runs the schema, which must not mind being run again. Its
// statements are told as those of a service.
func Open(ctx context.Context, dir, name, schema string, tells *telemetry.Service) (*sql.DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("shop's files: %w; set SHOP_DATA to a folder that can be written", err)
	}
	path := filepath.Join(dir, name+".db")
	options := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)",
		"journal_mode(WAL)",
		"synchronous(NORMAL)", // a crash of the process loses nothing, one of the machine at most the last moments
		"foreign_keys(1)",
	}}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: options.Encode()}
	if !strings.HasPrefix(file.Path, "/") { // C:/…
		file.Path = "/" + file.Path
	}
	db, err := sqltrace.Open("sqlite", file.String(), sqltrace.Options{Telemetry: tells, System: "sqlite", Namespace: name})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	// Of several processes that make the file at once, SQLite lets one switch it to WAL and turns the others away without waiting.
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		_, err = db.ExecContext(ctx, schema)
		if err == nil {
			return db, nil
		}
		if !busy(err) || wait > 3*time.Second {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
}

// Status turns an error of a query into one that a call may end with. It keeps statuses, the caller's own end, and nil.
func Status(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case busy(err):
		return status.Error(codes.Unavailable, "the database is busy")
	}
	return status.Errorf(codes.Internal, "database: %v", err)
}

func busy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// InTx runs f in a transaction that no other writer of the file can come between, and commits it unless f fails.
func InTx(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}
