package main

import (
	"net"
	"testing"
)

// TestConnect holds that the servers of the measurement do the same.
func TestConnect(t *testing.T) {
	calls, err := connectCalls()
	if err != nil {
		t.Fatal(err)
	}
	for name, serve := range connectPeers {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		go serve(lis)
		for _, c := range calls {
			client := c.client()
			if err := c.make(t.Context(), client, lis.Addr().String()); err != nil {
				t.Errorf("%s, %s: %v", name, c.title, err)
			}
			client.CloseIdleConnections()
		}
	}
}
