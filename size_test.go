package hanse_test

import (
	"debug/buildinfo"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxHelloSize bounds the smallest service, stripped.
const maxHelloSize = 20 << 20

// linked lists the modules that every service may link. docs/dependencies.md says what each is for.
var linked = []string{
	"github.com/cespare/xxhash/v2",
	"github.com/fsnotify/fsnotify",
	"github.com/go-logr/logr",
	"github.com/go-logr/stdr",
	"github.com/goccy/go-yaml",
	"github.com/google/uuid",
	"github.com/klauspost/compress",
	"github.com/lmittmann/tint",
	"github.com/nats-io/nats.go",
	"github.com/nats-io/nkeys",
	"github.com/nats-io/nuid",
	"go.opentelemetry.io/auto/sdk",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/log",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/sdk",
	"go.opentelemetry.io/otel/sdk/metric",
	"go.opentelemetry.io/otel/trace",
	"golang.org/x/crypto",
	"golang.org/x/net",
	"golang.org/x/sys",
	"golang.org/x/term",
	"golang.org/x/text",
	"google.golang.org/genproto/googleapis/api",
	"google.golang.org/genproto/googleapis/rpc",
	"google.golang.org/grpc",
	"google.golang.org/protobuf",
}

// TestSize builds the smallest service and holds its size and the modules in it.
func TestSize(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "hello")
	build := exec.Command("go", "build", "-C", "examples", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./hello")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the smallest service: %.1f MiB", float64(file.Size())/(1<<20))
	if file.Size() > maxHelloSize {
		t.Errorf("the smallest service has %d bytes, more than %d", file.Size(), maxHelloSize)
	}

	info, err := buildinfo.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, dep := range info.Deps {
		if dep.Path != module {
			found[dep.Path] = true
		}
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, linked) {
		t.Errorf("the smallest service links\n%s\nand should link\n%s\nA new module needs a reason in docs/dependencies.md.", strings.Join(got, "\n"), strings.Join(linked, "\n"))
	}
	doc, err := os.ReadFile("docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range linked {
		if !strings.Contains(string(doc), path) {
			t.Errorf("docs/dependencies.md does not name %s", path)
		}
	}
}

// TestGRPCWireIsNotLinked holds that a service links grpc-go's transport only when its program asks for it.
func TestGRPCWireIsNotLinked(t *testing.T) {
	for _, p := range listPackages(t, "examples") {
		if p.Name == "main" && slices.Contains(p.Deps, module+"/rpc/grpcwire") {
			t.Errorf("%s links rpc/grpcwire: its own code does not ask for it, so some package of Hanse does", p.ImportPath)
		}
	}
}
