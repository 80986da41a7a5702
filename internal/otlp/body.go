package otlp

import (
	"io"
	"sync"
)

// payload is the body of one attempt. net/http may read it on after the answer has come, when its memory is used again already: end
// stops that.
type payload struct {
	mu   sync.Mutex
	data []byte
}

// reader returns the body from its start.
func (p *payload) reader() io.ReadCloser { return &payloadReader{p: p} }

// end makes all readers fail. None of them reads when it returns.
func (p *payload) end() {
	p.mu.Lock()
	p.data = nil
	p.mu.Unlock()
}

type payloadReader struct {
	p  *payload
	at int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.data == nil {
		return 0, io.ErrClosedPipe
	}
	if r.at == len(r.p.data) {
		return 0, io.EOF
	}
	n := copy(b, r.p.data[r.at:])
	r.at += n
	return n, nil
}

func (r *payloadReader) Close() error { return nil }
