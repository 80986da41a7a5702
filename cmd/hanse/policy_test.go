package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// runs runs services in an app of their own, in the system "drill", until the test ends.
func runs(t *testing.T, faults bool, services ...*hanse.Service) *hanse.App {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	registry := &discovery.Local{System: "drill", Logger: quiet}
	app := &hanse.App{Registry: registry, AdminAddr: "127.0.0.1:0", AllowFaults: faults, Logger: quiet, DrainTimeout: time.Second}
	go func() { ended <- app.Run(ctx, services...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// Ready as soon as the registry says so of all.
	watching, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for _, s := range services {
		seen, done := context.WithCancel(watching)
		registry.Watch(seen, s.Name, func(list []discovery.Instance) {
			for _, i := range list {
				if i.State == discovery.Ready {
					done()
				}
			}
		})
		done()
	}
	return app
}

// types what a user types, and returns what is printed and what is said beside, with the exit status.
func types(t *testing.T, args ...string) (out, errs string, exit int) {
	t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	u := ui.New(os.Stdin, files[0], files[1], []string{"NO_COLOR=1"})
	root := newRoot(u)
	root.SetArgs(append(args, "--registry", "local:drill"))
	if err := root.ExecuteContext(t.Context()); err != nil {
		exit = u.Fail(err)
	}
	var texts [2]bytes.Buffer
	for i, f := range files {
		f.Seek(0, io.SeekStart)
		io.Copy(&texts[i], f)
	}
	return texts[0].String(), texts[1].String(), exit
}

func TestBeginsWith(t *testing.T) {
	list := []discovery.Instance{{ID: "ab1"}, {ID: "ab2"}, {ID: "c"}}
	for prefix, want := range map[string]string{"ab1": "ab1", "c": "c", "ab": "", "": "", "d": ""} {
		found, err := beginsWith(list, prefix)
		if (err == nil) != (want != "") || want != "" && (len(found) != 1 || found[0].ID != want) {
			t.Errorf("%q: %v, %v", prefix, found, err)
		}
	}
}

func TestPoliciesAndFaultsOfRunningServices(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("TMPDIR", os.Getenv("XDG_RUNTIME_DIR"))
	cart := &hanse.Service{Name: "cart"}
	var checked func(ctx context.Context, in *grpc_health_v1.HealthCheckRequest) error
	shop := &hanse.Service{Name: "shop", Setup: func(_ context.Context, s *hanse.Service) error {
		conn := s.Conn("cart")
		checked = func(ctx context.Context, in *grpc_health_v1.HealthCheckRequest) error {
			_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, in)
			return err
		}
		return nil
	}}
	runs(t, true, cart)
	runs(t, false, shop)
	check := func() error { return checked(t.Context(), &grpc_health_v1.HealthCheckRequest{}) }
	if err := check(); err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		args      string
		exit      int
		out, errs []string
	}{
		{args: "ps --policy", out: []string{"SERVICE", "cart", "shop", "makes", "breaker closed"}},
		{args: "ps crat --policy", exit: 1, errs: []string{"did you mean cart?"}},
		{args: "ps --policy --watch", exit: 2, errs: []string{"leave --watch out"}},
		{args: "policy set cart limit.wait=100ms rate.per-second=50", out: []string{"cart ", ": limit.wait=100ms", ": rate.per-second=50"}},
		{args: "policy set cart timeout=300ms breaker=off", out: []string{"shop ", ": timeout=300ms", ": breaker=off"}},
		{args: "ps shop --policy", out: []string{"breaker off"}},
		{args: "policy set cart limit.wiat=100ms", exit: 2, errs: []string{`no setting "limit.wiat"`, "did you mean limit, limit.wait"}},
		{args: "policy set cart limit.wait=soon", exit: 2, errs: []string{"soon"}},
		{args: "policy set cart limit.wait", exit: 2, errs: []string{"SETTING=VALUE"}},
		{args: "policy set cratt timeout=1s", exit: 1, errs: []string{`no service "cratt"`, "cart"}},
		{args: "policy set cart", exit: 2},

		{args: "chaos", out: []string{"no faults"}},
		{args: "chaos cart --error resource-exhausted --method /grpc.health.v1.Health/Check --for 1m", out: []string{"error ResourceExhausted", "/grpc.health.v1.Health/Check", "1m0s"}},
		{args: "chaos shop --error aborted", exit: 1, errs: []string{"--allow-faults"}},
		{args: "chaos cart --error resuorce_exhausted", exit: 2, errs: []string{"did you mean resource_exhausted"}},
		{args: "chaos cart --for 1m", exit: 2, errs: []string{"--for alone"}},
		{args: "chaos --error aborted", exit: 2, errs: []string{"whose calls"}},
		{args: "chaos cart --error aborted --stop", exit: 2, errs: []string{"--stop"}},
		{args: "chaos cart --error aborted --instance nobody", exit: 2, errs: []string{"begins with", "there are "}},
		{args: "chaos cart --delay 1s --percent 300", exit: 2, errs: []string{"percentage"}},
	} {
		out, errs, exit := types(t, strings.Fields(test.args)...)
		if exit != test.exit {
			t.Errorf("hanse %s: status %d\n%s%s", test.args, exit, out, errs)
		}
		for _, want := range test.out {
			if !strings.Contains(out, want) {
				t.Errorf("hanse %s does not say %q:\n%s%s", test.args, want, out, errs)
			}
		}
		for _, want := range test.errs {
			if !strings.Contains(errs, want) {
				t.Errorf("hanse %s does not say %q: %s", test.args, want, errs)
			}
		}
	}

	if err := check(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the fault does nothing: %v", err)
	}
	out, _, _ := types(t, "chaos", "cart", "--json")
	var faults []faultRow
	if err := json.Unmarshal([]byte(out), &faults); err != nil || len(faults) != 1 || faults[0].Service != "cart" || faults[0].Calls == 0 {
		t.Errorf("%v: %s", err, out)
	}
	if out, errs, exit := types(t, "chaos", "cart", "--delay", "1ms", "--instance", faults[0].Instance[:8]); exit != 0 || !strings.Contains(out, "delay 1ms") {
		t.Error(out, errs, exit)
	}
	out, _, _ = types(t, "ps", "shop", "--policy", "--json")
	var rows []policyRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0].Side != "makes" || rows[0].Of != "cart" {
		t.Errorf("%v: %s", err, out)
	}
	if out, errs, exit := types(t, "chaos", "--stop"); exit != 0 || !strings.Contains(out, "no faults") {
		t.Error(out, errs, exit)
	}
	if err := check(); err != nil {
		t.Error(err)
	}
}
