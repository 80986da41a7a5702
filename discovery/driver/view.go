package driver

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// View is what is known of the instances of a service, or of all. One that is no longer in the engine may stay for a while, when there is
// doubt whether it is gone or had no time yet to announce itself again: the engine was away, or lost what it knew. Until when it may come back
// is said with each change. It may be said later when the engine is away again, and who stays then stays until the last that was said. So a
// registry moves the time on when something happened to the engine, and not with each answer. The zero value is empty. A View is not safe for
// concurrent use, and what it returns points to what it holds.
type View struct {
	there   map[viewKey]discovery.Instance
	staying map[viewKey]time.Time // those that are no longer in the engine, and until when they stay
}

// viewKey identifies an instance by its service and [discovery.Instance.Key].
type viewKey struct{ service, key string }

func keyOf(inst discovery.Instance) viewKey { return viewKey{inst.Service, inst.Key()} }

// Put takes an instance that the engine has.
func (v *View) Put(inst discovery.Instance) {
	if v.there == nil {
		v.there, v.staying = make(map[viewKey]discovery.Instance), make(map[viewKey]time.Time)
	}
	v.there[keyOf(inst)] = inst
	delete(v.staying, keyOf(inst))
}

// Get returns the instance with the key, if it is known.
func (v *View) Get(service, key string) (discovery.Instance, bool) {
	inst, known := v.there[viewKey{service, key}]
	return inst, known
}

// Remove takes that the engine does not have the instance with the key any more. One that was draining has said that it goes; another stays
// for as long as there is doubt. The zero time is no doubt, which takes back none that there was.
func (v *View) Remove(service, key string, doubtUntil time.Time) {
	v.remove(viewKey{service, key}, time.Now(), doubtUntil)
}

func (v *View) remove(key viewKey, now, doubtUntil time.Time) {
	inst, known := v.there[key]
	if !known {
		return
	}
	until := v.staying[key]
	if until.Before(doubtUntil) {
		until = doubtUntil
	}
	if inst.State != discovery.Draining && now.Before(until) {
		v.staying[key] = until
		return
	}
	delete(v.there, key)
	delete(v.staying, key)
}

// Replace takes all that the engine has. What it does not list is removed as by [View.Remove].
func (v *View) Replace(list []discovery.Instance, doubtUntil time.Time) {
	listed := make(map[viewKey]bool, len(list))
	for _, inst := range list {
		listed[keyOf(inst)] = true
	}
	now := time.Now()
	for key := range v.there {
		if !listed[key] {
			v.remove(key, now, doubtUntil)
		}
	}
	for _, inst := range list {
		v.Put(inst)
	}
}

// Expire removes those that stayed for long enough, and reports whether there were any. If there is doubt again, or still, all stay on.
func (v *View) Expire(doubtUntil time.Time) bool {
	n, now := len(v.there), time.Now()
	for key := range v.staying {
		v.remove(key, now, doubtUntil)
	}
	return len(v.there) < n
}

// NextExpiry returns when the next one will have stayed for long enough; zero: none stays.
func (v *View) NextExpiry() (next time.Time) {
	for _, until := range v.staying {
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}

// All returns the instances in any order.
func (v *View) All() iter.Seq[discovery.Instance] { return maps.Values(v.there) }

// List returns the instances in order.
func (v *View) List() []discovery.Instance {
	return slices.SortedFunc(v.All(), func(a, b discovery.Instance) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Key(), b.Key()))
	})
}
