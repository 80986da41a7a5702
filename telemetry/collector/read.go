package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// errGone is returned for a block that was dropped while it was looked for.
var errGone = errors.New("dropped")

// list returns the blocks of a signal as they are now, by ID. They are copies.
func (s *store) list(ctx context.Context, sig signal) ([]block, error) {
	select {
	case <-s.loaded:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]block, 0, len(s.blocks))
	for _, b := range s.blocks {
		if b.signal == sig {
			out = append(out, *b)
		}
	}
	return out, nil
}

// content returns the content of a block, which is not to be changed.
func (s *store) content(ctx context.Context, b *block) ([]byte, error) {
	if b.content != nil {
		return b.content, nil
	}
	if c := s.cache.get(b.id); c != nil {
		return c, nil
	}
	if b.seg == nil {
		return nil, errGone
	}
	c, err := b.seg.content(ctx, b)
	if err != nil {
		return nil, s.readFailed(ctx, b.seg, err)
	}
	s.cache.put(b.id, c)
	return c, nil
}

// readFailed says what became of a file that could not be read.
func (s *store) readFailed(ctx context.Context, seg *segment, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	gone := seg.gone
	s.mu.Unlock()
	if gone {
		return errGone
	}
	if damaged(err) {
		s.aside(seg, err)
		return errGone
	}
	return fmt.Errorf("reading %s: %w", seg.path, err)
}

// may reports whether all texts may be in the block.
func (s *store) may(ctx context.Context, b *block, words []string) bool {
	if len(words) == 0 || !b.indexed || b.content != nil || b.seg == nil {
		return true
	}
	g, err := b.seg.grams(ctx, b.id)
	if err != nil || g == nil {
		return true // reading the block tells more
	}
	return !slices.ContainsFunc(words, func(w string) bool { return !g.may(w) })
}

// withTrace returns those of the blocks, which are in the order of their IDs, that may have records of a trace.
func (s *store) withTrace(ctx context.Context, list []block, h uint32) ([]block, error) {
	return s.withAnyTrace(ctx, list, []uint32{h})
}

// withAnyTrace returns those of the blocks that may have records of one of the traces, whose hashes are sorted.
func (s *store) withAnyTrace(ctx context.Context, list []block, hashes []uint32) ([]block, error) {
	var out []block
	for i := 0; i < len(list); {
		b := &list[i]
		if b.content != nil {
			if slices.ContainsFunc(b.traces, func(h uint32) bool { return hasHash(hashes, h) }) {
				out = append(out, *b)
			}
			i++
			continue
		}
		end := i + 1
		for end < len(list) && list[end].seg == b.seg && list[end].content == nil {
			end++
		}
		if b.seg != nil {
			ids, err := b.seg.withTraces(ctx, hashes, b.id, list[end-1].id)
			if err != nil {
				if err = s.readFailed(ctx, b.seg, err); !errors.Is(err, errGone) {
					return nil, err
				}
			}
			for _, c := range list[i:end] {
				if ids[c.id] {
					out = append(out, c)
				}
			}
		}
		i = end
	}
	return out, nil
}

func hasHash(sorted []uint32, h uint32) bool {
	_, found := slices.BinarySearch(sorted, h)
	return found
}
