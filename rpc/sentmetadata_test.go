package rpc

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
)

// What is refused leaves nothing behind, in whatever order its keys are looked at.
func TestSentMetadata(t *testing.T) {
	bad := metadata.MD{"a": {"1"}, "b": {"1"}, "c": {"1"}, "d": {"line\nbreak"}, "e": {"1"}}
	long := strings.Repeat("x", 300)
	for _, write := range []bool{false, true} {
		for range 20 {
			if s, err := (*sentMetadata)(nil).add(bad, true, write); err == nil || s != nil {
				t.Fatalf("%v, and %+v is left", err, s)
			}
		}
		var s *sentMetadata
		want := metadata.MD{"h": {"1", "2"}, "r": {"x", "y"}, "long": {long}}
		for _, md := range []metadata.MD{nil, {"h": {"1"}, "te": {"trailers"}}, {"h": {"2"}, "r": {"x", "y"}}, {"long": {long}}} {
			var err error
			if s, err = s.add(md, true, write); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if _, err := s.add(bad, true, write); err == nil {
					t.Error("a line break is taken")
				}
			}
		}
		got := maps.Clone(s.kept())
		delete(got, "te") // kept, and not sent
		if write {
			sent := metadata.MD{}
			addFields(sent, fieldsOf(t, s.written()), nil)
			if !maps.EqualFunc(sent, want, slices.Equal) {
				t.Errorf("written: %v, want %v", sent, want)
			}
		}
		if !maps.EqualFunc(got, want, slices.Equal) || (len(s.written()) > 0) != write {
			t.Errorf("write=%v: %v, want %v", write, got, want)
		}
	}
	only, err := (*sentMetadata)(nil).add(metadata.MD{"te": {"x"}}, false, true)
	if err != nil || only == nil || len(only.written()) > 0 || only.kept() != nil {
		t.Errorf("a reserved key: %+v, %v", only, err)
	}
}
