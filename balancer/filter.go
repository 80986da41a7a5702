package balancer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/discovery"
)

// Filter says which instances may be called. Its zero value admits all.
type Filter struct {
	Version string            // that an instance must have; empty: any
	Labels  map[string]string // that an instance must have in its metadata, with these values; it may have more
}

// Admits reports whether the instance may be called. Nothing is known of an instance from a static list or from DNS, so a filter that asks
// for something admits none of those.
func (f *Filter) Admits(inst *discovery.Instance) bool {
	if f.Version != "" && inst.Version != f.Version {
		return false
	}
	for key, value := range f.Labels {
		if have, ok := inst.Metadata[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// IsZero reports whether the filter admits all.
func (f *Filter) IsZero() bool { return f.Version == "" && len(f.Labels) == 0 }

// String says what the filter asks for: "version=v2 colour=green".
func (f *Filter) String() string {
	var all []string
	if f.Version != "" {
		all = append(all, "version="+f.Version)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Labels)) {
		all = append(all, fmt.Sprintf("%s=%s", key, f.Labels[key]))
	}
	return strings.Join(all, " ")
}
