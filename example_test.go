package hanse_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/hanse-go/hanse"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// The smallest service. A real one registers its own contract, as protoc-gen-go-grpc made it.
func ExampleService_Main() {
	svc := &hanse.Service{Name: "greeter"}
	testpb.RegisterTestServiceServer(svc, greetServer{})
	svc.Main()
}

// Many services in one program: it runs all of them, or those that --services names.
func ExampleMain() {
	hanse.Main(catalogService(), cartService())
}

// A program that only calls.
func ExampleFromEnv() {
	app, err := hanse.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer app.Close()
	client := testpb.NewTestServiceClient(app.Conn("greeter"))

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	reply, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply)
}

// An App as a value: two services, one of which calls the other, in one process. Nothing of it is seen outside.
func ExampleApp_Run() {
	app := &hanse.App{Logger: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- app.Run(ctx, catalogService(), cartService()) }()

	cart := testpb.NewTestServiceClient(app.Conn("cart"))
	reply, err := cart.UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte("tea")}})
	fmt.Println(string(reply.GetPayload().GetBody()), err)

	stop()
	fmt.Println(<-done)
	// Output:
	// in the cart: Hello, tea! <nil>
	// <nil>
}

func catalogService() *hanse.Service {
	return &hanse.Service{Name: "catalog", Setup: func(ctx context.Context, s *hanse.Service) error {
		testpb.RegisterTestServiceServer(s, greetServer{})
		return nil
	}}
}

func cartService() *hanse.Service {
	return &hanse.Service{Name: "cart", Setup: func(ctx context.Context, s *hanse.Service) error {
		catalog := testpb.NewTestServiceClient(s.Conn("catalog")) // never blocks, never fails, closed with s
		testpb.RegisterTestServiceServer(s, cartServer{catalog: catalog})
		return nil
	}}
}

type cartServer struct {
	testpb.UnimplementedTestServiceServer
	catalog testpb.TestServiceClient
}

func (s cartServer) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	reply, err := s.catalog.UnaryCall(ctx, req)
	if err != nil {
		return nil, err
	}
	reply.Payload.Body = append([]byte("in the cart: "), reply.Payload.Body...)
	return reply, nil
}

// A service may have background tasks, things to do at its end, and web pages beside its contracts.
func ExampleService_Go() {
	jobs := make(chan string)
	svc := &hanse.Service{Name: "mailer", Setup: func(ctx context.Context, s *hanse.Service) error {
		s.Go("deliver", func(ctx context.Context) error {
			for {
				select {
				case job := <-jobs:
					fmt.Println("delivered", job)
				case <-ctx.Done():
					return nil
				}
			}
		})
		s.OnStop(func(ctx context.Context) error {
			fmt.Println("closing the mailbox")
			return nil
		})
		s.Handle("GET /", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "mail") }))
		s.Check("mailbox", func(ctx context.Context) error { return nil })
		return nil
	}}

	ctx, stop := context.WithCancel(context.Background())
	svc.Go("work", func(context.Context) error {
		jobs <- "a letter"
		stop()
		return nil
	})
	err := (&hanse.App{Logger: slog.New(slog.DiscardHandler)}).Run(ctx, svc)
	fmt.Println(err)
	// Output:
	// delivered a letter
	// closing the mailbox
	// <nil>
}
