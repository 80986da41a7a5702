package collector

import (
	"math/rand/v2"
	"testing"
)

// What was added in any order is read by slot, and what a ring says of its size is what it takes.
func TestRing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := ring{step: 2}
	var work hist
	type slot struct {
		n    float64
		hist hist
	}
	want := make(map[int64]*slot)
	bytes := 0
	now := int64(1000)
	check := func() {
		t.Helper()
		seen := 0
		r.each(0, now+10, func(second int64, n, _ float64, h string) {
			seen++
			var got hist
			got.mergePacked(h)
			w := want[second]
			if w == nil || n != w.n || len(got) != len(w.hist) {
				t.Fatalf("at %d: %v and %v, want %+v", second, n, got, w)
			}
			for i := range got {
				if got[i] != w.hist[i] {
					t.Fatalf("at %d: %v, want %v", second, got, w.hist)
				}
			}
		})
		if seen != len(want) {
			t.Fatalf("%d slots, want %d", seen, len(want))
		}
		size := len(r.at)*slotBytes + cap(r.fresh)*bucketBytes
		for _, h := range r.hist {
			size += 16 + len(h)
		}
		if size != bytes {
			t.Fatalf("it says that it takes %d bytes, and it takes %d", bytes, size)
		}
	}
	for range 2000 {
		if rnd.IntN(10) == 0 {
			now += rnd.Int64N(5)
		}
		at := now
		if rnd.IntN(4) == 0 { // late
			at -= rnd.Int64N(12)
		}
		one := hist{{int16(rnd.IntN(30)), 1}}
		bytes += r.add(at, 1, 1, one, &work)
		w := want[at/2*2]
		if w == nil {
			w = &slot{}
			want[at/2*2] = w
		}
		w.n++
		w.hist.merge(one)
		if rnd.IntN(50) == 0 {
			old := now - 100
			bytes -= r.trim(old)
			for s := range want {
				if s < old {
					delete(want, s)
				}
			}
		}
		check()
	}
	bytes -= r.trim(now + 10)
	clear(want)
	if check(); bytes != 0 {
		t.Errorf("%d bytes are left", bytes)
	}
}
