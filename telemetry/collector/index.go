package collector

import (
	"context"
	"time"
)

const (
	quietRecords = 2000                  // so many in a second, and there is time for the index
	indexFor     = 5 * time.Millisecond  // how long it is made at a time: the processors are for those who are watched
	indexEvery   = 50 * time.Millisecond // how long between these times
	indexBatch   = 4                     // blocks whose grams are written together
)

// measureLoad finds out, once in a tick, whether there is time for the index.
func (s *store) measureLoad() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = s.arrived < quietRecords && s.waiting < mostWaiting/16
	s.arrived = 0
}

// index makes the grams of blocks that have none, for a moment: the newest first, for those are searched most. It reports whether there
// is more to do.
func (s *store) index(ctx context.Context) (more bool) {
	for began := time.Now(); time.Since(began) < indexFor && ctx.Err() == nil; {
		var seg *segment
		var list []*block
		s.mu.Lock()
		if s.pending == 0 || !s.quiet || s.arrived >= quietRecords {
			s.mu.Unlock()
			return false
		}
		for i := len(s.blocks) - 1; i >= 0 && len(list) < indexBatch; i-- {
			b := s.blocks[i]
			if !b.sealed || b.indexed || b.content != nil || b.seg == nil || seg != nil && b.seg != seg {
				continue
			}
			seg, list = b.seg, append(list, b)
		}
		if len(list) == 0 {
			s.pending = 0
		}
		s.mu.Unlock()
		if len(list) == 0 {
			return false
		}
		made := make(map[int64]*grams, len(list))
		for _, b := range list {
			content, err := s.content(ctx, b)
			if err != nil {
				continue // it is gone, or will be looked at without an index
			}
			g := new(grams)
			if g.addContent(b.signal, content) == nil {
				made[b.id] = g
			}
		}
		err := seg.writeGrams(ctx, made)
		s.mu.Lock()
		for _, b := range list {
			b.indexed = err == nil // also where that failed: it is not tried again
			s.pending--
		}
		s.mu.Unlock()
		if err != nil {
			s.logger.Debug("no index of telemetry", "file", seg.path, "err", err)
			return false
		}
	}
	return ctx.Err() == nil
}
