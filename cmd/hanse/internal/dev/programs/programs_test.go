package programs_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs"
)

const sys = "github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/"

func find(t *testing.T, patterns ...string) (*programs.Set, error) {
	t.Helper()
	set, err := programs.Find(t.Context(), filepath.Join("testdata", "sys"), nil, patterns...)
	if set == nil {
		t.Fatal(err)
	}
	return set, err
}

func get(t *testing.T, set *programs.Set, pkg string) *programs.Program {
	t.Helper()
	for _, p := range set.Programs {
		if p.Package == sys+pkg {
			return p
		}
	}
	t.Fatalf("no program %s", pkg)
	return nil
}

func TestFind(t *testing.T) {
	set, err := find(t, "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range set.Programs {
		got = append(got, fmt.Sprintf("%s %s %d", p.Name, strings.TrimPrefix(p.Package, sys), p.Kind))
		if !filepath.IsAbs(p.Dir) || !strings.HasSuffix(filepath.ToSlash(p.Dir), strings.TrimPrefix(p.Package, sys)) {
			t.Errorf("%s is in %s", p.Package, p.Dir)
		}
	}
	want := []string{
		"a-server cmd/a/server 2",
		"b-server cmd/b/server 2",
		"client cmd/client 1",
		"dynamic cmd/dynamic 2",
		"one cmd/one 2",
		"tool cmd/tool 0",
		"two cmd/two 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFindBroken(t *testing.T) {
	set, err := find(t, "./...")
	var problem *programs.Problem
	if !errors.As(err, &problem) {
		t.Fatalf("err = %v", err)
	}
	if len(problem.Lines) != 1 || !strings.Contains(problem.Lines[0], "main.go:3:8: package "+sys+"nowhere is not in") &&
		!strings.Contains(problem.Lines[0], "no required module provides package") {
		t.Errorf("problem: %q", problem.Lines)
	}
	if p := get(t, set, "cmd/one"); p.Kind != programs.Server {
		t.Errorf("a broken neighbour hides %+v", p)
	}
	// What can be read of a broken program counts: it is built, and its mistakes are the compiler's to tell.
	if p := get(t, set, "broken"); p.Kind != programs.Server {
		t.Errorf("%+v", p)
	}
}

func TestDeclares(t *testing.T) {
	set, err := find(t, "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	one := get(t, set, "cmd/one")
	if len(one.Declares) != 2 || one.Declares["cart"] != sys+"cart" || one.Declares["catalog"] != sys+"catalog" {
		t.Errorf("one declares %v", one.Declares)
	}
	if d := get(t, set, "cmd/dynamic").Declares; d != nil {
		t.Errorf("a service whose name is computed could be anywhere, but: %v", d)
	}
}

func TestConcerns(t *testing.T) {
	set, err := find(t, "./cmd/...")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("testdata", "sys"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		file     string
		services string // of cmd/one that restart
		programs string
	}{
		{"cart/cart.go", "cart", "a-server dynamic one two"},
		{"cart/new.go", "cart", "a-server dynamic one two"},
		{"cart/cart_test.go", "", ""},
		{"cart/notes.txt", "", ""},
		{"stubs/stubs.go", "cart", "a-server dynamic one two"},
		{"catalog/pages/sub/index.html", "catalog", "dynamic one"},
		{"catalog/pages/new.css", "catalog", "dynamic one"},
		{"catalog/README.md", "", ""},
		{"shared/shared.go", "cart catalog", "one"},
		{"cmd/one/main.go", "cart catalog", "one"},
		{"go.work", "cart catalog", "a-server b-server client dynamic one tool two"},
		{"wrap/wrap.go", "", "b-server"},
		{"../../../../../../../go.mod", "cart catalog", "a-server b-server client dynamic one tool two"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			owners := set.Owners([]string{filepath.Join(root, filepath.FromSlash(tt.file))})
			var progs, services []string
			for _, p := range set.Programs {
				if _, ok := set.Concerns(p, owners); ok {
					progs = append(progs, p.Name)
				}
			}
			for _, s := range []string{"cart", "catalog"} {
				if _, ok := set.ConcernsService(get(t, set, "cmd/one"), s, owners); ok {
					services = append(services, s)
				}
			}
			if got := strings.Join(progs, " "); got != tt.programs {
				t.Errorf("programs: %q, want %q", got, tt.programs)
			}
			if got := strings.Join(services, " "); got != tt.services {
				t.Errorf("services: %q, want %q", got, tt.services)
			}
		})
	}
	// A service that imports another one's package needs all of that.
	stubs := set.Owners([]string{filepath.Join(root, "stubs", "stubs.go")})
	for _, service := range []string{"cart", "orders"} {
		if _, ok := set.ConcernsService(get(t, set, "cmd/two"), service, stubs); !ok {
			t.Errorf("a change of what cart imports does not concern %s", service)
		}
	}
	own := set.Owners([]string{filepath.Join(root, "orders", "orders.go")})
	if _, ok := set.ConcernsService(get(t, set, "cmd/two"), "cart", own); ok {
		t.Error("a change of orders concerns cart")
	}
	// Unknown homes: everything.
	owners := set.Owners([]string{filepath.Join(root, "catalog", "catalog.go")})
	if _, ok := set.ConcernsService(get(t, set, "cmd/dynamic"), "cart", owners); !ok {
		t.Error("a change was missed in a program whose services are not plain")
	}
}

func TestFolders(t *testing.T) {
	set, err := find(t, "./cmd/one")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("testdata", "sys"))
	if err != nil {
		t.Fatal(err)
	}
	folders := set.Folders()
	for _, want := range []string{"cart", "catalog", "catalog/pages/sub", "cmd/one", "shared", "stubs", "../../../../../../.."} {
		if !slices.Contains(folders, filepath.Join(root, filepath.FromSlash(want))) {
			t.Errorf("%s is not among %q", want, folders)
		}
	}
	if slices.Contains(folders, filepath.Join(root, "wrap")) {
		t.Error("a folder that the program does not import is among them")
	}
}
