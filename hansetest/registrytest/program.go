package registrytest

import (
	"context"
	"os"
	"strconv"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc/interop/grpc_testing"
)

// programVariable has the test's own binary be one of the programs of a system: echo answers, and front asks echo.
const programVariable = "REGISTRYTEST_PROGRAM"

// Program reports whether this process is a program of a system under test, which it then has run to its end. It is to be called first of
// all, in TestMain. The schemes have the registry.
func Program(schemes discovery.Schemes) bool {
	name := os.Getenv(programVariable)
	if name == "" {
		return false
	}
	svc := &hanse.Service{Name: name}
	switch name {
	case "echo":
		grpc_testing.RegisterTestServiceServer(svc, echo{})
	case "front":
		grpc_testing.RegisterTestServiceServer(svc, front{next: grpc_testing.NewTestServiceClient(svc.Conn("echo"))})
	}
	app := &hanse.App{RegistrySchemes: make(discovery.Schemes)}
	for scheme, open := range schemes {
		app.RegistrySchemes[scheme] = func(url string) (discovery.Registry, error) {
			reg, err := open(url)
			if err != nil {
				return nil, err
			}
			return onHost{reg.(discovery.Registrar)}, nil
		}
	}
	app.Main(svc)
	return true
}

// onHost is a registry whose readers are all on this machine, so that loopback addresses make sense in it.
type onHost struct{ discovery.Registrar }

func (onHost) Scope() discovery.Scope { return discovery.ScopeHost }

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
