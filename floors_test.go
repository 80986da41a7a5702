package hanse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	stdpath "path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hanse-go/hanse"

// floors gives each package of the module its floor, by its path or the first element of it. docs/architecture.md shows the picture.
var floors = map[string]float64{
	"internal":            0,
	"internal/http2":      0.5,  // on internal/hpack
	"internal/httprule":   0.5,  // on internal/nearest and internal/scalar
	"internal/openapi":    0.75, // on internal/comments and internal/httprule
	"internal/otlp":       0.5,  // on internal/backoff
	"internal/reflection": 0.5,  // on internal/everywhere
	"telemetry/filter":    0.5,  // a grammar, on internal/nearest
	"internal/systems":    0.5,  // a record kept by internal/lease in internal/rundir
	"discovery":           1, "resilience": 1, "telemetry": 1, "identity": 1, "config": 1, "embednats": 1,
	"telemetry/collector":     1.75, // on telemetry/filter
	"telemetry/advise":        1.9,  // on telemetry/collector
	"balancer":                2,
	"discovery/natsdiscovery": 4,   // a driver: on discovery/driver
	"events/natsevents":       4,   // a driver: on events/driver
	"rpc/internal/wire":       2.5, // the seam between rpc and its wires is below both
	"rpc":                     3, "events": 3, "workflow": 3, "store": 3,
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
	{"", "github.com/modelcontextprotocol", "tools for agents are a module of their own"},
	{"rpc", module + "/embednats", "calls work without a backplane"},
	{"*", "github.com/coreos/go-oidc", "users' tokens belong to the command, and else to a module of their own"},
	{"*", "github.com/go-jose", "users' tokens belong to the command, and else to a module of their own"},
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
	deepest, err := filepath.Glob("*/*/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, mod := range slices.Concat(mods, deeper, deepest) {
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

// makers are what makes a server or a client connection of grpc-go, by import path.
var makers = map[string][]string{
	"google.golang.org/grpc":     {"NewServer", "NewClient", "Dial", "DialContext", "Server", "ClientConn"},
	"google.golang.org/grpc/xds": {"NewGRPCServer"},
}

// grpcgo lists the files and folders that make a grpc.Server or a grpc.ClientConn, and why; no other may.
var grpcgo = map[string]string{
	"rpc/grpcwire":            "grpc-go's transport, for who asks for it",
	"rpc/placeholder.go":      "what client interceptors are given for a connection; it never dials",
	"bench":                   "the peers of the measurements",
	"examples/migrate/before": "programs that have not moved to Hanse",
}

// TestGRPCGo holds that servers and connections of grpc-go are made in few places: all else speaks by a wire of Hanse's choice.
func TestGRPCGo(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != "." && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		made, err := makes(path, text)
		if err != nil {
			return err
		}
		place := filepath.ToSlash(path)
		for place != "." && grpcgo[place] == "" {
			place = stdpath.Dir(place)
		}
		used[place] = used[place] || made != nil
		if place == "." {
			for _, m := range made {
				t.Errorf("%s: a grpc.Server or grpc.ClientConn is made here: use package rpc, or say in the table above why not", m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for place := range grpcgo {
		if !used[place] {
			t.Errorf("nothing in %s makes a grpc.Server or a grpc.ClientConn any more: take it off the table", place)
		}
	}
}

// TestMakes holds that TestGRPCGo sees what it is there for.
func TestMakes(t *testing.T) {
	for _, tt := range []struct {
		code string
		want int
	}{
		{`import "google.golang.org/grpc"; var _ = grpc.NewServer()`, 1},
		{`import g "google.golang.org/grpc"; var cc, err = g.Dial("x"); var dial = g.DialContext`, 2},
		{`import . "google.golang.org/grpc"; var _ = NewServer()`, 1},
		{`import "google.golang.org/grpc"; var a, b = &grpc.Server{}, new(grpc.ClientConn)`, 2},
		{`import "google.golang.org/grpc"; var s grpc.Server`, 1},
		{`import "google.golang.org/grpc/xds"; var _, _ = xds.NewGRPCServer()`, 1},
		{`import "google.golang.org/grpc"; func f(s *grpc.Server, cc *grpc.ClientConn) (grpc.ServerStream, *grpc.Server) { return nil, s }`, 0},
		{`import "google.golang.org/grpc"; type f = func(grpc.UnaryInvoker, []*grpc.ClientConn)`, 0},
		{`import grpc "example.com/other"; var _ = grpc.NewServer()`, 0},
	} {
		if got, err := makes("x.go", []byte("package x; "+tt.code)); err != nil || len(got) != tt.want {
			t.Errorf("%s: %v, %v", tt.code, got, err)
		}
	}
}

// makes returns the positions in a file where a grpc.Server or a grpc.ClientConn is made, or what makes one is taken. Pointers to them may
// be named: interceptors have them in their types.
func makes(path string, text []byte) (found []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	names := map[string][]string{} // by what the file calls the package
	for _, imp := range file.Imports {
		from := strings.Trim(imp.Path.Value, `"`)
		as := stdpath.Base(from)
		if imp.Name != nil {
			as = imp.Name.Name
		}
		if made := makers[from]; made != nil && as == "." {
			found = append(found, fset.Position(imp.Pos()).String()) // its names cannot be told from others
		} else if made != nil {
			names[as] = made
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if star, ok := n.(*ast.StarExpr); ok {
			_, named := star.X.(*ast.SelectorExpr)
			return !named
		}
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(names[x.Name], sel.Sel.Name) {
				found = append(found, fset.Position(sel.Pos()).String())
			}
		}
		return true
	})
	return found, nil
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
