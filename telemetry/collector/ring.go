package collector

import "slices"

// ring keeps a number or a histogram over time, in slots of equal length. A slot without values takes no room.
type ring struct {
	step int64 // seconds
	at   []uint32
	n    []float32
	sum  []float32
	hist []string // packed; nil for numbers
}

// slotBytes is about what a slot takes.
const slotBytes = 12

// add adds to the slot of a second. It returns by how much the ring has grown.
func (r *ring) add(second int64, n, sum float64, h hist) (grown int) {
	at := uint32(second / r.step)
	i := len(r.at)
	for i > 0 && r.at[i-1] > at {
		i--
	}
	if i > 0 && r.at[i-1] == at {
		i--
	} else {
		r.at = slices.Insert(r.at, i, at)
		r.n = slices.Insert(r.n, i, 0)
		r.sum = slices.Insert(r.sum, i, 0)
		grown += slotBytes
		if r.hist != nil {
			r.hist = slices.Insert(r.hist, i, "")
			grown += 16
		}
	}
	r.n[i] += float32(n)
	r.sum[i] += float32(sum)
	if len(h) > 0 {
		if r.hist == nil {
			r.hist = make([]string, len(r.at), cap(r.at))
			grown += 16 * len(r.at)
		}
		var space [64]bucket
		all := hist(space[:0])
		all.mergePacked(r.hist[i])
		all.merge(h)
		var text [256]byte
		grown -= len(r.hist[i])
		r.hist[i] = string(all.pack(text[:0]))
		grown += len(r.hist[i])
	}
	return grown
}

// trim drops what is older than a second. It returns by how much the ring has shrunk.
func (r *ring) trim(second int64) (shrunk int) {
	k := 0
	for k < len(r.at) && int64(r.at[k])*r.step < second {
		k++
	}
	if k == 0 {
		return 0
	}
	shrunk = k * slotBytes
	if r.hist != nil {
		for _, h := range r.hist[:k] {
			shrunk += 16 + len(h)
		}
		clear(r.hist[:k])
		r.hist = r.hist[k:]
	}
	r.at, r.n, r.sum = r.at[k:], r.n[k:], r.sum[k:]
	return shrunk
}

// each calls f with the slots that begin in [from, to), in seconds.
func (r *ring) each(from, to int64, f func(second int64, n, sum float64, h string)) {
	i, _ := slices.BinarySearchFunc(r.at, from, func(at uint32, from int64) int { return compareInt(int64(at)*r.step, from) })
	for ; i < len(r.at) && int64(r.at[i])*r.step < to; i++ {
		h := ""
		if r.hist != nil {
			h = r.hist[i]
		}
		f(int64(r.at[i])*r.step, float64(r.n[i]), float64(r.sum[i]), h)
	}
}
