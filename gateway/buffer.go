package gateway

import "sync"

// buffers are memory for messages, which is used again.
type buffers struct {
	most int // bytes of the largest that are kept
	pool sync.Pool
}

var (
	// requestBuffers are of messages that were decoded. They are small: what is kept is not counted as held for any message.
	requestBuffers = buffers{most: freeHeld}
	// replyBuffers are of replies that were written.
	replyBuffers = buffers{most: 64 << 10}
)

func (b *buffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	return new([]byte)
}

// put gives back what nobody uses any more. A nil p is none.
func (b *buffers) put(p *[]byte) {
	if p != nil && cap(*p) <= b.most {
		b.pool.Put(p)
	}
}
