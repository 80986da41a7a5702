package rpc

import "google.golang.org/grpc/metadata"

// sentMetadata is the header or the trailers that a handler has set; nil: it has set none. On a wire it is written at once, as header
// fields: nobody but stats handlers looks at it again.
type sentMetadata struct {
	md    metadata.MD // where it is kept as it is
	block []byte      // where it is written, without reserved keys
}

// kept is s as metadata, where it is kept.
func (s *sentMetadata) kept() metadata.MD {
	if s == nil {
		return nil
	}
	return s.md
}

// written is s as header fields, where it is written.
func (s *sentMetadata) written() []byte {
	if s == nil {
		return nil
	}
	return s.block
}

// writtenMetadata is one with room for a block, which most do not exceed.
type writtenMetadata struct {
	sentMetadata
	room [192]byte
}

// add returns s with md, which may be s itself: keep says that it is kept as it is, write that it is written. It refuses what cannot be
// sent, and then nothing is added.
func (s *sentMetadata) add(md metadata.MD, keep, write bool) (*sentMetadata, error) {
	if len(md) == 0 {
		return s, nil
	}
	switch {
	case s != nil:
	case write:
		w := new(writtenMetadata)
		s, w.block = &w.sentMetadata, w.room[:0]
	default:
		s = new(sentMetadata)
	}
	if write {
		block := s.block
		for key, values := range md {
			if err := checkPair(key, values...); err != nil {
				return nil, err
			}
			block = appendValues(block, key, values)
		}
		s.block = block
	} else if err := checkMetadata(md); err != nil {
		return nil, err
	}
	if keep {
		s.md = addMetadata(s.md, md)
	}
	return s, nil
}
