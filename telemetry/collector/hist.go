package collector

import (
	"encoding/binary"
	"math"
	"slices"
)

// histScale is how fine histograms are: eight buckets for each doubling, so a percentile is off by 5 % at most.
const histScale = 3

// zeroBucket is the bucket of what is zero or less.
const zeroBucket = math.MinInt16

// bucket counts values in (base^index, base^(index+1)], where base is 2^(1/8).
type bucket struct {
	index int16
	count uint64
}

// hist is a histogram: buckets in the order of their indices. The zero value is empty.
type hist []bucket

func bucketOf(v float64) int16 {
	if !(v > 0) {
		return zeroBucket
	}
	return int16(min(max(math.Ceil(math.Log2(v)*(1<<histScale))-1, zeroBucket+1), math.MaxInt16))
}

// bound is the lower end of a bucket.
func bound(index float64) float64 { return math.Exp2(index / (1 << histScale)) }

func (h *hist) add(index int16, count uint64) {
	if count == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(*h, index, func(b bucket, index int16) int { return int(b.index) - int(index) })
	if !found {
		*h = slices.Insert(*h, i, bucket{index: index})
	}
	(*h)[i].count += count
}

func (h *hist) merge(o hist) {
	for _, b := range o {
		h.add(b.index, b.count)
	}
}

func (h hist) count() (n uint64) {
	for _, b := range h {
		n += b.count
	}
	return n
}

// quantile returns the value below which the part q of all is, or NaN without values.
func (h hist) quantile(q float64) float64 {
	n := h.count()
	if n == 0 {
		return math.NaN()
	}
	rank := q * float64(n)
	var sum float64
	for i, b := range h {
		if c := float64(b.count); sum+c >= rank || i == len(h)-1 {
			if b.index == zeroBucket {
				return 0
			}
			return bound(float64(b.index) + min(max((rank-sum)/c, 0), 1))
		}
		sum += float64(b.count)
	}
	return math.NaN()
}

// pack writes a histogram into few bytes.
func (h hist) pack(b []byte) []byte {
	last := 0
	for _, e := range h {
		b = binary.AppendVarint(b, int64(int(e.index)-last))
		b = binary.AppendUvarint(b, e.count)
		last = int(e.index)
	}
	return b
}

// mergePacked adds what pack wrote.
func (h *hist) mergePacked(s string) {
	var space [512]byte
	b := append(space[:0], s...)
	last := int64(0)
	for len(b) > 0 {
		delta, n := binary.Varint(b)
		if n <= 0 {
			return
		}
		count, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return
		}
		b = b[n+m:]
		last += delta
		h.add(int16(last), count)
	}
}

// addExplicit adds a histogram with bounds of its own: what is between two of them counts as in the middle.
func (h *hist) addExplicit(bounds []float64, counts []uint64) {
	for i, n := range counts {
		var v float64
		switch {
		case len(bounds) == 0:
		case i == 0:
			v = bounds[0] / 2
		case i >= len(bounds):
			v = bounds[len(bounds)-1] * 1.1
		case bounds[i-1] > 0:
			v = math.Sqrt(bounds[i-1] * bounds[i])
		default:
			v = bounds[i] / 2
		}
		h.add(bucketOf(v), n)
	}
}

// addExponential adds buckets of OpenTelemetry's exponential histogram.
func (h *hist) addExponential(scale int32, offset int32, counts []uint64) {
	for i, n := range counts {
		if n == 0 {
			continue
		}
		at := int64(offset) + int64(i)
		switch {
		case scale >= histScale:
			at >>= min(scale-histScale, 62)
		case scale >= -20:
			up := histScale - scale
			at = at<<up + 1<<up/2
		default:
			at = 0
		}
		h.add(int16(min(max(at, zeroBucket+1), math.MaxInt16)), n)
	}
}

// widened returns what addExponential would have made of the same values at a scale that is less.
func (h hist) widened(scale int32) hist {
	if scale >= histScale || scale < -20 {
		return h
	}
	var out hist
	for _, b := range h {
		if b.index == zeroBucket {
			out.add(zeroBucket, b.count)
			continue
		}
		out.addExponential(scale, int32(int64(b.index)>>(histScale-scale)), []uint64{b.count})
	}
	return out
}

// minus returns what has been added since an earlier state, and false when h is none of its later states.
func (h hist) minus(before hist) (hist, bool) {
	var out hist
	for _, b := range h {
		out.add(b.index, b.count)
	}
	for _, b := range before {
		i, found := slices.BinarySearchFunc(out, b.index, func(e bucket, index int16) int { return int(e.index) - int(index) })
		if !found || out[i].count < b.count {
			return nil, false
		}
		out[i].count -= b.count
	}
	return slices.DeleteFunc(out, func(b bucket) bool { return b.count == 0 }), true
}
