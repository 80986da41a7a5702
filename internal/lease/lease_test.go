package lease_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/lease"
	"go.uber.org/goleak"
)

// childEnv makes this test's binary another process: "hold" or "watch", in the folder that childDir names.
const (
	childEnv = "HANSE_LEASE_TEST_CHILD"
	childDir = "HANSE_LEASE_TEST_DIR"
)

func TestMain(m *testing.M) {
	dir := lease.Dir(os.Getenv(childDir))
	switch os.Getenv(childEnv) {
	case "hold":
		if _, err := dir.Hold("child", []byte("of child")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.ReadAll(os.Stdin)
		os.Exit(0)
	case "list": // and so remove what looks dead, as fast as it can
		fmt.Println("listing")
		go func() { _, _ = io.ReadAll(os.Stdin); os.Exit(0) }()
		for {
			if _, err := dir.List(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	goleak.VerifyTestMain(m)
}

// child starts this test's binary as another process and waits for its first line.
func child(t *testing.T, what string, dir lease.Dir) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what, childDir+"="+string(dir))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // its end is the child's, whatever becomes of this process
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "held\n" && line != "listing\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	return cmd
}

func hold(t *testing.T, d lease.Dir, id, content string) *lease.Lease {
	t.Helper()
	l, err := d.Hold(id, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func list(t *testing.T, d lease.Dir) string {
	t.Helper()
	records, err := d.List()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range records {
		all = append(all, r.ID+"="+string(r.Content))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func newDir(t *testing.T) lease.Dir { return lease.Dir(filepath.Join(t.TempDir(), "leases")) }

func TestHold(t *testing.T) {
	d := newDir(t)
	if got := list(t, d); got != "" {
		t.Errorf("a folder that is not there has %s", got)
	}
	a := hold(t, d, "a", "1")
	hold(t, d, "b", "2")
	if got := list(t, d); got != "a=1 b=2" {
		t.Errorf("got %s", got)
	}
	for _, content := range []string{"long content", "3"} {
		if err := a.Update([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if got := list(t, d); got != "a="+content+" b=2" {
			t.Errorf("got %s", got)
		}
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, d); got != "b=2" {
		t.Errorf("got %s", got)
	}
	if err := a.Update(nil); !errors.Is(err, lease.ErrClosed) {
		t.Errorf("Update after Close: %v, want ErrClosed", err)
	}
	if files, _ := os.ReadDir(string(d)); len(files) != 1 {
		t.Errorf("files left behind: %v", files)
	}
}

func TestHoldRefuses(t *testing.T) {
	d := newDir(t)
	hold(t, d, "a", "1")
	if _, err := d.Hold("a", []byte("2")); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("second owner: %v, want ErrHeld", err)
	}
	if got := list(t, d); got != "a=1" {
		t.Errorf("got %s", got)
	}
	for _, id := range []string{"", ".a", "a/b", "..", "a b", strings.Repeat("a", 201)} {
		if _, err := d.Hold(id, nil); err == nil {
			t.Errorf("Hold(%q): no error", id)
		}
	}
}

func TestRivals(t *testing.T) {
	d := newDir(t)
	for range 5 {
		var wg sync.WaitGroup
		leases := make([]*lease.Lease, 4)
		for i := range leases {
			wg.Go(func() {
				l, err := d.Hold("a", fmt.Append(nil, i))
				if err != nil && !errors.Is(err, lease.ErrHeld) {
					t.Error(err)
				}
				leases[i] = l
			})
		}
		wg.Wait()
		winner := -1
		for i, l := range leases {
			if l == nil {
				continue
			}
			if winner >= 0 {
				t.Fatalf("%d and %d hold the same ID", winner, i)
			}
			winner = i
		}
		if got, want := list(t, d), fmt.Sprintf("a=%d", winner); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if err := leases[winner].Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeadFilesAreRemoved(t *testing.T) {
	d := newDir(t)
	live := hold(t, d, "live", "1")
	write := func(name string, age time.Duration) {
		path := filepath.Join(string(d), name)
		if err := os.WriteFile(path, []byte("dead"), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	write("dead.json", 0)
	write(".old.tmp", time.Hour)
	write(".young.tmp", 0)
	write("notes.txt", time.Hour)
	if got := list(t, d); got != "live=1" {
		t.Errorf("got %s", got)
	}
	var names []string
	entries, _ := os.ReadDir(string(d))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{".young.tmp", "live.json", "notes.txt"}; !slices.Equal(names, want) {
		t.Errorf("the folder has %v, want %v", names, want)
	}
	write("live2.json", 0) // the ID of a dead owner is free
	hold(t, d, "live2", "2")
	write(".live3.tmp", 0) // also one that died while it was writing
	hold(t, d, "live3", "3")
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, d); got != "live2=2 live3=3" {
		t.Errorf("got %s", got)
	}
}

func TestRemovedFilesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		hold(t, d, "a", "1")
		for _, remove := range []func() error{
			func() error { return os.Remove(filepath.Join(string(d), "a.json")) },
			func() error { return os.RemoveAll(string(d)) },
			func() error { return nil },
		} {
			if err := remove(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Second) // the bubble's time
			synctest.Wait()
			if got := list(t, d); got != "a=1" {
				t.Errorf("got %q, want a=1", got)
			}
		}
	})
}

func TestFilesThatCannotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		l := hold(t, d, "a", "1")
		told := make(chan error, 10)
		l.Report(func(err error) { told <- err })
		if err := os.RemoveAll(string(d)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(string(d), nil, 0o600); err != nil { // no folder can be made
			t.Fatal(err)
		}
		if err := <-told; err == nil {
			t.Error("told of no error")
		}
		if err := os.Remove(string(d)); err != nil {
			t.Fatal(err)
		}
		if err := <-told; err != nil {
			t.Errorf("told of %v when the file can come back", err)
		}
		if got := list(t, d); got != "a=1" || len(told) > 0 {
			t.Errorf("there is %s, and told %d times more", got, len(told))
		}
	})
}

func TestFilesDoNotLookOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		hold(t, d, "a", "1")
		time.Sleep(10 * time.Hour) // the bubble's time
		synctest.Wait()
		info, err := os.Stat(filepath.Join(string(d), "a.json"))
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(info.ModTime()); age > 2*time.Hour {
			t.Errorf("the file is %v old", age)
		}
	})
}

// follow watches the folder until the test ends.
func follow(t *testing.T, d lease.Dir) <-chan []lease.Change {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan []lease.Change, 1024)
	done := make(chan error)
	go func() { done <- d.Watch(ctx, func(c []lease.Change) { changes <- c }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return changes
}

// next returns the next changes, such as "+a=1" and "-a" and "†a" for a death.
func next(t *testing.T, changes <-chan []lease.Change) string {
	t.Helper()
	select {
	case batch := <-changes:
		var all []string
		for _, c := range batch {
			switch {
			case c.Died:
				all = append(all, "†"+c.ID)
			case c.Gone:
				all = append(all, "-"+c.ID)
			default:
				all = append(all, "+"+c.ID+"="+string(c.Content))
			}
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	case <-time.After(20 * time.Second):
		t.Fatal("no change was noticed")
		return ""
	}
}

func TestWatch(t *testing.T) {
	d := newDir(t)
	changes := follow(t, d)
	expect := func(want string) {
		t.Helper()
		if got := next(t, changes); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	expect("")
	a := hold(t, d, "a", "1")
	expect("+a=1")
	for n := range 20 {
		if err := a.Update(fmt.Append(nil, n)); err != nil {
			t.Fatal(err)
		}
		expect(fmt.Sprintf("+a=%d", n))
	}
	hold(t, d, "b", "1")
	expect("+b=1")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	expect("-a")
}

// When the folder is swept away, those whose owners live stay known. They come back as soon as there can be a folder, and are then
// told again, as new files.
func TestFolderIsSweptAway(t *testing.T) {
	d := newDir(t)
	changes := follow(t, d)
	expect := func(want string) {
		t.Helper()
		if got := next(t, changes); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	expect("")
	hold(t, d, "a", "1")
	expect("+a=1")
	b := hold(t, d, "b", "1")
	expect("+b=1")
	cmd := child(t, "hold", d)
	expect("+child=of child")
	if err := os.RemoveAll(string(d)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(string(d), nil, 0o600); err != nil { // no folder can be there now
		t.Fatal(err)
	}
	if err := b.Close(); err != nil { // what happens is noticed all the same
		t.Fatal(err)
	}
	expect("-b")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	expect("†child")
	if err := os.Remove(string(d)); err != nil {
		t.Fatal(err)
	}
	expect("+a=1")
	hold(t, d, "c", "1")
	expect("+c=1")
}

func TestKill(t *testing.T) {
	d := newDir(t)
	cmd := child(t, "hold", d)
	changes := follow(t, d)
	if got := next(t, changes); got != "+child=of child" {
		t.Fatalf("got %q", got)
	}
	start := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := next(t, changes); got != "†child" {
		t.Fatalf("got %q", got)
	}
	t.Logf("noticed after %v", time.Since(start))
	if entries, _ := os.ReadDir(string(d)); len(entries) != 0 {
		t.Errorf("files left behind: %v", entries)
	}
}

// The pause between probes bounds how late a death is noticed.
func TestPause(t *testing.T) {
	if lease.ProbeAtMost >= time.Second {
		t.Errorf("a death may be noticed only after %v", lease.ProbeAtMost)
	}
	for took, want := range map[time.Duration]time.Duration{
		0:                     250 * time.Millisecond,
		40 * time.Microsecond: 250 * time.Millisecond,
		5 * time.Millisecond:  500 * time.Millisecond,
		time.Second:           lease.ProbeAtMost,
	} {
		if got := lease.PauseAfter(took); got != want {
			t.Errorf("after a probe of %v: %v, want %v", took, got, want)
		}
	}
}

// TestNoneIsLost registers 2,000 times while others, two of them processes, remove whatever looks dead to them.
func TestNoneIsLost(t *testing.T) {
	const owners, rounds = 4, 500
	d := newDir(t)
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		t.Fatal(err)
	}
	child(t, "list", d)
	child(t, "list", d)
	changes := follow(t, d)
	next(t, changes)

	seen := make(chan map[string]int)
	finished := make(chan struct{})
	go func() { // the watcher's view: no record may be gone that its owner did not withdraw
		count := make(map[string]int)
		for {
			select {
			case batch := <-changes:
				for _, c := range batch {
					if c.Gone {
						count[c.ID]++
					}
				}
			case <-finished:
				seen <- count
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for owner := range owners {
		wg.Go(func() {
			for round := range rounds {
				id := fmt.Sprintf("o%d-%d", owner, round)
				path := filepath.Join(string(d), id+".json")
				if round%2 == 1 { // in place of one who died
					if err := os.WriteFile(path, []byte("dead"), 0o600); err != nil {
						t.Error(err)
					}
				}
				l, err := d.Hold(id, []byte("1"))
				if err != nil {
					t.Error(err)
					return
				}
				for n := range 3 {
					if content, err := os.ReadFile(path); err != nil || string(content) != fmt.Sprint(n+1) {
						t.Errorf("%s, round %d: lost: %q, %v", id, n, content, err)
					}
					if err := l.Update(fmt.Append(nil, n+2)); err != nil {
						t.Error(err)
					}
				}
				if err := l.Close(); err != nil {
					t.Errorf("%s: Close: %v", id, err)
				}
			}
		})
	}
	wg.Wait()
	close(finished)
	for id, n := range <-seen {
		var owner, round int
		if _, err := fmt.Sscanf(id, "o%d-%d", &owner, &round); err != nil {
			t.Fatal(err)
		}
		if n > 1+round%2 { // withdrawn once, and before that perhaps found dead
			t.Errorf("%s was gone %d times", id, n)
		}
	}
	if got := list(t, d); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// BenchmarkWatch tells what a watcher of 200 leases costs: divide by the 250 ms between probes.
func BenchmarkWatch(b *testing.B) {
	d := lease.Dir(filepath.Join(b.TempDir(), "leases"))
	for i := range 200 {
		l, err := d.Hold(fmt.Sprintf("lease-%d", i), []byte("content"))
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
	}
	b.Run("probe", lease.Probing(d))
	b.Run("scan", lease.Scanning(d))
}
