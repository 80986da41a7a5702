package rpc

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/grpc/metadata"
)

// What is refused leaves nothing behind, in whatever order its keys are looked at.
func TestSentMetadata(t *testing.T) {
	bad := metadata.MD{"a": {"1"}, "b": {"1"}, "c": {"1"}, "d": {"line\nbreak"}, "e": {"1"}}
	for _, write := range []bool{false, true} {
		var s sentMetadata
		for range 20 {
			if err := s.add(bad, true, write); err == nil || s.set || s.md != nil || len(s.block) > 0 {
				t.Fatalf("%v, and %+v is left", err, s)
			}
		}
		want := metadata.MD{"h": {"1", "2"}, "r": {"x", "y"}}
		for _, md := range []metadata.MD{nil, {"h": {"1"}, "te": {"trailers"}}, {"h": {"2"}, "r": {"x", "y"}}} {
			if err := s.add(md, true, write); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.add(bad, true, write); err == nil {
			t.Error("a line break is taken")
		}
		got := metadata.MD{}
		if write {
			addFields(got, fieldsOf(t, s.block), nil)
		} else {
			got = maps.Clone(s.md)
			delete(got, "te") // kept, and not sent
		}
		if !s.set || !maps.EqualFunc(got, want, slices.Equal) || (len(s.block) > 0) != write {
			t.Errorf("write=%v: %v of %+v, want %v", write, got, s, want)
		}
	}
	var only sentMetadata
	if err := only.add(metadata.MD{"te": {"x"}}, false, true); err != nil || !only.set || len(only.block) > 0 || only.md != nil {
		t.Errorf("a reserved key: %+v, %v", only, err)
	}
}
