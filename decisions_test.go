package hanse_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/rpc"
)

// TestDecisions holds that what a policy did to calls is among the numbers.
func TestDecisions(t *testing.T) {
	cart := greeterNamed("cart")
	cart.Policy = resilience.Policy{Rate: resilience.Rate{PerSecond: 0.001, Burst: 1}}
	app := &hanse.App{AdminAddr: "127.0.0.1:0"}
	var conn *rpc.Conn
	caller := &hanse.Service{Name: "caller", Setup: func(_ context.Context, s *hanse.Service) error {
		conn = s.Conn("cart")
		return nil
	}}
	r := run(t, app, cart, caller)
	for _, want := range []string{"Hello, x!", "ResourceExhausted", "ResourceExhausted"} {
		if got := hello(conn, "x"); !strings.Contains(got, want) {
			t.Errorf("got %s", got)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.instances["cart"].Admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, body := roundTrip(t, req)
	const want = `hanse_policy_decisions_total{hanse_reason="rate-limited",otel_scope_name="github.com/hanse-go/hanse",rpc_method="grpc.testing.TestService/UnaryCall",service_name="cart"} 2`
	if !strings.Contains(body, want) {
		t.Errorf("no %s in %s", want, body)
	}
}
