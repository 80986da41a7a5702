package watch_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/watch"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(time.Now().String()), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, w *watch.Watcher) []string {
	t.Helper()
	select {
	case set := <-w.Changes():
		return set
	case <-time.After(20 * time.Second):
		t.Fatal("no change was reported")
		return nil
	}
}

func TestChanges(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, filepath.Join(a, "one.go"))
	write(t, filepath.Join(b, "two.go"))
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Set([]string{a, filepath.Join(dir, "missing")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one.go", ".one.go.swp", "one.go~", "#one.go#", "4913", "new.go"} {
		write(t, filepath.Join(a, name))
	}
	write(t, filepath.Join(b, "two.go"))
	if got, want := next(t, w), []string{filepath.Join(a, "new.go"), filepath.Join(a, "one.go")}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := w.Set([]string{b}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a, "one.go"))
	if err := os.Remove(filepath.Join(b, "two.go")); err != nil {
		t.Fatal(err)
	}
	if got, want := next(t, w), []string{filepath.Join(b, "two.go")}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Changes that nobody waits for are not lost, and come as one set.
func TestChangesMeanwhile(t *testing.T) {
	dir := t.TempDir()
	w, err := watch.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Set([]string{dir}); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, name := range []string{"a", "b", "c"} {
		want = append(want, filepath.Join(dir, name))
		write(t, filepath.Join(dir, name))
	}
	for len(got) < len(want) { // a slow machine may need a second set
		got = append(got, next(t, w)...)
		slices.Sort(got)
		got = slices.Compact(got)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.Close()
	if _, ok := <-w.Changes(); ok {
		t.Error("changes after Close")
	}
}

func TestTree(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"a/b/x.go", ".git/x", "node_modules/m/x.js", "a/testdata/x", "vendor/v/v.go", "_old/x.go", "c/x.css"} {
		write(t, filepath.Join(dir, filepath.FromSlash(f)))
	}
	want := []string{dir, filepath.Join(dir, "a"), filepath.Join(dir, "a", "b"), filepath.Join(dir, "c")}
	if got := watch.Tree(dir); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
