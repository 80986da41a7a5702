package main

import (
	"net"
	"testing"
)

// TestEchoes holds that the servers of the measurement do the same.
func TestEchoes(t *testing.T) {
	loads, err := echoLoads()
	if err != nil {
		t.Fatal(err)
	}
	addrs := make(map[string]string)
	for name, serve := range map[string]func(net.Listener) error{
		"hanse": serveGateway, "bare JSON-RPC": echoPeers["bare JSON-RPC"], "coder/websocket": echoPeers["coder/websocket"],
	} {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		go serve(lis)
		addrs[name] = lis.Addr().String()
	}
	for _, l := range loads {
		for _, name := range l.peers {
			call, end, err := l.client(t.Context(), addrs[name])
			if err != nil {
				t.Errorf("%s, %s: %v", name, l.title, err)
				continue
			}
			for range 2 {
				if err := call(); err != nil {
					t.Errorf("%s, %s: %v", name, l.title, err)
				}
			}
			end()
		}
	}
}
