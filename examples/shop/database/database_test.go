package database_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/database"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const schema = `CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY);`

func TestDir(t *testing.T) {
	t.Setenv("SHOP_DATA", "")
	if dir, err := (database.Settings{}).Dir(); err != nil || filepath.Base(dir) != "kontor" {
		t.Errorf("by default %q, %v", dir, err)
	}
	env := t.TempDir()
	t.Setenv("SHOP_DATA", env)
	if dir, err := (database.Settings{}).Dir(); err != nil || dir != env {
		t.Errorf("by the environment %q, %v, want %q", dir, err, env)
	}
	set := t.TempDir()
	if dir, err := (database.Settings{Data: set}).Dir(); err != nil || dir != set {
		t.Errorf("by a setting %q, %v, want %q", dir, err, set)
	}
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder", "with ? and #")
	db, err := database.Open(t.Context(), dir, "x", schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(filepath.Join(dir, "x.db")); err != nil {
		t.Error(err)
	}
	var mode string
	if err := db.QueryRowContext(t.Context(), `PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	again, err := database.Open(t.Context(), dir, "x", schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Open(t.Context(), file, "x", schema, nil); err == nil || !strings.Contains(err.Error(), "SHOP_DATA") {
		t.Errorf("a file for a folder: %v, want what to do", err)
	}
	if _, err := database.Open(t.Context(), t.TempDir(), "x", "nonsense", nil); err == nil {
		t.Error("a schema that is none: no error")
	}
}

func TestStatus(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		err  error
		want codes.Code
	}{
		"nothing":   {t.Context(), nil, codes.OK},
		"a status":  {t.Context(), status.Error(codes.NotFound, "x"), codes.NotFound},
		"cancelled": {done, errors.New("interrupted"), codes.Canceled},
		"other":     {t.Context(), errors.New("disk full"), codes.Internal},
	} {
		if err := database.Status(test.ctx, test.err); status.Code(err) != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
