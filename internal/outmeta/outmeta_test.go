package outmeta_test

import (
	"context"
	"testing"

	"github.com/hanse-go/hanse/internal/outmeta"
	"google.golang.org/grpc/metadata"
)

func TestValue(t *testing.T) {
	none := context.Background()
	set := metadata.NewOutgoingContext(none, metadata.Pairs("a", "1", "a", "2"))
	added := metadata.AppendToOutgoingContext(set, "A", "4", "c", "5")
	added = metadata.AppendToOutgoingContext(added, "D", "6", "c", "7")
	for _, test := range []struct {
		ctx       context.Context
		key, want string
		ok        bool
	}{
		{none, "a", "", false},
		{metadata.NewOutgoingContext(none, nil), "a", "", false},
		{set, "a", "1", true},
		{set, "c", "", false},
		{added, "a", "1", true},
		{added, "c", "5", true},
		{added, "d", "6", true},
		{context.WithoutCancel(added), "d", "6", true},
	} {
		got, ok := outmeta.Value(test.ctx, test.key)
		if got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %t; want %q, %t", test.key, got, ok, test.want, test.ok)
		}
		if md, _ := metadata.FromOutgoingContext(test.ctx); ok && md[test.key][0] != got {
			t.Errorf("%s: grpc says %q", test.key, md[test.key])
		}
	}
	if _, ok := outmeta.From(set); !ok {
		t.Error("this release of grpc keeps metadata in another way")
	}
	if n := testing.AllocsPerRun(100, func() { outmeta.Value(added, "d") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
