package outbox_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestWokenByTheFile publishes to a relay that does not poll, from pools as other processes have: what they write to the file wakes it.
func TestWokenByTheFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there the relay polls")
	}
	d := sqliteDatabase(t.TempDir())
	db := d.migrated(t)
	broker := &recorder{}
	relay(t, &outbox.Relay{DB: db, Poll: time.Hour}, hostOf(t, broker))
	for i := range 5 {
		<-time.After(700 * time.Millisecond) // in which the relay ends to look by itself
		publish(t, d.open(t), "a "+itoa(i))
		eventually(t, "an event", func() bool { return len(broker.texts(t)) == i+1 })
	}
	for i := range 200 {
		publish(t, db, "b "+itoa(i))
	}
	eventually(t, "all events", func() bool { return len(broker.texts(t)) == 205 })
}

// TestWoken has a program wake a relay that nothing else wakes.
func TestWoken(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		r := &outbox.Relay{DB: db, Poll: time.Hour, Listen: func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil }}
		r.Wake() // before it runs: nothing
		broker := &recorder{}
		relay(t, r, hostOf(t, broker))
		publish(t, db, "a 0")
		eventually(t, "an event", func() bool { r.Wake(); return len(broker.texts(t)) == 1 })
	})
}

// TestInMemory holds that a database that is in no file has its relay poll.
func TestInMemory(t *testing.T) {
	d := database{driver: "sqlite", source: "file:outbox?mode=memory&cache=shared&_pragma=busy_timeout(10000)"}
	db := d.migrated(t)
	db.SetMaxOpenConns(1) // a shared cache locks tables, and does not wait
	broker := &recorder{}
	relay(t, &outbox.Relay{DB: db}, hostOf(t, broker))
	publish(t, db, "a 0")
	eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 })
}

// TestIdle holds that a relay with nothing to do writes nothing.
func TestIdle(t *testing.T) {
	d := sqliteDatabase(t.TempDir())
	db := d.migrated(t)
	broker := &recorder{}
	r := &outbox.Relay{DB: db, Lease: time.Second, Poll: 10 * time.Millisecond}
	relay(t, r, hostOf(t, broker))
	publish(t, db, "a 0")
	eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 && count(t, db, "hanse_outbox") == 0 })
	conn, err := d.open(t).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	version := func() (v int) {
		if err := conn.QueryRowContext(t.Context(), `PRAGMA data_version`).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	<-time.After(1500 * time.Millisecond) // more than the lease
	if after := version(); after != before {
		t.Errorf("the relay has written while it had nothing to do")
	}
}

// TestListenFails has what tells of events fail: the relay polls, and tries again.
func TestListenFails(t *testing.T) {
	d := sqliteDatabase(t.TempDir())
	db := d.migrated(t)
	broker := &recorder{}
	calls := make(chan struct{}, 100)
	relay(t, &outbox.Relay{DB: db, Poll: 5 * time.Millisecond, Listen: func(context.Context, func()) error {
		calls <- struct{}{}
		return context.DeadlineExceeded
	}}, hostOf(t, broker))
	publish(t, db, "a 0")
	eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 })
	<-calls
	<-calls
}

// TestOrderOfCommits holds that events of a key are in the order of the commits, also when the transactions overlap, and that another key does not wait.
func TestOrderOfCommits(t *testing.T) {
	d := postgresDatabase(t)
	db := d.migrated(t)
	broker := &recorder{}
	relay(t, &outbox.Relay{DB: db}, hostOf(t, broker))
	first, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Rollback()
	if err := outbox.Publish(t.Context(), first, text, wrapperspb.String("a 0")); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- publishOne(t.Context(), db, "a 1") }()
	publish(t, db, "b 0")
	eventually(t, "the event of the other key", func() bool { return len(broker.texts(t)) == 1 })
	eventually(t, "the second transaction to wait", func() bool { return count(t, db, "pg_locks WHERE locktype = 'advisory' AND NOT granted") == 1 })
	if err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all events", func() bool { return len(broker.texts(t)) == 3 })
	if err := inOrder(broker.texts(t)); err != nil {
		t.Error(err)
	}
}

// TestLeaseOfTheDead holds that a topic is taken over when the lease of another relay has ended, or has been made while the clock was wrong.
func TestLeaseOfTheDead(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.migrated(t)
		now := time.Now().UnixMilli()
		for name, until := range map[string]int64{"ends": now + 1000, "ended": now - 1000, "wrong": now + 1e9} {
			t.Run(name, func(t *testing.T) {
				run(t, db, `INSERT INTO hanse_outbox_lease (topic, owner, until) VALUES ('text', 'dead', $1)
					ON CONFLICT (topic) DO UPDATE SET owner = excluded.owner, until = excluded.until`, until)
				broker := &recorder{}
				stop := relay(t, &outbox.Relay{DB: db}, hostOf(t, broker))
				publish(t, db, "a 0")
				eventually(t, "an event", func() bool { return len(broker.texts(t)) == 1 })
				if name == "ends" && time.Now().UnixMilli() < until {
					t.Error("it was taken over before its end")
				}
				stop()
				if n := count(t, db, "hanse_outbox_lease WHERE until > 0"); n != 0 {
					t.Error("the lease was not given back")
				}
			})
		}
	})
}
