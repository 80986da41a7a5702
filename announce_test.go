package hanse_test

import (
	"net"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
)

// network is a registry that other machines read.
type network struct{ *discovery.Memory }

func (network) Scope() discovery.Scope { return discovery.ScopeNetwork }

func TestLoopbackIsNotAnnouncedToOthers(t *testing.T) {
	r := begin(t, &hanse.App{Registry: network{new(discovery.Memory)}}, greeter())
	wantError(t, r.wait(), "service greeter: cannot announce it", "127.0.0.1:", "--addr :8443 (HANSE_ADDR, App.Addr)", "--advertise HOST:PORT (HANSE_ADVERTISE, App.Advertise)")
	reg := network{new(discovery.Memory)}
	ok := run(t, &hanse.App{Registry: reg, Advertise: "greeter.example.com:443", AdminAddr: "127.0.0.1:0"}, greeter())
	if got := ok.addr("greeter"); got != "greeter.example.com:443" {
		t.Errorf("announced as %s", got)
	}
	if got := ok.instances["greeter"].Admin; got != "" {
		t.Errorf("the admin listener is announced as %s", got)
	}
}

// TestRegistryThatOnlyFinds holds that an app whose registry takes no announcements runs all the same.
func TestRegistryThatOnlyFinds(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, &hanse.App{Listener: lis, Registry: discovery.Static{"greeter": {lis.Addr().String()}}}, greeter())
	caller := &hanse.App{Registry: r.App.Registry}
	defer caller.Close()
	if got := hello(caller.Conn("greeter"), "x"); got != "Hello, x!" {
		t.Errorf("got %q", got)
	}
	r.end()
}
