package hanse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

func greeterNamed(name string) *hanse.Service {
	s := greeter()
	s.Name = name
	return s
}

func TestHealth(t *testing.T) {
	broken := make(chan error, 1)
	broken <- nil
	cart := greeterNamed("cart")
	cart.Check("database", func(context.Context) error {
		err := <-broken
		broken <- err
		return err
	})
	payment := &hanse.Service{Name: "payment"}
	testpb.RegisterUnimplementedServiceServer(payment, testpb.UnimplementedUnimplementedServiceServer{})
	r := run(t, new(hanse.App), cart, payment)
	client := healthpb.NewHealthClient(r.stock("cart"))
	inProcess := healthpb.NewHealthClient(r.Conn("cart"))

	const up, down = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
	check := func(want map[string]healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for service, status := range want {
			for path, c := range map[string]healthpb.HealthClient{"TCP": client, "in process": inProcess} {
				resp, err := c.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
				if err != nil || resp.Status != status {
					t.Errorf("health of %q by %s: %v, %v, want %v", service, path, resp.GetStatus(), err, status)
				}
			}
		}
	}
	check(map[string]healthpb.HealthCheckResponse_ServingStatus{"": up, "cart": up, "payment": up,
		"grpc.testing.TestService": up, "grpc.testing.UnimplementedService": up})
	<-broken
	broken <- errTest
	check(map[string]healthpb.HealthCheckResponse_ServingStatus{"": down, "cart": down, "payment": up,
		"grpc.testing.TestService": down, "grpc.testing.UnimplementedService": up})
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"}); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "cart, payment") {
		t.Errorf("health of an unknown service: %v", err)
	}
	all, err := client.List(t.Context(), &healthpb.HealthListRequest{})
	if err != nil || len(all.Statuses) != 3 || all.Statuses["cart"].Status != down || all.Statuses["payment"].Status != up {
		t.Errorf("List: %v, %v", all, err)
	}

	// A watch ends with the drain, after it told of it.
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "payment"})
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: "nothing"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		stream healthpb.Health_WatchClient
		status healthpb.HealthCheckResponse_ServingStatus
	}{{watch, up}, {unknown, healthpb.HealthCheckResponse_SERVICE_UNKNOWN}} {
		if resp, err := want.stream.Recv(); err != nil || resp.Status != want.status {
			t.Errorf("watch: %v, %v, want %v", resp.GetStatus(), err, want.status)
		}
	}
	r.stop()
	if resp, err := watch.Recv(); err != nil || resp.Status != down {
		t.Errorf("watch while it drains: %v, %v", resp.GetStatus(), err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("end of the watch: %v", err)
	}
	r.end()
}

// TestHealthOfASharedContract holds that of several services with one contract the addressed one is meant, and all where none is.
func TestHealthOfASharedContract(t *testing.T) {
	broken := greeterNamed("broken")
	broken.Check("database", func(context.Context) error { return errTest })
	r := run(t, new(hanse.App), broken, greeterNamed("fine"))
	for authority, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
		"fine":    healthpb.HealthCheckResponse_SERVING,
		"broken":  healthpb.HealthCheckResponse_NOT_SERVING,
		"unknown": healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		resp, err := healthpb.NewHealthClient(r.stock("fine", grpc.WithAuthority(authority))).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "grpc.testing.TestService"})
		if err != nil || resp.Status != want {
			t.Errorf("asked of %s: %v, %v, want %v", authority, resp.GetStatus(), err, want)
		}
	}
}

// TestOwnHealth holds that a service which brings its own health or reflection, as programs on grpc-go do, keeps it.
func TestOwnHealth(t *testing.T) {
	svc := greeter()
	own := health.NewServer()
	own.SetServingStatus("mine", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(svc, own)
	reflection.Register(svc)
	r := run(t, new(hanse.App), svc)
	resp, err := healthpb.NewHealthClient(r.stock("greeter", grpc.WithAuthority("greeter"))).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "mine"})
	if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("own health: %v, %v", resp, err)
	}
}
