package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/contexts"
	"github.com/hanse-go/hanse/cmd/hanse/internal/outside"
	"github.com/spf13/cobra"
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
