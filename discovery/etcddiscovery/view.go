package etcddiscovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// view is what is known of a service, or of all of them. An instance that is no longer in etcd may stay for a while, when there is doubt
// whether it is gone or had no time yet to announce itself again.
type view struct {
	there   map[string]discovery.Instance // by service and ID
	staying map[string]time.Time          // those that are no longer in etcd, and until when they stay
}

func viewKey(inst discovery.Instance) string { return inst.Service + "/" + inst.ID }

// put takes an instance that etcd has.
func (v *view) put(inst discovery.Instance) {
	if v.there == nil {
		v.there, v.staying = make(map[string]discovery.Instance), make(map[string]time.Time)
	}
	v.there[viewKey(inst)] = inst
	delete(v.staying, viewKey(inst))
}

// remove takes that etcd does not have an instance any more. One that was draining has said that it goes; another stays for as long as
// there is doubt.
func (v *view) remove(key string, now, doubtUntil time.Time) {
	inst, known := v.there[key]
	if !known {
		return
	}
	if _, stays := v.staying[key]; stays {
		return // until its time
	}
	if inst.State != discovery.Draining && now.Before(doubtUntil) {
		v.staying[key] = doubtUntil
		return
	}
	delete(v.there, key)
	delete(v.staying, key)
}

// replace takes all that etcd has.
func (v *view) replace(list []discovery.Instance, now, doubtUntil time.Time) {
	listed := make(map[string]bool, len(list))
	for _, inst := range list {
		listed[viewKey(inst)] = true
	}
	for _, key := range slices.Collect(maps.Keys(v.there)) {
		if !listed[key] {
			v.remove(key, now, doubtUntil)
		}
	}
	for _, inst := range list {
		v.put(inst)
	}
}

// expire removes those that stayed for long enough, and reports whether there were any.
func (v *view) expire(now time.Time) bool {
	n := len(v.there)
	for key, until := range v.staying {
		if !now.Before(until) {
			delete(v.there, key)
			delete(v.staying, key)
		}
	}
	return len(v.there) < n
}

// nextExpiry returns when the next one will have stayed for long enough; zero: none stays.
func (v *view) nextExpiry() (next time.Time) {
	for _, until := range v.staying {
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}

// list returns the instances in order. What they point to is not to be changed.
func (v *view) list() []discovery.Instance {
	list := make([]discovery.Instance, 0, len(v.there))
	for _, inst := range v.there {
		list = append(list, inst)
	}
	slices.SortFunc(list, func(a, b discovery.Instance) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.ID, b.ID))
	})
	return list
}
