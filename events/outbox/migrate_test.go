package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/events/outbox"
)

// TestMigrateTogether has several processes migrate a database at the same time, and again.
func TestMigrateTogether(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		var all sync.WaitGroup
		for range 6 {
			db := d.open(t)
			all.Go(func() {
				for range 2 {
					if err := outbox.Migrate(t.Context(), db); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		db := d.open(t)
		publish(t, db, "a 0")
		if n := count(t, db, "hanse_outbox_version WHERE version_id > 0"); n != 1 {
			t.Errorf("%d versions are noted, want 1", n)
		}
	})
}

// TestMigrateBesideOthers holds that a program's own tables of goose are left alone.
func TestMigrateBesideOthers(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)
		run(t, db, `CREATE TABLE goose_db_version (id INTEGER, version_id INTEGER, is_applied INTEGER, tstamp TEXT)`)
		run(t, db, `INSERT INTO goose_db_version VALUES (1, 42, 1, '')`)
		if err := outbox.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "goose_db_version WHERE version_id = 42"); n != 1 || count(t, db, "goose_db_version") != 1 {
			t.Error("the program's table of goose was changed")
		}
	})
}

// TestOneConnection holds that a pool of one connection is enough.
func TestOneConnection(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)
		db.SetMaxOpenConns(1)
		if err := outbox.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		broker := &recorder{}
		relay(t, &outbox.Relay{DB: db}, hostOf(t, broker))
		publish(t, db, "a 0", "a 1")
		eventually(t, "two events", func() bool { return len(broker.texts(t)) == 2 })
	})
}

// TestSchema makes the tables by what Schema prints.
func TestSchema(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		text, err := outbox.Schema(d.dialect)
		if err != nil || strings.Contains(text, "goose") {
			t.Fatalf("%v\n%s", err, text)
		}
		db := d.open(t)
		run(t, db, text)
		broker := &recorder{}
		relay(t, &outbox.Relay{DB: db}, hostOf(t, broker))
		publish(t, db, "a 0")
		eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 })
	})
	if _, err := outbox.Schema("mysql"); err == nil || !strings.Contains(err.Error(), "mysql") {
		t.Errorf("another database: %v", err)
	}
}

func TestMigrateFails(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)
		if err := outbox.Migrate(ended, db); err == nil || !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
	closed, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if err := outbox.Migrate(t.Context(), closed); err == nil || !strings.Contains(err.Error(), "does not tell its version") {
		t.Errorf("without a connection: %v", err)
	}
}
