package collector_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// lines adds n lines of about a kilobyte with numbers from first on.
func lines(c *collector.Collector, first, n int) {
	list := make([]collector.Log, n)
	for i := range list {
		list[i] = collector.Log{Time: time.Now(), Service: "cart", Message: fmt.Sprintf("line %d of many", first+i),
			Attrs: []collector.Attr{{Key: "n", Value: int64(first + i)}, {Key: "filler", Value: randomText(700)}}}
	}
	c.AddLogs(list...)
}

func randomText(n int) string { return hexOf(id(n / 2)) }

// await polls until f returns true.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain until " + what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// The files stay within the limit, whole ones are dropped, and the newest is kept.
func TestMaxBytes(t *testing.T) {
	c := &collector.Collector{MaxBytes: 8 << 20}
	start(t, c)
	const all = 60_000
	for n := 0; n < all; n += 1000 {
		await(t, "there is room", func() bool { return c.Stats().Waiting < 4<<20 })
		lines(c, n, 1000)
	}
	await(t, "all is written", func() bool { return c.Stats().Waiting == 0 })
	st := c.Stats()
	if st.Bytes > st.MaxBytes+st.MaxBytes/4 || st.Segments < 5 || st.Logs.Kept != all || len(st.Dropped) > 0 {
		t.Errorf("%+v", st)
	}
	page, err := c.Logs(t.Context(), collector.LogQuery{Limit: 5})
	if err != nil || len(page.Logs) != 5 || page.Logs[4].Message != fmt.Sprintf("line %d of many", all-1) {
		t.Errorf("%+v, %v", page.Logs, err)
	}
	page, err = c.Logs(t.Context(), collector.LogQuery{Filter: `"line 17 of"`})
	if err != nil || len(page.Logs) != 0 || page.Scanned < 1000 {
		t.Errorf("%d lines of %d, %v", len(page.Logs), page.Scanned, err)
	}
}

// What does not fit into memory is counted, and a sender is told to come again.
func TestBackPressure(t *testing.T) {
	c := &collector.Collector{}
	c.AddLogs(collector.Log{Service: "early", Message: "it does not run"})
	if st := c.Stats(); len(st.Dropped) != 1 || st.Dropped[0].Reason != "the collector does not run" {
		t.Errorf("%+v", st)
	}
	if w := post(t, c, "/v1/traces", "application/json", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"x"}]}]}]}`)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A text that is looked for is found by the index as it is without one.
func TestIndex(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	for n := 0; n < 20_000; n += 1000 {
		await(t, "there is room", func() bool { return c.Stats().Waiting < 4<<20 })
		lines(c, n, 1000)
		c.AddLogs(collector.Log{Service: "mail", Message: fmt.Sprintf("Größe needle%d Ünïcode", n)})
	}
	find := func(filter string) (found, scanned int) {
		t.Helper()
		page, err := c.Logs(t.Context(), collector.LogQuery{Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Logs), page.Scanned
	}
	if n, _ := find("NEEDLE7000"); n != 1 { // some of the index may be there
		t.Fatalf("%d", n)
	}
	await(t, "the index is made", func() bool { return c.Stats().Unindexed == 0 && c.Stats().Waiting == 0 })
	after, read := find("NEEDLE7000")
	if after != 1 || read > 2000 {
		t.Errorf("%d, and %d of 20,000 records were read", after, read)
	}
	if n, _ := find("ünÏCODE größe"); n != 20 {
		t.Errorf("%d", n)
	}
}

// A damaged file is set aside and said; the others are read.
func TestDamage(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"no database":  func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("hello"), 10_000), 0o600) },
		"middle":       func(path string) error { return overwrite(path, 40_000, 400_000) },
		"cut":          func(path string) error { return os.Truncate(path, 50_000) },
		"empty header": func(path string) error { return overwrite(path, 0, 200) },
	} {
		t.Run(name, func(t *testing.T) {
			c := &collector.Collector{Dir: t.TempDir(), MaxBytes: 16 << 20}
			stop := start(t, c)
			for n := 0; n < 5000; n += 1000 {
				await(t, "there is room", func() bool { return c.Stats().Waiting < 1<<20 })
				lines(c, n, 1000)
			}
			await(t, "there are files", func() bool { return c.Stats().Segments > 1 && c.Stats().Waiting == 0 })
			stop()
			files, err := filepath.Glob(filepath.Join(c.Dir, "*.sqlite"))
			if err != nil || len(files) < 2 {
				t.Fatalf("%v, %v", files, err)
			}
			if err := harm(files[0]); err != nil {
				t.Fatal(err)
			}
			again := &collector.Collector{Dir: c.Dir, MaxBytes: 16 << 20}
			start(t, again)
			page, err := again.Logs(t.Context(), collector.LogQuery{Limit: 10_000})
			if err != nil || len(page.Logs) == 0 || len(page.Logs) >= 5000 || page.Logs[len(page.Logs)-1].Message != "line 4999 of many" {
				t.Errorf("%d lines, %v", len(page.Logs), err)
			}
			if st := again.Stats(); len(st.Damaged) != 1 {
				t.Errorf("%+v", st)
			}
			if set, _ := filepath.Glob(filepath.Join(c.Dir, "*.damaged")); len(set) != 1 {
				t.Errorf("set aside: %v", set)
			}
			lines(again, 9000, 1)
			if page, err := again.Logs(t.Context(), collector.LogQuery{Filter: "9000"}); err != nil || len(page.Logs) == 0 {
				t.Errorf("%+v, %v", page, err)
			}
		})
	}
}

func overwrite(path string, at, n int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, int(n)), at)
	return errors.Join(err, f.Close())
}

func TestTwoOnOneFolder(t *testing.T) {
	c := &collector.Collector{Dir: t.TempDir()}
	start(t, c)
	if err := (&collector.Collector{Dir: c.Dir}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("a second one on the folder: %v", err)
	}
	if err := (&collector.Collector{}).Run(t.Context()); err == nil {
		t.Error("it runs without a folder")
	}
}

// helper is set in the child of TestKill.
const helper = "COLLECTOR_TEST_DIR"

// A process that is killed loses at most what came in the last second, and what is there is whole.
func TestKill(t *testing.T) {
	if dir := os.Getenv(helper); dir != "" {
		c := &collector.Collector{Dir: dir}
		start(t, c)
		for n := 0; ; n += 100 {
			lines(c, n, 100)
			<-time.After(5 * time.Millisecond)
			fmt.Printf("kept %d\n", c.Stats().Logs.Kept-c.Stats().Waiting/100)
		}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), helper+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kept int
	for kept < 5000 {
		if _, err := fmt.Fscanf(out, "kept %d\n", &kept); errors.Is(err, io.EOF) {
			break
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	c := &collector.Collector{Dir: dir}
	start(t, c)
	page, err := c.Logs(t.Context(), collector.LogQuery{Limit: 10_000})
	if err != nil || len(page.Logs) < 5000 || len(c.Stats().Damaged) > 0 {
		t.Fatalf("%d lines, %v, %+v", len(page.Logs), err, c.Stats())
	}
	first := page.Logs[0].Attrs[0].Value.(int64)
	for i, l := range page.Logs {
		if l.Attrs[0].Value != first+int64(i) {
			t.Fatalf("line %d is %v", i, l.Attrs[0].Value)
		}
	}
}
