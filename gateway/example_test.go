package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// A program that is not an app of package hanse serves the contracts of its port over HTTP, too.
func ExampleHandler() {
	srv := &rpc.Server{Name: "greeter"}
	healthpb.RegisterHealthServer(srv, health.NewServer())
	srv.Start()
	defer srv.Drain(context.Background())

	port := &rpc.Port{Servers: []*rpc.Server{srv}}
	port.HTTP = &gateway.Handler{Backend: port}
	defer port.Close()

	// port.Serve(lis) would serve gRPC besides. This asks the handler alone.
	req := httptest.NewRequest(http.MethodPost, "/grpc.health.v1.Health/Check", strings.NewReader(`{}`))
	req.Header.Set("Content-Type", "application/json")
	resp := httptest.NewRecorder()
	port.HTTP.ServeHTTP(resp, req)
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.Code, strings.ReplaceAll(string(body), " ", "")) // protobuf's JSON has spaces at random
	// Output: 200 {"status":"SERVING"}
}

// Pages of one other site may call the services of an app.
func ExampleCORS() {
	app := &hanse.App{Gateway: gateway.Config{CORS: gateway.CORS{Origins: []string{"https://shop.example.com"}}}}
	fmt.Println(app.Gateway.Check())
	// Output: <nil>
}
