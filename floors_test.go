package hanse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/hanse-go/hanse"

// floors gives each package of the module its floor, by its path or the first element of it. docs/architecture.md shows the picture.
var floors = map[string]float64{
	"internal":         0,
	"internal/http2":   0.5, // on internal/hpack
	"internal/systems": 0.5, // a record kept by internal/lease in internal/rundir
	"discovery":        1, "resilience": 1, "telemetry": 1, "identity": 1, "config": 1, "embednats": 1,
	"balancer": 2,
	// The seam between rpc and its wires is below both, and grpc-go's is one that rpc may take.
	"rpc/internal/wire": 2.5, "rpc/grpcwire": 2.75,
	"rpc": 3, "events": 3, "workflow": 3, "store": 3,
	"gateway": 4, "dashboard": 4,
	"":          5, // package hanse
	"hansetest": 6,
	"cmd":       7, "examples": 7, "bench": 7, "tools": 7,
}

// bans lists what a package must not reach, directly or through others, and why.
var bans = []struct {
	from    string // import path below the module; "*" is every package that is no test support and no main package
	reaches string // import path prefix
	why     string
}{
	{"rpc", "github.com/nats-io", "calls work without a backplane"},
	{"", "github.com/nats-io/nats-server", "a service links the client only; the server is 10 MiB more"},
	{"", module + "/dashboard", "the page belongs to the command"},
	{"", "github.com/spf13", "flags are the standard library's; cobra belongs to the command"},
	{"", "charm.land", "colours belong to the command"},
	{"", "modernc.org", "an SQL engine belongs to who asks for one"},
	{"", "golang.org/x/tools", "reading Go source belongs to the command"},
	{"", "github.com/bufbuild", "compiling protobuf files belongs to the command"},
	{"*", "testing", "it adds flags to the program that links it"},
}

type pkg struct {
	ImportPath string
	Name       string
	Imports    []string
	Deps       []string
	Module     struct{ Path string }
}

// TestFloors holds the direction of imports: down only, and a subpackage stands half a floor above its parent.
func TestFloors(t *testing.T) {
	for _, p := range listPackages(t, ".") {
		from := floorOf(t, p.ImportPath, p.Name == "main")
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") || sameCommand(p.ImportPath, imp) {
				continue
			}
			if to := floorOf(t, imp, false); to >= from {
				t.Errorf("%s (floor %v) imports %s (floor %v): a package imports lower floors only", p.ImportPath, from, imp, to)
			}
		}
	}
}

// TestBans holds what a package must not reach through any number of imports.
func TestBans(t *testing.T) {
	for _, p := range listPackages(t, ".") {
		rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		for _, ban := range bans {
			if ban.from != rel && !(ban.from == "*" && p.Name != "main" && !testSupport(rel)) {
				continue
			}
			for _, dep := range p.Deps {
				if dep == ban.reaches || strings.HasPrefix(dep, ban.reaches+"/") && ban.reaches != "testing" {
					t.Errorf("%s reaches %s, and must not: %s", p.ImportPath, dep, ban.why)
				}
			}
		}
	}
}

// TestNestedModules holds that modules beside the root's use its exported packages only.
func TestNestedModules(t *testing.T) {
	mods, err := filepath.Glob("*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("*/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, mod := range append(mods, deeper...) {
		dir := filepath.Dir(mod)
		if strings.HasPrefix(dir, "tools") || strings.HasPrefix(dir, ".") {
			continue
		}
		for _, p := range listPackages(t, dir) {
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, module+"/internal/") {
					t.Errorf("%s imports %s: a nested module uses exported packages only", p.ImportPath, imp)
				}
			}
		}
	}
}

func floorOf(t *testing.T, path string, main bool) float64 {
	t.Helper()
	rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	first, rest, _ := strings.Cut(rel, "/")
	if main {
		return floors["cmd"] + 0.5
	}
	if floor, ok := floors[rel]; ok {
		return floor
	}
	floor, ok := floors[first]
	if !ok {
		t.Fatalf("%s has no floor: add it to the table in floors_test.go and to docs/architecture.md", path)
	}
	if rest != "" && first != "internal" && first != "cmd" {
		floor += 0.5
	}
	return floor
}

// sameCommand reports whether both packages belong to one command, whose own packages have no floors among them.
func sameCommand(a, b string) bool {
	const cmd = module + "/cmd/"
	if !strings.HasPrefix(a, cmd) || !strings.HasPrefix(b, cmd) {
		return false
	}
	nameA, _, _ := strings.Cut(strings.TrimPrefix(a, cmd), "/")
	nameB, _, _ := strings.Cut(strings.TrimPrefix(b, cmd), "/")
	return nameA == nameB
}

func testSupport(rel string) bool {
	first, _, _ := strings.Cut(rel, "/")
	return strings.HasSuffix(rel, "test") || first == "cmd" || first == "hansetest"
}

func listPackages(t *testing.T, dir string) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-C", dir, "-json=ImportPath,Name,Imports,Deps,Module", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list in %s: %v\n%s", dir, err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}
