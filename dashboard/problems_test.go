package dashboard_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestMissing holds that a service that is called and has no instance is shown as wrong, with why and what to do.
func TestMissing(t *testing.T) {
	kept := &collector.Collector{Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- kept.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := kept.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	otlp := httptest.NewServer(kept.Handler())
	defer otlp.Close()
	tel, err := telemetry.New(telemetry.Config{Traces: telemetry.Export{URL: otlp.URL + "/v1/traces"}, Sampler: telemetry.AlwaysOn})
	if err != nil {
		t.Fatal(err)
	}
	sending, end := context.WithCancel(context.Background())
	sent := make(chan error, 1)
	go func() { sent <- tel.Run(sending) }()
	shop := tel.Service("shop", "", "")
	for to, err := range map[string]error{
		"cart": status.Error(codes.Unavailable, "no instance"), "stock": status.Error(codes.NotFound, "gone"), "mail": status.Error(codes.Unavailable, "no instance"),
		"nobody": status.Error(codes.Unavailable, "no instance"), "fine": nil, "localhost": status.Error(codes.Unavailable, "refused"),
	} {
		for range 3 {
			shop.Calls("/p.S/M", to).Begin(t.Context()).End(err)
		}
	}
	end()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}

	sys := newSystem()
	failed := dashboard.Instance{ID: "2", State: "failed", Reason: "exit status 1: the port is taken"}
	sys.state.Services = []dashboard.Service{
		{Name: "cart"}, {Name: "fine"}, {Name: "mail", Instances: []dashboard.Instance{{ID: "1", State: "starting"}, failed}},
		{Name: "stock", Instances: []dashboard.Instance{failed, {ID: "3", State: "ready"}}},
	}
	c, base := in(t, &dashboard.Server{System: sys, Collector: kept})
	missing := func() (got []string) {
		_, text := ask(t, c, "GET", base+"/api/problems", "")
		var answer struct{ Problems []collector.Problem }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for _, p := range answer.Problems {
			if p.Kind == "missing" {
				if p.Severity != "error" || p.Filter != "service:shop status:error" || p.Since.IsZero() {
					t.Errorf("%+v", p)
				}
				got = append(got, p.Service+" | "+p.Title+" | "+p.Reason)
			}
		}
		return got
	}
	if got := missing(); len(got) > 0 {
		t.Errorf("while the system starts: %q", got)
	}
	sys.state.Ready = true
	want := []string{
		"cart | cart has no instance that takes calls: 3 failed | none runs; start it: hanse start cart",
		"mail | mail has no instance that takes calls: 3 failed | the last one failed: exit status 1: the port is taken; its lines: hanse logs mail",
		"nobody | nobody has no instance that takes calls: 3 failed | no service of that name is known here; see which there are: hanse ps",
	}
	var got []string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if got = missing(); len(got) >= len(want) {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
