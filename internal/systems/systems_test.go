package systems_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/systems"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// own gives the test a run-time folder of its own.
func own(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("LocalAppData", dir)
}

func hold(t *testing.T, name, dir string) *systems.Lease {
	t.Helper()
	l, err := systems.Hold(systems.System{Name: name, Dir: dir, PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func publish(t *testing.T, l *systems.Lease) {
	t.Helper()
	if err := l.Publish(systems.System{Registry: "local:" + l.System.Name, PID: os.Getpid(), Control: "/c", Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T) (names []string) {
	t.Helper()
	l, err := systems.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range l {
		names = append(names, s.Name)
	}
	return names
}

func TestRecord(t *testing.T) {
	own(t)
	if names := list(t); len(names) != 0 {
		t.Fatalf("at first: %v", names)
	}
	dir := t.TempDir()
	l := hold(t, "shop", dir)
	if names := list(t); len(names) != 0 {
		t.Errorf("before Publish: %v", names)
	}
	publish(t, l)
	all, err := systems.List()
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if s := all[0]; s.Version != 1 || s.Name != "shop" || s.Registry != "local:shop" || s.PID != os.Getpid() || s.Control != "/c" || s.Started.IsZero() {
		t.Errorf("%+v", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if names := list(t); len(names) != 0 {
		t.Errorf("after Close: %v", names)
	}
	hold(t, "shop", dir) // it can be claimed again
}

func TestStarting(t *testing.T) {
	own(t)
	dir := t.TempDir()
	starting := func() (names []string) {
		l, err := systems.Starting()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range l {
			names = append(names, s.Name)
		}
		return names
	}
	if names := starting(); len(names) != 0 {
		t.Errorf("at first: %v", names)
	}
	l := hold(t, "shop", dir)
	if names := starting(); len(names) != 1 || names[0] != "shop" {
		t.Errorf("held: %v", names)
	}
	publish(t, l)
	if names := starting(); len(names) != 0 {
		t.Errorf("published: %v", names)
	}
}

func TestSameFolder(t *testing.T) {
	own(t)
	dir := t.TempDir()
	publish(t, hold(t, "shop", dir))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	for _, d := range []string{dir, link} {
		_, err := systems.Hold(systems.System{Name: "other", Dir: d})
		var running *systems.RunningError
		if !errors.As(err, &running) || running.System.Name != "shop" || running.System.PID != os.Getpid() {
			t.Errorf("Hold(%s): %v", d, err)
		}
	}
}

func TestSameName(t *testing.T) {
	own(t)
	for _, want := range []string{"shop", "shop-2", "shop-3"} {
		l := hold(t, "shop", t.TempDir())
		publish(t, l)
		if l.System.Name != want {
			t.Errorf("got the name %s, want %s", l.System.Name, want)
		}
	}
	if names := list(t); len(names) != 3 {
		t.Errorf("%v", names)
	}
}

func TestForDir(t *testing.T) {
	own(t)
	root := t.TempDir()
	dirs := map[string]string{"outer": root, "inner": filepath.Join(root, "a", "inner"), "twin": filepath.Join(root, "a", "inner-twin")}
	for name, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, "cmd"), 0o700); err != nil {
			t.Fatal(err)
		}
		publish(t, hold(t, name, dir))
	}
	for dir, want := range map[string]string{
		root:                                "outer",
		filepath.Join(root, "a"):            "outer",
		dirs["inner"]:                       "inner",
		filepath.Join(dirs["inner"], "cmd"): "inner",
		filepath.Join(dirs["twin"], "cmd"):  "twin",
		filepath.Dir(root):                  "",
		filepath.Join(root, "does", "not"):  "",
	} {
		s, found, err := systems.ForDir(dir)
		if err != nil || s.Name != want || found != (want != "") {
			t.Errorf("ForDir(%s) = %q, %v, %v; want %q", dir, s.Name, found, err, want)
		}
	}
}
