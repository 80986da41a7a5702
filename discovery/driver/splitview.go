package driver

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hanse-go/hanse/discovery"
)

// SplitView is what is known of the split rules of a service, or of all. The zero value is empty. It is not safe for concurrent use.
type SplitView struct {
	there map[string]discovery.Split // by service
}

// Put takes the record that the engine has for a service. One that cannot be understood is an error and changes nothing: what was known
// before stays.
func (v *SplitView) Put(service string, record []byte) error {
	split, err := discovery.ParseSplit(record)
	if err == nil && split.Service != service {
		err = fmt.Errorf("it is the split of %s", split.Service)
	}
	if err != nil {
		return err
	}
	if v.there == nil {
		v.there = make(map[string]discovery.Split)
	}
	v.there[service] = split
	return nil
}

// Remove takes that the engine has no rules for a service.
func (v *SplitView) Remove(service string) { delete(v.there, service) }

// Retain takes that the engine has rules for these services and no others.
func (v *SplitView) Retain(services map[string]bool) {
	maps.DeleteFunc(v.there, func(service string, _ discovery.Split) bool { return !services[service] })
}

// List returns copies of the splits, in order.
func (v *SplitView) List() []discovery.Split {
	list := make([]discovery.Split, 0, len(v.there))
	for _, service := range slices.Sorted(maps.Keys(v.there)) {
		list = append(list, v.there[service].Clone())
	}
	return list
}
