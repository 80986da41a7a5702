package main

import (
	"net/http"
	"testing"
)

// TestREST holds that the peers of the measurement do the same.
func TestREST(t *testing.T) {
	peers, stop, err := restPeers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	calls, err := restCalls()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		for _, p := range peers {
			if err := c.check(t.Context(), p); err != nil {
				t.Error(err)
			}
		}
	}
}

func BenchmarkREST(b *testing.B) {
	peers, stop, err := restPeers(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	calls, err := restCalls()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range calls {
		for _, p := range peers {
			b.Run(c.method+"/"+p.name, func(b *testing.B) {
				request := c.request(b.Context())
				w := &sink{header: http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					w.reset()
					p.ServeHTTP(w, request())
				}
			})
		}
	}
}
