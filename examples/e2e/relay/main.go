// Command relay is two services, one of which asks the other: what the tests take space, descriptors and the right time from.
//
//	relay --services back & relay --services front
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hanse-go/hanse"
	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"
	"google.golang.org/grpc/status"
)

type back struct {
	greeterv1.UnimplementedGreeterServer
}

func (back) Hello(_ context.Context, req *greeterv1.HelloRequest) (*greeterv1.HelloResponse, error) {
	return &greeterv1.HelloResponse{Greeting: fmt.Sprintf("%s, from process %d", req.GetName(), os.Getpid())}, nil
}

// front serves a page that asks back.
func front(_ context.Context, s *hanse.Service) error {
	greeter := greeterv1.NewGreeterClient(s.Conn("back"))
	s.Handle("GET /{$}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		reply, err := greeter.Hello(ctx, &greeterv1.HelloRequest{Name: "front"})
		if err != nil {
			http.Error(w, status.Convert(err).Message(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, reply.GetGreeting())
	}))
	return nil
}

func main() {
	b := &hanse.Service{Name: "back"}
	greeterv1.RegisterGreeterServer(b, back{})
	hanse.Main(b, &hanse.Service{Name: "front", Setup: front})
}
