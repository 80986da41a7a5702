//go:build unix

package rundir_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/rundir"
)

// shortTemp returns a folder whose path leaves room for a socket's, which t.TempDir does not promise.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestPath(t *testing.T) {
	xdg, tmp := shortTemp(t), shortTemp(t)
	uid := strconv.Itoa(os.Geteuid())
	for _, c := range []struct{ name, xdg, want string }{
		{"XDG_RUNTIME_DIR", xdg, xdg + "/hanse"},
		{"unset", "", tmp + "/hanse-" + uid},
		{"relative", "run", tmp + "/hanse-" + uid},
		{"missing", "/no/such/folder", tmp + "/hanse-" + uid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", c.xdg)
			t.Setenv("TMPDIR", tmp)
			for range 2 { // made, then found
				got, err := rundir.Path("local", "shop")
				if err != nil {
					t.Fatal(err)
				}
				if want := c.want + "/local/shop"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				for _, dir := range []string{got, c.want} {
					if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
						t.Errorf("%s: %v, %v; want mode 0700", dir, info.Mode(), err)
					}
				}
			}
		})
	}
}

func TestOthersFoldersAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		root       bool
		spoil      func(dir string) error
	}{
		{"open to others", "chmod 700", false, func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o770)) }},
		{"a file", "is not a folder", false, func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
		{"a link", "is not a folder", false, func(dir string) error { return os.Symlink(t.TempDir(), dir) }},
		{"of another user", "belongs to user 4711", true, func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 4711, -1)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("only root can give a folder away")
			}
			tmp := shortTemp(t)
			t.Setenv("XDG_RUNTIME_DIR", "")
			t.Setenv("TMPDIR", tmp)
			if err := c.spoil(filepath.Join(tmp, "hanse-"+strconv.Itoa(os.Geteuid()))); err != nil {
				t.Fatal(err)
			}
			if _, err := rundir.Path("s"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestAnothersXDGIsNotUsed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	xdg, tmp := shortTemp(t), shortTemp(t)
	if err := os.Chown(xdg, 4711, -1); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", xdg)
	t.Setenv("TMPDIR", tmp)
	if got, err := rundir.Path(); err != nil || !strings.HasPrefix(got, tmp) {
		t.Errorf("got %s, %v, want a folder in %s", got, err, tmp)
	}
}

func TestSocket(t *testing.T) {
	xdg := shortTemp(t)
	t.Setenv("XDG_RUNTIME_DIR", xdg)
	got, err := rundir.Socket("c1")
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(got); !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(name) || filepath.Dir(got) != xdg+"/hanse/s" {
		t.Errorf("got %s, want 16 hexadecimal digits in %s/hanse/s", got, xdg)
	}
	if again, _ := rundir.Socket("c1"); again != got {
		t.Errorf("the same instance got %s, then %s", got, again)
	}
	if other, _ := rundir.Socket("c2"); other == got {
		t.Errorf("two instances got the same socket %s", got)
	}

	long := filepath.Join(xdg, strings.Repeat("x", 90))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", long)
	if got, err := rundir.Socket("c1"); !errors.Is(err, rundir.ErrLongPath) {
		t.Errorf("got %q, %v, want ErrLongPath", got, err)
	}
}

func TestHostID(t *testing.T) {
	a, b := shortTemp(t), shortTemp(t)
	id := func(xdg string) string {
		t.Setenv("XDG_RUNTIME_DIR", xdg)
		id, err := rundir.HostID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if first, second := id(a), id(a); first != second || len(first) != 16 {
		t.Errorf("host ID is not stable: %s, %s", first, second)
	}
	if id(a) == id(b) {
		t.Error("two folders of sockets have the same host ID")
	}
}
