package natsstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go/jetstream"
)

var _ store.Admin = (*Store)(nil)

// Buckets implements [store.Admin].
func (s *Store) Buckets(ctx context.Context) (all []store.BucketState, err error) {
	js, err := s.jetStream()
	if err != nil {
		return nil, err
	}
	prefix := "KV_" + s.kvName("")
	err = s.persist(ctx, func(ctx context.Context) error {
		all = nil
		list := js.ListStreams(ctx, jetstream.WithStreamListSubject("$KV.>"))
		for info := range list.Info() {
			name, ok := strings.CutPrefix(info.Config.Name, prefix)
			if version := info.Config.Metadata[metaVersion]; !ok || version != "" && version != metaVersionNow {
				continue
			}
			state := stateOf(strings.ReplaceAll(name, "_", "."), info)
			stream, err := js.Stream(ctx, info.Config.Name)
			if errors.Is(err, jetstream.ErrStreamNotFound) { // deleted since
				continue
			}
			if err != nil {
				return err
			}
			s.know(&bucket{info: state.BucketInfo, kv: strings.TrimPrefix(info.Config.Name, "KV_"), stream: stream})
			all = append(all, state)
		}
		return list.Err()
	})
	slices.SortFunc(all, func(a, b store.BucketState) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// know keeps a bucket that was found, unless it was declared here.
func (s *Store) know(b *bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets == nil {
		s.buckets = make(map[string]*bucket)
	}
	if s.buckets[b.info.Name] == nil {
		s.buckets[b.info.Name] = b
	}
}

// stateOf describes the bucket of a stream, with limits that leave the stream as it is.
func stateOf(name string, info *jetstream.StreamInfo) store.BucketState {
	c := info.Config
	size := int(c.MaxMsgSize)
	if size > 0 {
		size = max(size-headroom, 1)
	}
	state := store.BucketState{
		BucketInfo: store.BucketInfo{Name: name, Type: c.Metadata[metaType], Limits: store.Limits{MaxBytes: c.MaxBytes, MaxSize: size, Replicas: c.Replicas}},
		Records:    info.State.Msgs, Bytes: info.State.Bytes,
	}
	if info.State.LastSeq >= c.FirstSeq && !info.State.LastTime.IsZero() {
		state.Revision, state.Time = info.State.LastSeq, info.State.LastTime
	}
	return state
}
