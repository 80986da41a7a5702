// Command hello is the smallest service: it greets.
//
//	go run ./hello                 # in one terminal
//	go run ./hello/client Lübeck   # in another
package main

import (
	"context"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
)

type greeter struct {
	greeterv1.UnimplementedGreeterServer
}

func (greeter) Hello(_ context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	name := req.GetName()
	if name == "" {
		name = "world"
	}
	return &greeterv1.HelloResponse{Greeting: "Hello, " + name + "!"}, nil
}

func main() {
	svc := &hanse.Service{Name: "greeter"}
	greeterv1.RegisterGreeterServer(svc, greeter{})
	svc.Main()
}
