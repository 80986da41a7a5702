package memnet

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes are on their way before a writer waits.
const window = 256 << 10

// pipe is one direction of a connection. Both ends hold it: one writes, the other reads.
type pipe struct {
	link *link

	mu      sync.Mutex
	moved   sync.Cond // something below changed
	sent    []parcel
	size    int   // of sent, in bytes
	wclosed error // what the writer gets after it closed; nil while it may write
	eof     time.Time
	rclosed bool // by the reader
	broken  bool // reset by either end
	readBy  deadline
	writeBy deadline
	arrival *time.Timer // wakes the reader when the first parcel arrives
}

// parcel is what one Write sent.
type parcel struct {
	data []byte
	at   time.Time // arrival; zero: at once
}

func newPipe(k *link) *pipe {
	p := &pipe{link: k}
	p.moved.L = &p.mu
	return p
}

func (p *pipe) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.rclosed:
			return 0, net.ErrClosed
		case p.broken:
			return 0, syscall.ECONNRESET
		case p.readBy.passed():
			return 0, errTimeout
		case len(b) == 0:
			return 0, nil
		case p.link.cut.Load():
		case len(p.sent) > 0:
			if p.arrived(p.sent[0].at) {
				return p.take(b), nil
			}
		case p.wclosed != nil:
			if p.arrived(p.eof) {
				return 0, io.EOF
			}
		}
		p.moved.Wait()
	}
}

// arrived reports whether something has come by now, and otherwise sees to it that the reader is woken when it comes.
func (p *pipe) arrived(at time.Time) bool {
	if at.IsZero() {
		return true
	}
	wait := time.Until(at)
	if wait > 0 {
		if p.arrival != nil {
			p.arrival.Stop()
		}
		p.arrival = time.AfterFunc(wait, p.wake)
	}
	return wait <= 0
}

// take moves bytes that arrived to b.
func (p *pipe) take(b []byte) (n int) {
	for n < len(b) && len(p.sent) > 0 && p.arrived(p.sent[0].at) {
		first := &p.sent[0]
		k := copy(b[n:], first.data)
		n += k
		if first.data = first.data[k:]; len(first.data) == 0 {
			p.sent[0] = parcel{}
			p.sent = p.sent[1:]
		}
	}
	p.size -= n
	p.moved.Broadcast()
	return n
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.wclosed != nil:
			return n, p.wclosed
		case p.broken:
			return n, syscall.ECONNRESET
		case p.rclosed:
			return n, syscall.EPIPE
		case p.writeBy.passed():
			return n, errTimeout
		case len(b) == 0:
			return n, nil
		case p.size < window:
			k := min(len(b), window-p.size)
			p.sent = append(p.sent, parcel{append([]byte(nil), b[:k]...), p.arrivalTime()})
			p.size += k
			n += k
			b = b[k:]
			p.moved.Broadcast()
			continue
		}
		p.moved.Wait()
	}
}

// arrivalTime is when what is sent now arrives, if what was sent earlier has arrived by then; zero: at once.
func (p *pipe) arrivalTime() time.Time {
	if d := time.Duration(p.link.latency.Load()); d > 0 {
		return time.Now().Add(d)
	}
	return time.Time{}
}

// closeWrite ends the direction from the writer's side. Later writes fail with err.
func (p *pipe) closeWrite(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wclosed == nil {
		p.eof = p.arrivalTime()
	}
	p.wclosed = err
	p.writeBy.stop()
	p.moved.Broadcast()
}

// closeRead ends the direction from the reader's side.
func (p *pipe) closeRead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rclosed = true
	p.drop()
}

// reset makes both ends fail, and forgets what is on its way.
func (p *pipe) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	p.writeBy.stop()
	p.drop()
}

func (p *pipe) drop() {
	p.sent, p.size = nil, 0
	p.readBy.stop()
	if p.arrival != nil {
		p.arrival.Stop()
	}
	p.moved.Broadcast()
}

// setDeadline sets one of the pipe's two deadlines.
func (p *pipe) setDeadline(d *deadline, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d == &p.readBy && p.rclosed || d == &p.writeBy && p.wclosed == net.ErrClosed {
		return net.ErrClosed
	}
	d.set(t, p.wake)
	p.moved.Broadcast()
	return nil
}
