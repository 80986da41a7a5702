package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// open runs the shop in a system of the test's own, where loadgen finds it. Methods that end in broken fail.
func open(t *testing.T, broken string) {
	t.Helper()
	tmp, err := os.MkdirTemp("", "lg") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", tmp)
	t.Setenv("HANSE_REGISTRY", "local:loadgen")
	t.Setenv("HANSE_LOG_LEVEL", "error")
	t.Setenv("SHOP_DATA", t.TempDir())
	registry, err := discovery.Parse("local:loadgen", nil)
	if err != nil {
		t.Fatal(err)
	}
	app := &hanse.App{Logger: slog.New(slog.DiscardHandler), Registry: registry, Broker: new(events.Memory)}
	app.UnaryInterceptors = append(app.UnaryInterceptors, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if broken != "" && strings.HasSuffix(info.FullMethod, broken) {
			return nil, status.Error(codes.Internal, "broken for the test")
		}
		return handler(ctx, req)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, cart.Service(), catalog.Service(), checkout.Service(), currency.Service(), orders.Service(), payment.Service(),
			recommendation.Service(), shipping.Service())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(tmp); err != nil {
			t.Error(err)
		}
	})
}

func TestTable(t *testing.T) {
	open(t, "")
	var out, errs strings.Builder
	if code := run([]string{"--rate", "100", "--duration", "1200ms", "--timeout", "1m"}, &out, &errs); code != 0 {
		t.Errorf("status %d: %s", code, &errs)
	}
	for _, want := range []string{"SENT", "SAFE", "shop.catalog.v1.Catalog/GetProduct", "at 100 requests/s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &out)
		}
	}
	if !strings.Contains(errs.String(), "/s   ok ") || !strings.Contains(errs.String(), "p99") {
		t.Errorf("the live line is %q", errs.String())
	}
}

func TestFailuresAsJSON(t *testing.T) {
	open(t, "/GetPicture")
	var out, errs strings.Builder
	if code := run([]string{"--rate", "200", "--duration", "500ms", "--timeout", "1m", "--json"}, &out, &errs); code != 1 {
		t.Errorf("status %d: %s", code, &errs)
	}
	var report struct {
		Sent, OK, Failed int
		Methods          []struct {
			Method   string
			Safe     bool
			Failed   int
			Problems []struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil || report.Sent != 100 || report.Failed == 0 || report.OK+report.Failed != 100 {
		t.Fatalf("%v: %s", err, &out)
	}
	for _, m := range report.Methods {
		if bad := strings.HasSuffix(m.Method, "/GetPicture"); bad != (m.Failed > 0) || bad && m.Problems[0].Text != "Internal: broken for the test" {
			t.Errorf("%+v", m)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, 0, "requests that are due in a second"},
		{[]string{"--rat", "5"}, 2, "-rate"},
		{[]string{"now"}, 2, `takes no arguments, got ["now"]`},
		{[]string{"--rate", "-5"}, 1, "the rate is -5"},
		{[]string{"--duration", "-5s"}, 1, "duration (-5s)"},
	} {
		t.Setenv("HANSE_REGISTRY", "memory:")
		var out, errs strings.Builder
		if code := run(tt.args, &out, &errs); code != tt.code || !strings.Contains(errs.String(), tt.says) {
			t.Errorf("%q: status %d: %s", tt.args, code, &errs)
		}
	}
}
