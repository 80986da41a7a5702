package hanse_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func TestPortInUse(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	addr := lis.Addr().String()
	for name, app := range map[string]*hanse.App{
		"--addr HOST:PORT (App.Addr)":           {Addr: addr},
		"--addr greeter=HOST:PORT (App.Addrs)":  {Addrs: map[string]string{"greeter": addr}},
		"--admin-addr HOST:PORT (App.AdminAddr": {AdminAddr: addr},
	} {
		r := begin(t, app, greeter())
		wantError(t, r.wait(), "address "+addr+" is in use by process ", "hanse.test", name)
		if strings.Contains(r.err.Error(), "\n") {
			t.Errorf("more than one line: %v", r.err)
		}
	}
}

func TestIPv6(t *testing.T) {
	if lis, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("this machine has no IPv6: ", err)
	} else {
		lis.Close()
	}
	r := run(t, &hanse.App{Addr: "[::1]:0", AdminAddr: "[::1]:0"}, greeter())
	if addr := r.addr("greeter"); !strings.HasPrefix(addr, "[::1]:") {
		t.Errorf("announced as %s", addr)
	}
	if got := hello(r.stock("greeter"), "six"); got != "Hello, six!" {
		t.Errorf("got %q", got)
	}
	caller := &hanse.App{Registry: r.registry, Path: "tcp"}
	defer caller.Close()
	if got := hello(caller.Conn("greeter"), "six"); got != "Hello, six!" {
		t.Errorf("got %q", got)
	}
}

func TestListenerAndTargets(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, &hanse.App{Listener: lis, Addr: "127.0.0.1:1"}, greeter())
	if r.addr("greeter") != lis.Addr().String() {
		t.Errorf("announced as %s, listens on %s", r.addr("greeter"), lis.Addr())
	}
	r.end()
	if conn, err := net.Dial("tcp", lis.Addr().String()); err == nil {
		conn.Close()
		t.Error("Run left the listener open")
	}
	if lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	unused := begin(t, &hanse.App{Listener: lis, Addrs: map[string]string{"greeter": ":0"}}, greeter())
	wantError(t, unused.wait(), "App.Listener is for services without an entry in App.Addrs")
	if err := lis.Close(); err == nil {
		t.Error("Run left the listener open when it failed")
	}
	r = run(t, new(hanse.App), greeter())
	caller := &hanse.App{Targets: map[string]string{"other-name": r.addr("greeter")}}
	defer caller.Close()
	if got := hello(caller.Conn("other-name"), "x"); got != "Hello, x!" {
		t.Errorf("by target: %q", got)
	}
	// A target comes first, even where the service runs in this app.
	elsewhere := &hanse.Service{Name: "greeter"}
	testpb.RegisterTestServiceServer(elsewhere, greetServer{before: func(context.Context) error { return status.Error(codes.Internal, "the wrong one") }})
	var got string
	front := &hanse.Service{Name: "front", Setup: func(_ context.Context, s *hanse.Service) error {
		got = hello(s.Conn("greeter"), "x")
		return nil
	}}
	run(t, &hanse.App{Targets: map[string]string{"greeter": r.addr("greeter")}}, elsewhere, front)
	if got != "Hello, x!" {
		t.Errorf("by target instead of the sibling: %q", got)
	}
	wrong := begin(t, &hanse.App{Targets: map[string]string{"x": "::"}}, greeter())
	wantError(t, wrong.wait(), "App.Targets (--target)", `"::"`)
}
