package hanse_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
)

func TestAdmin(t *testing.T) {
	broken := make(chan error, 1)
	broken <- nil
	cart := greeterNamed("cart")
	cart.Check("database", func(context.Context) error {
		err := <-broken
		broken <- err
		return err
	})
	hang := make(chan struct{})
	defer close(hang)
	stuck := &hanse.Service{Name: "stuck"}
	stuck.Check("deaf", func(context.Context) error { <-hang; return nil })
	stuck.Check("panics", func(context.Context) error { panic("ouch") })
	r := run(t, &hanse.App{AdminAddr: "127.0.0.1:0"}, cart, stuck)

	base := "http://" + r.instances["cart"].Admin
	get := func(path, accept string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, body := roundTrip(t, req)
		return resp.StatusCode, body
	}
	for _, tt := range []struct {
		path, accept string
		code         int
		want         string
	}{
		{"/", "", 200, `<a href="/readyz">`},
		{"/healthz", "", 200, "ok\n"},
		{"/readyz?service=cart", "", 200, "ok    cart database\n"},
		{"/readyz?service=crat", "", 404, "did you mean cart?"},
		{"/readyz", "", 503, "fail  stuck deaf: no answer within 900ms\nfail  stuck panics: panic: ouch"},
		{"/readyz", "application/json", 503, `{"service":"stuck","check":"deaf","reason":"no answer within 900ms"}`},
		{"/metrics", "", 200, "\ngo_goroutine_count "},
		{"/metrics", "application/openmetrics-text", 200, "\n# EOF\n"},
		{"/debug/pprof/", "", 200, `<a href="goroutine?debug=1">`},
		{"/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile: total"},
		{"/debug/pprof/nothing", "", 404, "no such profile"},
		{"/debug/pprof/heap?gc=1", "", 200, "\x1f\x8b"},
		{"/debug/pprof/mutex?seconds=0.01", "", 200, "\x1f\x8b"},
		{"/debug/pprof/block?seconds=0.01&debug=1", "", 200, "--- contention:"},
		{"/debug/pprof/profile?seconds=0.05", "", 200, "\x1f\x8b"},
		{"/debug/pprof/trace?seconds=0.05", "", 200, "go 1."},
	} {
		if code, body := get(tt.path, tt.accept); code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("GET %s: %d %.300q, want %d %q", tt.path, code, body, tt.code, tt.want)
		}
	}
	<-broken
	broken <- errTest
	if code, body := get("/readyz?service=cart", ""); code != 503 || !strings.Contains(body, "fail  cart database: this went wrong") {
		t.Errorf("with a broken database: %d %q", code, body)
	}
	var answer struct {
		Ready bool
		State string
	}
	if _, body := get("/readyz?service=cart", "application/json"); json.Unmarshal([]byte(body), &answer) != nil || answer.Ready || answer.State != "ready" {
		t.Errorf("as JSON: %q", body)
	}
}
