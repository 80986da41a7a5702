package store

import (
	"cmp"
	"context"
	"slices"
)

var _ Admin = (*Memory)(nil)

// Buckets implements [Admin].
func (m *Memory) Buckets(ctx context.Context) ([]BucketState, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []BucketState
	for _, b := range m.buckets {
		state := BucketState{BucketInfo: b.info, Records: uint64(len(b.entries)), Bytes: uint64(b.bytes), Revision: b.revision}
		if n := len(b.log); n > 0 {
			if last := b.entries[b.log[n-1].key]; last != nil { // the last write is never out of date
				state.Time = last.Time
			}
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b BucketState) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
