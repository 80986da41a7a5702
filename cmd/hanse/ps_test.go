package main

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery"
)

// TestPsTellsAnotherWire holds that an instance that speaks by another wire than the default shows it, and no other does.
func TestPsTellsAnotherWire(t *testing.T) {
	where := &place{name: "this folder"}
	rows, status, err := psRows(t.Context(), where, nil, []discovery.Instance{
		{Service: "cart", ID: "1", State: discovery.Ready, Endpoints: []string{"tcp://127.0.0.1:7501"}, Metadata: map[string]string{"wire": "grpc-go"}},
		{Service: "shop", ID: "2", State: discovery.Ready, Endpoints: []string{"tcp://127.0.0.1:7502"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := psText(where, nil, rows, status)
	if err != nil || !strings.Contains(text, "7501 (wire: grpc-go)") || strings.Count(text, "wire:") != 1 {
		t.Errorf("%v\n%s", err, text)
	}
}
