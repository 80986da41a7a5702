package collector

import "slices"

// ring keeps a number or a histogram over time, in slots of equal length. A slot without values takes no room.
type ring struct {
	step int64 // seconds
	at   []uint32
	n    []float32
	sum  []float32
	hist []string // packed; nil for numbers
	// fresh is what came to the newest slot and is not packed yet: most comes there, one by one.
	fresh hist
}

// slotBytes is about what a slot takes.
const slotBytes = 12

// bucketBytes is what a bucket takes that is not packed.
const bucketBytes = 16

// add adds to the slot of a second. It returns by how much the ring has grown. work is room to work in.
func (r *ring) add(second int64, n, sum float64, h hist, work *hist) (grown int) {
	at := uint32(second / r.step)
	i := len(r.at)
	for i > 0 && r.at[i-1] > at {
		i--
	}
	if i > 0 && r.at[i-1] == at {
		i--
	} else {
		if i == len(r.at) {
			grown += r.settle(work)
		}
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
		if i == len(r.at)-1 {
			grown -= cap(r.fresh) * bucketBytes
			r.fresh.merge(h)
			return grown + cap(r.fresh)*bucketBytes
		}
		grown += r.pack(i, h, work)
	}
	return grown
}

// settle packs what came to the newest slot.
func (r *ring) settle(work *hist) (grown int) {
	if len(r.fresh) > 0 {
		grown = r.pack(len(r.at)-1, r.fresh, work)
		r.fresh = r.fresh[:0]
	}
	return grown
}

// pack adds a histogram to the packed one of a slot.
func (r *ring) pack(i int, h hist, work *hist) (grown int) {
	*work = (*work)[:0]
	work.mergePacked(r.hist[i])
	work.merge(h)
	var text [256]byte
	grown -= len(r.hist[i])
	r.hist[i] = string(work.pack(text[:0]))
	return grown + len(r.hist[i])
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
	if k == len(r.at) {
		shrunk += cap(r.fresh) * bucketBytes
		r.fresh = nil
	}
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
			if i == len(r.at)-1 && len(r.fresh) > 0 {
				var all hist
				all.mergePacked(h)
				all.merge(r.fresh)
				h = string(all.pack(nil))
			}
		}
		f(int64(r.at[i])*r.step, float64(r.n[i]), float64(r.sum[i]), h)
	}
}
