package grpckeys_test

import (
	"testing"

	"github.com/hanse-go/hanse/internal/grpckeys"
)

func TestKeys(t *testing.T) {
	keys := grpckeys.Get()
	seen := make(map[any]bool)
	for _, key := range []any{keys.Incoming, keys.Outgoing, keys.Peer, keys.Stream} {
		if key == nil || seen[key] {
			t.Errorf("%T is no key, or is one of two things", key)
		}
		seen[key] = true
	}
	if !grpckeys.Found() {
		t.Error("this release of grpc keeps its values in another way")
	}
}
