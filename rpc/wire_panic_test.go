package rpc_test

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestPanicWhileDecoding checks that a reply that cannot be decoded into, which is a panic, is its caller's alone.
func TestPanicWhileDecoding(t *testing.T) {
	srv, _ := newServer(t, "cart", echoContract)
	addr := servePort(t, &rpc.Port{Servers: []*rpc.Server{srv}})
	conn, err := rpc.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, size := range []int{1, 100_000} { // decoded by the connection's reader, and by the caller
		text := strings.Repeat("x", size)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes: no panic", size)
				}
			}()
			conn.Invoke(t.Context(), addMethod, wrapperspb.String(text), (*wrapperspb.StringValue)(nil))
		}()
		if reply, err := callEcho(t.Context(), conn, addMethod, text); err != nil || reply != "cart:"+text {
			t.Errorf("the next call: %d bytes, %v", len(reply), err)
		}
	}
}
