package driver

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
)

// Partition returns which of n partitions a key belongs to: FNV-1a (32 bits) of the key, modulo n.
func Partition(key string, n int) int {
	// Written out: hash/fnv would make an object for each event.
	sum := uint32(2166136261)
	for i := range len(key) {
		sum = (sum ^ uint32(key[i])) * 16777619
	}
	return int(sum % uint32(n))
}

// Shares says whose each of n partitions is to be; without members they are nobody's, "". All members come to the same result, in whatever order they
// know each other; each gets the same number, or one less, and few partitions move when a member comes or goes.
func Shares(members []string, n int) []string {
	owner := make([]string, n)
	if len(members) == 0 {
		return owner
	}
	members = slices.Clone(members)
	slices.Sort(members)
	left := make(map[string]int, len(members))
	for i, m := range members {
		left[m] = n / len(members)
		if i < n%len(members) {
			left[m]++
		}
	}
	for part := range owner {
		best, weight := "", uint64(0)
		for _, m := range members {
			if left[m] == 0 {
				continue
			}
			h := fnv.New64a()
			h.Write(strconv.AppendInt([]byte(m+"/"), int64(part), 10))
			w := h.Sum64()
			w = (w ^ w>>32) * 0x9e3779b97f4a7c15 // FNV alone hardly mixes the last digits
			if w ^= w >> 29; best == "" || cmp.Or(cmp.Compare(w, weight), cmp.Compare(m, best)) > 0 {
				best, weight = m, w
			}
		}
		owner[part] = best
		left[best]--
	}
	return owner
}
