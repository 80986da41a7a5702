package systems_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hanse-go/hanse/internal/systems"
)

func TestHub(t *testing.T) {
	own(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if list, err := systems.Hubs(); err != nil || len(list) > 0 {
		t.Fatalf("%v, %v before there is any", list, err)
	}
	hold := func(name, dir string) *systems.HubLease {
		t.Helper()
		l, err := systems.HoldHub(systems.Hub{Name: name, Dir: dir, Backplane: "nats://" + name})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	hold("shop", dir)
	inner := hold("below", below)
	if l, err := systems.HoldHub(systems.Hub{Name: "more", Dir: dir, Backplane: "x"}); !errors.Is(err, systems.ErrHub) {
		t.Errorf("a second hub of a folder: %v, %v", l, err)
	}
	nearest := func(dir string) string {
		t.Helper()
		list, err := systems.Hubs()
		if err != nil {
			t.Fatal(err)
		}
		h, _ := systems.NearestHub(list, dir)
		return h.Name
	}
	if a, b, c := nearest(dir), nearest(below), nearest(filepath.Dir(dir)); a != "shop" || b != "below" || c != "" {
		t.Errorf("%q, %q and %q", a, b, c)
	}
	if err := inner.Close(); err != nil {
		t.Fatal(err)
	}
	if got := nearest(below); got != "shop" {
		t.Errorf("%q after the nearer one has ended", got)
	}
	// Systems of hanse dev are others.
	if list, err := systems.List(); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
}
