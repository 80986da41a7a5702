package hansetest

import (
	"github.com/hanse-go/hanse/discovery"
)

// SetSplit puts split rules into the system's registry, as hanse split does, or takes them away when they are empty. Callers follow at
// once.
func (s *System) SetSplit(split discovery.Split) {
	s.t.Helper()
	if err := s.registry.SetSplit(s.t.Context(), split); err != nil {
		s.t.Fatal(err)
	}
}
