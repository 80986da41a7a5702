package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/hot"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// waitForIt is what a goroutine of the profiled service does.
func waitForIt(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestProfile(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("TMPDIR", os.Getenv("XDG_RUNTIME_DIR"))
	t.Chdir(t.TempDir())
	idle := &hanse.Service{Name: "idle"}
	idle.Go("wait", waitForIt)
	runs(t, false, idle)

	// What each prints as JSON, and that the file is what it says.
	for _, tt := range []struct {
		flags        []string
		kind, sample string
		unit         string
	}{
		{[]string{"--cpu", "50ms"}, "cpu", "cpu", "nanoseconds"},
		{[]string{"--heap"}, "heap", "inuse_space", "bytes"},
		{[]string{"--allocs"}, "allocs", "alloc_space", "bytes"},
		{[]string{"--goroutine"}, "goroutine", "goroutine", "count"},
		{[]string{"--block", "50ms"}, "block", "delay", "nanoseconds"},
		{[]string{"--mutex", "50ms"}, "mutex", "delay", "nanoseconds"},
	} {
		out, errs, exit := types(t, append([]string{"profile", "idle", "--json"}, tt.flags...)...)
		var got profiled
		if exit != 0 || json.Unmarshal([]byte(out), &got) != nil {
			t.Fatalf("%v: status %d: %s%s", tt.flags, exit, out, errs)
		}
		if got.Service != "idle" || got.Profile != tt.kind || got.Kind != tt.sample || got.Unit != tt.unit {
			t.Errorf("%v: %s", tt.flags, out)
		}
		if matched, _ := filepath.Match("idle-"+tt.kind+"-*-*.pb.gz", got.File); !matched {
			t.Errorf("%v: the file is %s", tt.flags, got.File)
		}
		f, err := os.Open(got.File)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := hot.Read(f, tt.sample, 1); err != nil {
			t.Errorf("%v: %v", tt.flags, err)
		}
		f.Close()
		if tt.kind == "goroutine" && !slices.ContainsFunc(got.Functions, func(f hot.Function) bool { return f.Name == "runtime.gopark" && f.Flat > 0 }) {
			t.Errorf("no goroutine waits: %s", out)
		}
	}

	out, errs, exit := types(t, "profile", "idle", "--goroutine", "--top", "1000", "-o", "g.pb.gz")
	for _, want := range []string{"goroutine of idle ", ": g.pb.gz\n", "\nFLAT", "waitForIt", "\nlook closer: go tool pprof -http=localhost:0 g.pb.gz\n"} {
		if exit != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q: status %d: %s%s", want, exit, out, errs)
		}
	}
	if out, errs, exit := types(t, "profile", "idle", "--trace", "50ms", "-o", "t.out"); exit != 0 || !strings.Contains(out, "go tool trace t.out") {
		t.Errorf("status %d: %s%s", exit, out, errs)
	}
	if text, err := os.ReadFile("t.out"); err != nil || !strings.HasPrefix(string(text), "go 1.") {
		t.Errorf("a trace: %.20q, %v", text, err)
	}
	if left, _ := filepath.Glob(".profile-*"); left != nil {
		t.Errorf("left behind: %v", left)
	}

	for _, tt := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"profile", "idel"}, 1, "did you mean idle?"},
		{[]string{"profile", "idle", "--heap", "--allocs"}, 2, ""},
		{[]string{"profile", "idle", "--cpu", "6m"}, 2, "at most 5m0s"},
		{[]string{"profile", "idle", "--heap", "--instance", "?"}, 2, "no instance has an ID"},
		{[]string{"profile", "idle", "--heap", "-o", "none/x"}, 1, "none"},
		{[]string{"profile", "idle", "--top", "0"}, 2, "--top"},
	} {
		if out, errs, exit := types(t, tt.args...); exit != tt.exit || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%v: status %d: %s%s", tt.args, exit, out, errs)
		}
	}
}

func TestProfileFindsNoAdminListener(t *testing.T) {
	out, errs, exit := types(t, "profile", "mail", "--heap", "--registry", "static:mail=127.0.0.1:1")
	if exit != 1 || out != "" || !strings.Contains(errs, "no admin listener") {
		t.Errorf("status %d: %s%s", exit, out, errs)
	}
}

// A profile with nothing in it says what that means, and what to do.
func TestEmptyProfile(t *testing.T) {
	for kind, wants := range map[string][]string{
		"cpu":    {"used next to no processor time", "call the service while the profile is taken", "--cpu 1m", "--block 10s"},
		"heap":   {"no sample", "when the service has worked", "--allocs"},
		"allocs": {"no sample", "when the service has worked"},
		"block":  {"no wait for a channel or a lock ended", "call the service while the profile is taken", "--block 1m", "--goroutine"},
		"mutex":  {"nobody had to wait for a lock", "call the service while the profile is taken", "--mutex 1m", "--block 10s"},
	} {
		k := profileKinds[slices.IndexFunc(profileKinds, func(k profileKind) bool { return k.flag == kind })]
		var out strings.Builder
		printProfile(&ui.UI{Out: &out}, k, &profiled{Service: "cart", Instance: "c1", Profile: kind, File: "f", Summary: &hot.Summary{Kind: k.sample, Unit: "count"}})
		for _, want := range append(wants, "nothing is in it: ") {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", kind, want, out.String())
			}
		}
	}
	for _, k := range profileKinds {
		if k.sample != "" && (k.empty == "" || k.then == "") {
			t.Errorf("nothing is said of an empty profile of %s", k.flag)
		}
	}
}
