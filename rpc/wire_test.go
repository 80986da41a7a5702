package rpc_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"github.com/hanse-go/hanse/rpc/internal/wire"
)

// countedWire is grpc-go's, and counts what it makes.
type countedWire struct {
	grpcwire.Wire
	links, servers atomic.Int64
	limits         wire.Limits // of the last server
}

func (w *countedWire) NewLink(cfg wire.LinkConfig) (wire.Link, error) {
	w.links.Add(1)
	return w.Wire.NewLink(cfg)
}

func (w *countedWire) NewServer(cfg wire.ServerConfig) wire.Server {
	w.servers.Add(1)
	w.limits = cfg.Limits
	return w.Wire.NewServer(cfg)
}

// TestWire holds that the wire that was given is the one that is used, for each port and each link.
func TestWire(t *testing.T) {
	srv, _ := newServer(t, "cart", echoContract)
	var port, client, dialled countedWire
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, Wire: &port})
	conn := bound(t, &rpc.Client{Registry: known("tcp://" + addr), Wire: &client})
	direct, err := rpc.Dial(addr, rpc.WithWire(&dialled))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { direct.Close() })
	for _, cc := range []*rpc.Conn{conn, direct} {
		if reply, err := callEcho(t.Context(), cc, addMethod, "x"); err != nil || reply != "cart:x" {
			t.Error(reply, err)
		}
	}
	if got := [...]int64{port.servers.Load(), port.links.Load(), client.servers.Load(), client.links.Load(), dialled.servers.Load(), dialled.links.Load()}; got != [...]int64{1, 0, 0, 1, 0, 1} {
		t.Errorf("made %v", got)
	}

	late := rpc.NewConn("cart", rpc.WithWire(&dialled))
	defer late.Close()
	if err := late.Bind(&rpc.Client{}); err == nil || !strings.Contains(err.Error(), "WithWire is for Dial") {
		t.Errorf("Bind: %v", err)
	}
}

// TestResolvedLimits holds what a wire is told of the limits: defaults filled in, and one form of what is switched off.
func TestResolvedLimits(t *testing.T) {
	for _, given := range []rpc.Limits{{}, {MaxStreams: -1, MaxHeaderListSize: 2000, IdleTimeout: -1, MaxConnectionAge: 7, MaxRecvMsgSize: -1}} {
		var w countedWire
		port := &rpc.Port{Servers: []*rpc.Server{{MaxRecvMsgSize: 100}, {}}, Wire: &w, Limits: given}
		port.Close()
		want := wire.Limits{
			MaxConnections: 10_000, HandshakeTimeout: 10e9, HeaderTimeout: 10e9, IdleTimeout: 15 * 60e9,
			KeepaliveTime: 60e9, KeepaliveTimeout: 20e9, MinPingInterval: 5e9,
			MaxStreams: 4096, MaxHeaderListSize: 64 << 10, MaxRecvMsgSize: 4 << 20,
			ResetBudget: 10_000, ControlBudget: 10_000,
			MaxQueuedBytes: 64 << 20, MaxQueuedBytesTotal: 256 << 20, StallTimeout: 60e9,
		}
		if given != (rpc.Limits{}) {
			want.MaxStreams, want.MaxHeaderListSize, want.IdleTimeout, want.MaxConnectionAge, want.MaxRecvMsgSize = wire.Unlimited, 2000, 0, 7, wire.NoLimit
		}
		if w.limits != want {
			t.Errorf("told\n%+v\nwant\n%+v", w.limits, want)
		}
	}
}
