package rpc

import "google.golang.org/grpc/metadata"

// sentMetadata is the header or the trailers that a handler has set. On a wire it is written at once, as header fields: nobody but stats
// handlers looks at it again.
type sentMetadata struct {
	set   bool        // there is some, if only of reserved keys
	md    metadata.MD // where it is kept as it is
	block []byte      // where it is written, without reserved keys
}

// blockSize is the room for a block. Most are smaller.
const blockSize = 192

// add adds md: keep says that it is kept as it is, write that it is written. It refuses what cannot be sent, and then adds nothing.
func (s *sentMetadata) add(md metadata.MD, keep, write bool) error {
	if len(md) == 0 {
		return nil
	}
	if !write {
		if err := checkMetadata(md); err != nil {
			return err
		}
	} else {
		block := s.block
		if block == nil {
			block = make([]byte, 0, blockSize)
		}
		for key, values := range md {
			if err := checkPair(key, values...); err != nil {
				return err
			}
			block = appendValues(block, key, values)
		}
		s.block = block
	}
	if keep {
		s.md = addMetadata(s.md, md)
	}
	s.set = true
	return nil
}
