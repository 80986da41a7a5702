package hanse_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

func TestReflection(t *testing.T) {
	payment := &hanse.Service{Name: "payment"}
	testpb.RegisterUnimplementedServiceServer(payment, testpb.UnimplementedUnimplementedServiceServer{})
	r := run(t, new(hanse.App), greeterNamed("cart"), payment)
	own := []string{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
	for authority, want := range map[string][]string{
		"":        {"grpc.testing.TestService", "grpc.testing.UnimplementedService"},
		"cart":    {"grpc.testing.TestService"},
		"payment": {"grpc.testing.UnimplementedService"},
	} {
		var opts []grpc.DialOption
		if authority != "" {
			opts = append(opts, grpc.WithAuthority(authority))
		}
		conn := r.stock("cart", opts...)
		for version, list := range map[string]func(context.Context, grpc.ClientConnInterface) ([]string, error){"v1": listV1, "v1alpha": listV1Alpha} {
			got, err := list(t.Context(), conn)
			slices.Sort(got)
			if all := append(slices.Clone(own), want...); err != nil || !slices.Equal(got, all) {
				t.Errorf("%s, authority %q: %v, %v, want %v", version, authority, got, err, all)
			}
		}
	}
	if got, err := listV1(t.Context(), r.Conn("payment")); err != nil || !slices.Contains(got, "grpc.testing.UnimplementedService") || slices.Contains(got, "grpc.testing.TestService") {
		t.Errorf("in process: %v, %v", got, err)
	}
}

func listV1(ctx context.Context, conn grpc.ClientConnInterface) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	resp, err := stream.Recv()
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	return names, err
}

//lint:file-ignore SA1019 clients may still use the deprecated version of reflection

func listV1Alpha(ctx context.Context, conn grpc.ClientConnInterface) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := reflectionv1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	stream.Send(&reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}})
	resp, err := stream.Recv()
	for _, s := range resp.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	return names, err
}

// TestOpenStreamsOfToolsEndWithTheDrain holds that clients which keep a reflection stream open, or watch the health, do not hold the
// app up: in both versions, under every name, and by way of a Conn.
func TestOpenStreamsOfToolsEndWithTheDrain(t *testing.T) {
	r := run(t, new(hanse.App), greeter())
	caller := &hanse.App{Registry: r.App.Registry}
	defer caller.Close()
	type stream interface {
		SendMsg(any) error
		RecvMsg(any) error
	}
	var open []stream
	for _, conn := range []grpc.ClientConnInterface{r.stock("greeter"), r.stock("greeter", grpc.WithAuthority("other")), caller.Conn("greeter"), r.App.Conn("greeter")} {
		v1, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := v1.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := v1.Recv(); err != nil {
			t.Fatal(err)
		}
		v1alpha, err := reflectionv1alpha.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := v1alpha.Send(&reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		if _, err := v1alpha.Recv(); err != nil {
			t.Fatal(err)
		}
		watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		open = append(open, v1, v1alpha, watch)
	}
	began := time.Now()
	r.end()
	if took := time.Since(began); took > 5*time.Second { // of the 30 that a drain may take
		t.Errorf("the drain took %v", took)
	}
	for i, s := range open {
		var err error
		for err == nil { // the health tells of the drain first
			err = s.RecvMsg(new(healthpb.HealthCheckResponse)) // unknown fields do not matter
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("stream %d ended with %v", i, err)
		}
	}
}

func TestReflectionIsOffForOthers(t *testing.T) {
	for _, tt := range []struct {
		addr string
		set  *bool
		want bool
	}{
		{"127.0.0.1:0", nil, true},
		{"localhost:0", nil, true},
		{"0.0.0.0:0", nil, false},
		{":0", nil, false},
		{"0.0.0.0:0", new(true), true},
		{"127.0.0.1:0", new(false), false},
	} {
		r := run(t, &hanse.App{Addr: tt.addr, Reflection: tt.set}, greeter())
		for _, authority := range []string{"greeter", "other"} {
			_, err := listV1(t.Context(), r.stock("greeter", grpc.WithAuthority(authority)))
			if (err == nil) != tt.want || err != nil && status.Code(err) != codes.Unimplemented {
				t.Errorf("%s, set %v, authority %s: %v", tt.addr, tt.set, authority, err)
			}
		}
		r.end()
	}
}
