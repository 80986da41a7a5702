package etcddiscovery_test

import (
	"context"
	"os"
	"strconv"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	"google.golang.org/grpc/interop/grpc_testing"
)

// programVariable has the test's own binary be one of the programs of a system: echo answers, and front asks echo.
const programVariable = "HANSE_ETCDDISCOVERY_PROGRAM"

func program(name string) {
	svc := &hanse.Service{Name: name}
	switch name {
	case "echo":
		grpc_testing.RegisterTestServiceServer(svc, echo{})
	case "front":
		grpc_testing.RegisterTestServiceServer(svc, front{next: grpc_testing.NewTestServiceClient(svc.Conn("echo"))})
	}
	app := &hanse.App{RegistrySchemes: discovery.Schemes{"etcd": openOnHost}}
	app.Main(svc)
}

// onHost is a registry whose readers are all on this machine, so that loopback addresses make sense in it.
type onHost struct{ *etcddiscovery.Registry }

func (onHost) Scope() discovery.Scope { return discovery.ScopeHost }

func openOnHost(url string) (discovery.Registry, error) {
	reg, err := etcddiscovery.Open(url)
	if err != nil {
		return nil, err
	}
	return onHost{reg.(*etcddiscovery.Registry)}, nil
}

type echo struct {
	grpc_testing.UnimplementedTestServiceServer
}

// UnaryCall says which process answers.
func (echo) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Hostname: strconv.Itoa(os.Getpid())}, nil
}

type front struct {
	grpc_testing.UnimplementedTestServiceServer
	next grpc_testing.TestServiceClient
}

func (f front) UnaryCall(ctx context.Context, req *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return f.next.UnaryCall(ctx, req)
}
