package builds_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/builds"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func module(t *testing.T, main string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/m\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), main)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newDir(t *testing.T) *builds.Dir {
	t.Helper()
	d := &builds.Dir{Path: t.TempDir()}
	if err := d.Clean(); err != nil {
		t.Fatal(err)
	}
	return d
}

func says(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command(file).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	return string(out)
}

func TestBuild(t *testing.T) {
	dir := module(t, "package main\n\nfunc main() { println(1) }\n")
	d := newDir(t)
	one, changed, err := d.Build(t.Context(), dir, "example.com/m", "m", "")
	if err != nil || !changed || says(t, one) != "1\n" {
		t.Fatal(one, changed, err)
	}
	same, changed, err := d.Build(t.Context(), dir, "example.com/m", "m", one)
	if err != nil || changed || same != one {
		t.Error("a build without a change:", same, changed, err)
	}
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { println(2) }\n")
	two, changed, err := d.Build(t.Context(), dir, "example.com/m", "m", one)
	if err != nil || !changed || says(t, two) != "2\n" || says(t, one) != "1\n" {
		t.Error("a build with a change:", two, changed, err)
	}

	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { printn(2) }\n")
	_, _, err = d.Build(t.Context(), dir, "example.com/m", "m", two)
	if e := new(builds.Error); !errors.As(err, &e) || e.Program != "m" || !strings.HasSuffix(e.Output, "main.go:3:15: undefined: printn") || strings.Contains(e.Output, "#") {
		t.Errorf("%v", err)
	}
	if says(t, two) != "2\n" {
		t.Error("a build that fails takes the last one away")
	}
	if err := d.Clean(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(one); err == nil {
		t.Error("old builds are left")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := d.Build(ctx, dir, "example.com/m", "m", ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestCompile(t *testing.T) {
	dir := module(t, "package main\n")
	for _, name := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, name+".go"), "package "+name+"\n\nconst Path = `"+dir+"`\n")
	}
	d := newDir(t)
	packages := []string{"example.com/m/a", "example.com/m/b"}
	var seen []string
	progress := func(n int, pkg string) { seen = append(seen, pkg) }
	if err := d.Compile(t.Context(), dir, packages, progress); err != nil {
		t.Fatal(err)
	}
	slices.Sort(seen)
	if !slices.Equal(seen, packages) {
		t.Errorf("compiled %q", seen)
	}
	seen = nil
	if err := d.Compile(t.Context(), dir, packages, progress); err != nil || len(seen) != 0 {
		t.Errorf("the second time: %q, %v", seen, err)
	}
	write(t, filepath.Join(dir, "b", "b.go"), "package b\n\nfunc\n")
	if err := d.Compile(t.Context(), dir, packages, progress); err != nil { // Build tells it
		t.Error(err)
	}
}

func TestServices(t *testing.T) {
	tests := []struct{ name, script, want, err string }{
		{"plain", `echo '[{"name":"a","contracts":[]},{"name":"b"}]'`, "a b", ""},
		{"noise before it", `echo hello; echo '[{"name":"a"}]'`, "a", ""},
		{"asked by the environment", `[ "$HANSE_LIST_SERVICES" = json ] && echo '[{"name":"a"}]'`, "a", ""},
		{"fails", `echo broken >&2; exit 3`, "", "./x does not list its services (HANSE_LIST_SERVICES=json): exit status 3:\nbroken"},
		{"no list", `echo 'server started'`, "", `./x lists no services (HANSE_LIST_SERVICES=json); it printed "server started"`},
		{"empty", `echo '[]'`, "", `./x lists no services (HANSE_LIST_SERVICES=json); it printed "[]"`},
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(file, []byte("#!"+sh+"\n"+tt.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			names, err := newDir(t).Services(t.Context(), "./x", file)
			if strings.Join(names, " ") != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%q, %v", names, err)
			}
		})
	}
}
