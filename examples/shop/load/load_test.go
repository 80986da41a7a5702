package load_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/load"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// open runs the shop until the test ends.
func open(t *testing.T, intercept grpc.UnaryServerInterceptor, streams ...grpc.StreamServerInterceptor) *hanse.App {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("SHOP_DATA", dir)
	settings := filepath.Join(dir, "settings.yaml")
	if err := os.WriteFile(settings, []byte("orders: {step: 50ms}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := &hanse.App{Logger: slog.New(slog.DiscardHandler), ConfigFile: settings, StreamInterceptors: streams, Broker: new(events.Memory)}
	if intercept != nil {
		app.UnaryInterceptors = []grpc.UnaryServerInterceptor{intercept}
	}
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
	})
	return app
}

// TestRun lets visitors come until each kind of request was seen.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen sync.Map
	see := func(method string) {
		seen.Store(method[strings.LastIndex(method, "/")+1:], true)
		for _, name := range []string{"ListProducts", "SearchProducts", "GetProduct", "AddItem", "Quote", "PlaceOrder", "WatchOrder", "GetOrder"} {
			if _, ok := seen.Load(name); !ok {
				return
			}
		}
		cancel()
	}
	app := open(t, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		see(info.FullMethod)
		return handler(ctx, req)
	}, func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		see(info.FullMethod)
		return handler(srv, stream)
	})
	ticked := make(chan load.Progress, 1)
	l := &load.Load{App: app, Rate: 200, Timeout: time.Minute, Progress: func(p load.Progress) {
		select {
		case ticked <- p:
		default:
		}
	}}
	report, err := l.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if report.Sent == 0 || report.Counts != (load.Counts{Sent: report.Sent, OK: report.Sent}) {
		t.Errorf("%v; %+v", report.Counts, report.Methods)
	}
	if context.Cause(ctx) == context.DeadlineExceeded {
		t.Error("not each kind of request was made in a minute")
	}
	if time.Duration(report.Elapsed) > 1500*time.Millisecond { // else it may have ended before the first
		if p := <-ticked; p.Sent == 0 || p.Elapsed <= 0 || p.Rate <= 0 {
			t.Errorf("progress: %+v", p)
		}
	}
	var sum uint64
	for _, m := range report.Methods {
		sum += m.Sent
		if !m.Safe {
			t.Errorf("%s is not marked as safe", m.Name)
		}
		if m.Latency.P50 <= 0 || m.Latency.Most < m.Latency.P99 || m.Latency.P99 < m.Latency.P50 {
			t.Errorf("%s: %+v", m.Name, m.Latency)
		}
	}
	if sum != report.Sent {
		t.Errorf("the methods' requests are %d, all are %d", sum, report.Sent)
	}

	var table strings.Builder
	if _, err := report.WriteTo(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "shop.checkout.v1.Checkout/PlaceOrder") {
		t.Errorf("the table is\n%s", &table)
	}
	var doc struct {
		Sent    int
		Latency struct {
			P99 float64 `json:"p99_ms"`
		}
		Methods []struct{ Method string }
	}
	if b, err := json.Marshal(report); err != nil {
		t.Error(err)
	} else if err := json.Unmarshal(b, &doc); err != nil || doc.Sent != int(report.Sent) || doc.Latency.P99 <= 0 || len(doc.Methods) != len(report.Methods) {
		t.Errorf("%v: %s", err, b)
	}
}

// TestOpenLoop holds all answers back: requests come due all the same, those that cannot be sent have failed, and the time that the others
// waited is their latency.
func TestOpenLoop(t *testing.T) {
	var looked atomic.Bool // the look around at the start is over
	release := make(chan struct{})
	app := open(t, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if looked.Load() {
			<-release
		}
		if strings.HasSuffix(info.FullMethod, "/ListProducts") {
			looked.Store(true)
		}
		return handler(ctx, req)
	})
	open := true
	l := &load.Load{App: app, Rate: 100, Duration: 300 * time.Millisecond, Timeout: time.Minute, Limit: 5, Progress: func(p load.Progress) {
		if open && p.Sent+p.NotSent == 30 {
			open = false
			close(release)
		}
	}}
	report, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (load.Counts{Sent: 5, OK: 5, NotSent: 25, Failed: 25}); report.Counts != want {
		t.Errorf("%v, want %v", report.Counts, want)
	}
	if time.Duration(report.Latency.P50) < 600*time.Millisecond { // released after a second at the earliest
		t.Errorf("latency %+v", report.Latency)
	}
}

func TestFailures(t *testing.T) {
	app := open(t, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if strings.HasSuffix(info.FullMethod, "/ListRecommendations") {
			return nil, status.Error(codes.Internal, "no idea")
		}
		return handler(ctx, req)
	})
	report, err := (&load.Load{App: app, Rate: 200, Duration: time.Second / 2, Timeout: time.Minute}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Sent != 100 || report.Failed == 0 || report.OK+report.Failed != 100 || report.FailedSafe() != report.Failed {
		t.Errorf("%v, %d of safe methods", report.Counts, report.FailedSafe())
	}
	for _, m := range report.Methods {
		if bad := strings.HasSuffix(m.Name, "/ListRecommendations"); bad != (m.Failed > 0) || bad && m.Problems[0] != (load.Problem{Text: "Internal: no idea", Count: m.Failed}) {
			t.Errorf("%s: %v, %v", m.Name, m.Counts, m.Problems)
		}
	}
}

func TestMistakes(t *testing.T) {
	app := &hanse.App{}
	defer app.Close()
	for _, l := range []*load.Load{{}, {App: app, Rate: -1}, {App: app, Rate: 1e9}, {App: app, Duration: -1}, {App: app, Limit: -1}} {
		if _, err := l.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "load: ") {
			t.Errorf("%+v: %v", l, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&load.Load{App: app}).Run(ctx); err == nil || !strings.Contains(err.Error(), "the shop is not open") {
		t.Error(err)
	}
}
