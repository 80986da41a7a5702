package hanse

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
)

// namedWire is a wire of another name.
type namedWire struct {
	rpc.Wire
	name string
}

func (w namedWire) Name() string { return w.name }

func TestChooseWire(t *testing.T) {
	own := namedWire{grpcwire.Wire{}, "hanse"}
	always, standby := grpcwire.Wire{}, grpcwire.Wire{Standby: true}
	for _, tt := range []struct {
		name                string
		asked               string
		programs, byDefault rpc.Wire
		want                rpc.Wire // nil: the default
		err                 string
	}{
		{name: "nothing said", byDefault: own},
		{name: "the program's", programs: always, byDefault: own, want: always},
		{name: "the program's in reserve", programs: standby, byDefault: own},
		{name: "the one in reserve", asked: "grpc-go", programs: standby, byDefault: own, want: standby},
		{name: "what the program uses anyway", asked: "grpc-go", programs: always, byDefault: own, want: always},
		{name: "the default instead of the program's", asked: "hanse", programs: always, byDefault: own},
		{name: "the default", asked: "hanse", byDefault: own},
		{name: "one that is not linked", asked: "grpc-go", byDefault: own, err: "Wire: grpcwire.Wire{Standby: true}"},
		{name: "the default by name", asked: "grpc-go", byDefault: always},
		{name: "one that does not exist", asked: "hanse", programs: always, byDefault: always, err: `no wire "hanse"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := chooseWire(tt.asked, tt.programs, tt.byDefault)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "HANSE_WIRE") {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestWireAndLimitsReachAll holds that all listeners and all callers of an app get its wire and its limits.
func TestWireAndLimitsReachAll(t *testing.T) {
	w := namedWire{grpcwire.Wire{}, "other"}
	limits := rpc.Limits{MaxStreams: 7, MaxRecvMsgSize: 1000}
	app := &App{Wire: w, Limits: limits, Addrs: map[string]string{"cart": "127.0.0.1:0"}}
	cart, shop := &Service{Name: "cart", MaxRecvMsgSize: 50}, &Service{Name: "shop"}
	r, err := app.newRun([]*Service{cart, shop})
	if err != nil {
		t.Fatal(err)
	}
	defer r.cancelHTTP()
	defer app.endTelemetry()
	if len(r.ports) != 2 {
		t.Fatalf("%d ports", len(r.ports))
	}
	for _, p := range r.ports {
		if mistakes := p.route(); mistakes != nil || p.rpc.Wire != rpc.Wire(w) || p.rpc.Limits != limits {
			t.Errorf("%s has wire %v and limits %+v (%v)", p.label(), p.rpc.Wire, p.rpc.Limits, mistakes)
		}
	}
	if cart, shop := cart.server.MaxRecvMsgSize, shop.server.MaxRecvMsgSize; cart != 50 || shop != 1000 {
		t.Errorf("the services take messages of %d and %d bytes", cart, shop)
	}
	for _, s := range []*Service{nil, cart} {
		if c, err := app.newClient(s, nil); err != nil || c.Wire != rpc.Wire(w) {
			t.Errorf("%v, %v", c, err)
		}
	}
}
