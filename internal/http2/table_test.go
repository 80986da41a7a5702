package http2

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTable compares the table with a map, as streams come and go in any order.
func TestTable(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var table table
		model := make(map[uint32]*Stream)
		var ids []uint32
		next := uint32(1)
		for range 5000 {
			if grow := 4 + rnd.IntN(4); rnd.IntN(10) < grow || len(ids) == 0 {
				s := &Stream{id: next}
				table.put(s, len(model)+1)
				model[next] = s
				ids = append(ids, next)
				next += 2
				if seed%3 == 0 {
					next += 2 * uint32(rnd.IntN(1000))
				}
			} else {
				i := rnd.IntN(len(ids)) // the old ones last
				if seed%2 == 0 {
					i = len(ids)/2 + rnd.IntN(len(ids)-len(ids)/2)
				}
				table.remove(model[ids[i]])
				delete(model, ids[i])
				ids = append(ids[:i], ids[i+1:]...)
			}
			id := uint32(rnd.IntN(int(next)+10)) | 1
			if table.get(id) != model[id] {
				t.Fatalf("seed %d: stream %d is wrong", seed, id)
			}
		}
		for id, s := range model {
			if table.get(id) != s {
				t.Fatalf("seed %d: stream %d is lost", seed, id)
			}
		}
		if all := table.all(); len(all) != len(model) {
			t.Errorf("seed %d: %d streams of %d", seed, len(all), len(model))
		}
	}
}

// TestTableConcurrently removes streams while the ring grows.
func TestTableConcurrently(t *testing.T) {
	var table table
	var lock sync.Mutex
	var open atomic.Int32
	next := uint32(1)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			var mine []*Stream
			for i := range 3000 {
				lock.Lock()
				s := &Stream{id: next}
				next += 2
				table.put(s, int(open.Add(1)))
				lock.Unlock()
				mine = append(mine, s)
				if got := table.get(s.id); got != s {
					t.Errorf("stream %d is %v", s.id, got)
				}
				if i%5 < 3 {
					open.Add(-1)
					table.remove(mine[0])
					mine = mine[1:]
				}
			}
			for _, s := range mine {
				table.remove(s)
				if table.get(s.id) != nil {
					t.Errorf("stream %d is still there", s.id)
				}
			}
		})
	}
	all.Wait()
	if left := table.all(); len(left) > 0 {
		t.Errorf("%d streams are left", len(left))
	}
}
