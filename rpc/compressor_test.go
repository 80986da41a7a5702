package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/stats"
)

// arrivedSizes remembers the sizes of the last message that came.
type arrivedSizes struct{ wire, message int }

func (a *arrivedSizes) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		a.wire, a.message = in.CompressedLength, in.Length
	}
}

func (*arrivedSizes) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*arrivedSizes) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*arrivedSizes) HandleConn(context.Context, stats.ConnStats)                       {}

func TestSetSendCompressor(t *testing.T) {
	long := strings.Repeat("x", 10000)
	for name, wire := range map[string]rpc.Wire{"own": nil, "grpc-go": grpcwire.Wire{}} {
		t.Run(name, func(t *testing.T) {
			srv, e := newServer(t, "echo", echoContract)
			var choose string
			e.hook = func(ctx context.Context, _ string) error { return rpc.SetSendCompressor(ctx, choose) }
			addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}, Wire: wire})
			sizes := &arrivedSizes{}
			conn := dial(t, addr, rpc.WithStatsHandlers(sizes))
			for _, tt := range []struct {
				choose     string
				opts       []grpc.CallOption
				compressed bool
			}{
				{gzip.Name, nil, true},
				{"identity", nil, false},
				{"identity", []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, false},
				{gzip.Name, []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, true},
			} {
				choose = tt.choose
				if _, err := callEcho(t.Context(), conn, addMethod, long, tt.opts...); err != nil {
					t.Fatal(err)
				}
				if got := sizes.wire < sizes.message; got != tt.compressed {
					t.Errorf("%s with %v: compressed=%v", tt.choose, tt.opts, got)
				}
				if _, err := listEcho(t.Context(), conn, long); err != nil {
					t.Fatal(err)
				}
				if got := sizes.wire < sizes.message; got != (tt.choose == gzip.Name) {
					t.Errorf("stream: %s: compressed=%v", tt.choose, got)
				}
			}
			choose = "brotli"
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err == nil || !strings.Contains(err.Error(), "brotli") && !strings.Contains(err.Error(), "compressor") {
				t.Error(err)
			}
			e.hook = func(ctx context.Context, _ string) error {
				if err := grpc.SendHeader(ctx, nil); err != nil {
					return err
				}
				if rpc.SetSendCompressor(ctx, gzip.Name) == nil {
					return errors.New("set after the header")
				}
				return nil
			}
			if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
				t.Error(err)
			}
		})
	}
	// Within the process nothing is compressed, but mistakes are mistakes.
	srv, e := newServer(t, "echo", echoContract)
	conn := bound(t, &rpc.Client{Local: map[string]*rpc.Server{"echo": srv}})
	for name, ok := range map[string]bool{gzip.Name: true, "identity": true, "brotli": false, "": false} {
		e.hook = func(ctx context.Context, _ string) error { return rpc.SetSendCompressor(ctx, name) }
		if _, err := callEcho(t.Context(), conn, addMethod, "x"); (err == nil) != ok {
			t.Errorf("in process, %q: %v", name, err)
		}
	}
	if rpc.SetSendCompressor(t.Context(), gzip.Name) == nil {
		t.Error("there is no call")
	}
}
