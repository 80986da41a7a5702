package collector_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// mostLive bounds what a collector holds: 32 MiB that wait for the disk, 16 MiB that were read or written lately, and its own.
const mostLive = 96 << 20

// liveHeap is what the last collection of garbage left.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// dropped is how many records of a signal were not kept.
func dropped(st collector.Stats, signal string) (n int64) {
	for _, d := range st.Dropped {
		if d.Signal == signal {
			n += d.Count
		}
	}
	return n
}

// checkCounts checks that each record that was sent is kept or counted as dropped, and that the senders were told the same.
func checkCounts(t *testing.T, st collector.Stats, signal string, got collector.SignalStats, sent, taken int64) {
	t.Helper()
	if lost := dropped(st, signal); got.Received != sent || got.Kept != taken || lost != sent-taken {
		t.Errorf("of %d %s, of which %d were taken by their answers, %d were received, %d kept, %d dropped", sent, signal, taken, got.Received, got.Kept, lost)
	}
}

// As much as comes in ten seconds at 20,000 spans and 20,000 lines a second, as fast as it is taken: nothing grows without limit, and
// each record is kept or counted.
func TestLoad(t *testing.T) {
	const each, workers = 500, 4
	all := int64(200_000)
	if testing.Short() {
		all = 40_000
	}
	c := &collector.Collector{}
	stop := start(t, c)
	var sent, taken [2]atomic.Int64
	var live [workers]uint64 // the most that each of them saw
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			bodies := [2][]byte{batch(t, each), logBatch(t, each)}
			for sig, path := range []string{"/v1/traces", "/v1/logs"} {
				for sent[sig].Add(each) <= all {
					if post(t, c, path, protobuf, bodies[sig]).Code == 200 {
						taken[sig].Add(each)
					}
					live[w] = max(live[w], liveHeap())
				}
				sent[sig].Add(-each)
			}
		})
	}
	work.Wait()
	if n := slices.Max(live[:]); n > mostLive {
		t.Errorf("%d MiB were live", n>>20)
	}
	st := c.Stats()
	checkCounts(t, st, "spans", st.Spans, all, taken[0].Load())
	checkCounts(t, st, "logs", st.Logs, all, taken[1].Load())
	stop()
	again := &collector.Collector{Dir: c.Dir}
	start(t, again)
	if n := storedLines(t, again); n != taken[1].Load() {
		t.Errorf("%d lines were taken, %d are stored", taken[1].Load(), n)
	}
}

// storedLines counts the lines that can be read.
func storedLines(t *testing.T, c *collector.Collector) (n int64) {
	t.Helper()
	for after := "0-0"; ; {
		page, err := c.Logs(t.Context(), collector.LogQuery{After: after, Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		n += int64(len(page.Logs))
		if len(page.Logs) < 10_000 && !page.Partial {
			return n
		}
		after = page.Tail
	}
}

// A disk that does not keep up: what fits into memory waits, the rest is refused and counted, and what was taken is written in the end.
func TestSlowDisk(t *testing.T) {
	c := &collector.Collector{}
	stop := start(t, c)
	lines(c, 0, 10)
	await(t, "there is a file", func() bool { return c.Stats().Waiting == 0 && c.Stats().Segments == 1 })
	files, err := filepath.Glob(filepath.Join(c.Dir, "*.sqlite"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	db, err := sql.Open("sqlite", "file:"+files[0]+"?_pragma=busy_timeout(60000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lock, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	const each = 2000
	body := logBatch(t, each)
	sent, taken := int64(10), int64(10)
	refused := 0
	for refused < 3 {
		sent += each
		switch w := post(t, c, "/v1/logs", protobuf, body); w.Code {
		case 200:
			taken += each
		case 503:
			refused++
			if w.Header().Get("Retry-After") == "" {
				t.Error("the sender is not told when to come again")
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	st := c.Stats()
	if st.Waiting > 32<<20 || st.Waiting < 31<<20 {
		t.Errorf("%d bytes wait", st.Waiting)
	}
	checkCounts(t, st, "logs", st.Logs, sent, taken)
	if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "all is written", func() bool { return c.Stats().Waiting == 0 })
	if n := liveHeap(); n > mostLive {
		t.Errorf("%d MiB are live", n>>20)
	}
	st = c.Stats()
	checkCounts(t, st, "logs", st.Logs, sent, taken)
	stop()
	again := &collector.Collector{Dir: c.Dir}
	start(t, again)
	await(t, "all is there", func() bool { return storedLines(t, again) == taken })
}
