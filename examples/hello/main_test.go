package main

import (
	"testing"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
	"github.com/hanse-go/hanse/hansetest"
)

func TestHello(t *testing.T) {
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		svc := &hanse.Service{Name: "greeter"}
		greeterv1.RegisterGreeterServer(svc, greeter{})
		sys := on.Run(t, svc)
		client := greeterv1.NewGreeterClient(sys.Conn("greeter"))
		for name, want := range map[string]string{"Lübeck": "Hello, Lübeck!", "": "Hello, world!"} {
			reply, err := client.Hello(t.Context(), &greeterv1.HelloRequest{Name: name})
			if err != nil || reply.GetGreeting() != want {
				t.Errorf("Hello(%q) = %q, %v, want %q", name, reply.GetGreeting(), err, want)
			}
		}
	})
}
