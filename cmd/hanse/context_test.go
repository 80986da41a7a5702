package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/call"
	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/spf13/cobra"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// contextsFile makes a contexts.yaml that counts for this test.
func contextsFile(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "contexts.yaml")
	write(t, file, text)
	t.Setenv("HANSE_CONTEXTS", file)
	for _, name := range []string{"HANSE_CONTEXT", "HANSE_SYSTEM", "HANSE_BACKPLANE", "HANSE_REGISTRY"} {
		t.Setenv(name, "")
	}
}

const someContexts = `contexts:
  - {name: prod, backplane: "nats://hush@127.0.0.1:1", system: shop, production: true}
  - {name: staging, registry: "local:staging", identity: certs}
`

// What changes the events of a context that is marked production needs its name twice.
func TestProductionEvents(t *testing.T) {
	contextsFile(t, someContexts)
	for _, c := range []struct {
		args    string
		changes bool
		want    string // of the error
	}{
		{"--context prod", false, ""},
		{"--context prod", true, "marked production, and this changes it; add --confirm prod to do it"},
		{"--context prod --confirm prd", true, "marked production"},
		{"--context prod --confirm prod", true, ""},
		{"--context prod --dry-run", true, ""},
		{"--context staging", false, "has no backplane"},
		{"--context prod --system x", false, "keep one of them"},
		{"--context pord", false, "did you mean prod?"},
	} {
		var f eventsFlags
		cmd := &cobra.Command{}
		if c.changes {
			f.addChanging(cmd)
			cmd.Flags().Bool("dry-run", false, "")
		} else {
			f.add(cmd)
			cmd.Flags().Bool("dry-run", false, "")
		}
		if err := cmd.ParseFlags(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		at, url, err := f.find()
		switch {
		case c.want == "" && (err != nil || at.system != "shop" || url != "nats://hush@127.0.0.1:1"):
			t.Errorf("%s: %v", c.args, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

// TestContextCombinations says of all combinations of flags and variables which context counts, which are refused, and that what changes something is
// done in production only with its name twice.
func TestContextCombinations(t *testing.T) {
	contextsFile(t, `contexts:
  - {name: prod, registry: "static:cart=127.0.0.1:1", production: true}
  - {name: staging, registry: "static:cart=127.0.0.1:2"}
`)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Chdir(t.TempDir())
	unsafe := &call.Method{Desc: healthpb.File_grpc_health_v1_health_proto.Services().Get(0).Methods().ByName("Check")}
	contextFlags := map[string]string{"": "", "--context=": "", "--context=prod": "prod", "--context=staging": "staging"}
	places := []string{"", "--registry=static:cart=127.0.0.1:3", "--backplane=nats://127.0.0.1:1", "--system=shop", "--system=other", "--system="}
	fixed := []string{"", "--target=127.0.0.1:4", "--target=cart=127.0.0.1:4", "--target=catalog=127.0.0.1:4"}
	for _, variable := range []string{"", "prod", "staging"} {
		for _, system := range []string{"", "shop"} {
			for _, target := range []string{"", "cart=127.0.0.1:5"} {
				for flag, named := range contextFlags {
					for _, place := range places {
						for _, to := range fixed {
							for _, confirm := range []string{"", "prod", "staging"} {
								t.Setenv("HANSE_CONTEXT", variable)
								t.Setenv("HANSE_SYSTEM", system)
								t.Setenv("HANSE_TARGET", target)
								args := []string{flag, place, to, "--confirm=" + confirm}
								args = slices.DeleteFunc(args, func(a string) bool { return a == "" || a == "--confirm=" })
								what := fmt.Sprintf("HANSE_CONTEXT=%s HANSE_SYSTEM=%s HANSE_TARGET=%s hanse call %s cart/Check", variable, system, target, strings.Join(args, " "))

								// What the guide says: a flag wins over HANSE_CONTEXT, and is a mistake beside --context.
								elsewhere := place != "" && place != "--system="
								context, conflict := named, named != "" && (elsewhere || to != "")
								toFixed := to == fixed[1] || to == fixed[2]
								if flag == "" && !elsewhere && !toFixed {
									context = variable
								}
								refused := context == "prod" && confirm != "prod"

								var f callFlags
								cmd := &cobra.Command{}
								f.add(cmd)
								if err := cmd.ParseFlags(args); err != nil {
									t.Fatal(what, err)
								}
								err := f.readTargets()
								var at *connection
								if err == nil {
									at, err = f.connect(t.Context(), "cart")
								}
								if conflict {
									if err == nil || !strings.Contains(err.Error(), "--context says where the system is, and so does --") {
										t.Errorf("%s: %v, want that it is refused", what, err)
									}
								} else if err != nil {
									if context != "" || strings.Contains(err.Error(), "says where") {
										t.Errorf("%s: %v", what, err)
									}
								} else {
									got := ""
									if at.where != nil && at.where.context != nil {
										got = at.where.context.Name
									}
									if err := at.mayCall(unsafe); got != context || (err != nil) != refused {
										t.Errorf("%s: in the context %q, want %q; %v, want refused %v", what, got, context, err, refused)
									}
								}
								if at != nil {
									at.end()
								}
								if to != "" {
									continue
								}
								p, err := f.place.find() // as commands that have no --target do
								if conflict != (err != nil && strings.Contains(err.Error(), "so does")) {
									t.Errorf("%s: the place: %v", what, err)
								}
								if err == nil && (p.mayChange() != nil) != refused {
									t.Errorf("%s: %v, want refused %v", what, p.mayChange(), refused)
								}
							}
						}
					}
				}
			}
		}
	}
}

func TestContextPlace(t *testing.T) {
	contextsFile(t, someContexts)
	place := func(args ...string) (*place, error) {
		t.Helper()
		var f outsideFlags
		cmd := &cobra.Command{}
		f.add(cmd)
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		return f.find()
	}
	if p, err := place("--context", "staging"); err != nil || p.context.Name != "staging" || !filepath.IsAbs(p.context.Identity) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := place("--context", "prod"); err == nil || !strings.Contains(err.Error(), "does not answer") || strings.Contains(err.Error(), "hush") {
		t.Errorf("a backplane that is away: %v", err)
	}
	if _, err := place("--context", "staging", "--registry", "local:x"); err == nil || !strings.Contains(err.Error(), "and so does --registry; keep one of them") {
		t.Errorf("both: %v", err)
	}
	if _, err := place("--context", "staging", "--backplane", "nats://x"); err == nil || !strings.Contains(err.Error(), "and so does --backplane; keep one of them") {
		t.Errorf("both: %v", err)
	}
	t.Setenv("HANSE_CONTEXT", "staging")
	if p, err := place("--registry", "local:x"); err != nil || p.context != nil || p.backplane != "" {
		t.Errorf("a flag against the environment: %+v, %v", p, err)
	}
	if p, err := place(); err != nil || p.context == nil {
		t.Errorf("of the environment: %+v, %v", p, err)
	}
}

// A dashboard is known by its place, whichever flags said where that is.
func TestPlaceKey(t *testing.T) {
	contextsFile(t, someContexts)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	key := func(urls, backplane, system string) string {
		t.Helper()
		p, err := placeOn(strings.Fields(urls), backplane, system)
		if err != nil {
			t.Fatal(err)
		}
		return p.key()
	}
	seen := map[string]string{}
	for _, at := range [][3]string{
		{"local:a", "", ""}, {"local:b", "", ""}, {"local:a local:b", "", ""}, {"local:a", "nats://one:4222", ""}, {"local:a", "nats://one:4222", "shop"}, {"local:a", "nats://two:4222", "shop"},
	} {
		k := key(at[0], at[1], at[2])
		if other, taken := seen[k]; taken {
			t.Errorf("%q and %s are both %s", at, other, k)
		}
		seen[k] = strings.Join(at[:], ", ")
	}
	if a, b := key("local:a", "nats://mine@one:4222", ""), key("local:a", "nats://other@one:4222", "default"); a != b {
		t.Errorf("the default and another secret: %s and %s", a, b)
	}
	if a, b := key("local:a", "", "shop"), key("local:a", "", ""); a != b {
		t.Errorf("a system that is only called so: %s and %s", a, b)
	}
	p, err := placeOn([]string{"local:staging"}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	plain := p.key()
	file, err := contexts.Read()
	if err != nil {
		t.Fatal(err)
	}
	if p.context = &file.Contexts[1]; p.key() == plain || p.key() != outside.ContextKey("staging") {
		t.Errorf("in a context it is %s", p.key())
	}
}
