package framed

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Handler answers a request, whose bytes it may use until it returns, by calling reply once. It runs on a goroutine of its own.
type Handler func(request []byte, reply func(message any) error) error

// Serve answers the calls of one connection until it ends, and waits for the handlers. It closes the connection. That the peer went away
// is no error.
func Serve(conn net.Conn, codec Codec, handle Handler) error {
	out := newFlusher(conn, codec)
	q := &queue{handle: func(r request, w *worker) error {
		w.id = r.id
		return handle(r.message.b, w.reply)
	}, out: out}
	var writer sync.WaitGroup
	writer.Go(out.run)

	var arrived []request
	err := readFrames(conn, func(id uint32, message []byte) error {
		buf := newBuffer(len(message))
		buf.b = append(buf.b, message...)
		arrived = append(arrived, request{id, buf})
		return nil
	}, func() {
		q.push(arrived)
		arrived = arrived[:0]
	})
	q.close()
	out.end(net.ErrClosed)
	writer.Wait()
	conn.Close()
	if err == io.EOF || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, q.err)
}
