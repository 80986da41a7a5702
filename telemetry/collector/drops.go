package collector

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Why something is not kept.
const (
	dropSlow    = "the disk does not keep up"
	dropDisk    = "the disk could not be written"
	dropClosed  = "the collector does not run"
	dropInvalid = "it is not valid"
	dropSeries  = "there are too many series of metrics"
	dropOld     = "its time is too far away"
	dropKind    = "it is of a kind that is not kept"
)

// drops counts what is not kept. It is safe for concurrent use.
type drops struct {
	mu   sync.Mutex
	list []Drop
	all  int64
}

func (d *drops) add(signal, reason string, n int) {
	if n <= 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all += int64(n)
	i := slices.IndexFunc(d.list, func(e Drop) bool { return e.Signal == signal && e.Reason == reason })
	if i < 0 {
		i = len(d.list)
		d.list = append(d.list, Drop{Signal: signal, Reason: reason})
	}
	d.list[i].Count += int64(n)
	d.list[i].Last = time.Now()
}

// snapshot returns what was counted, in a fixed order.
func (d *drops) snapshot() []Drop {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := append([]Drop{}, d.list...)
	slices.SortFunc(list, func(a, b Drop) int {
		return cmp.Or(cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

func (d *drops) total() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all
}
