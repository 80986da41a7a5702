package framed

import (
	"io"
	"net"
)

const (
	readSize = 64 << 10
	direct   = 8 << 10 // when so much of a message is missing, it is read to its place instead of being copied
)

// readFrames calls frame with each message, which it may use until it returns, and batch when all that one read brought was told.
func readFrames(conn net.Conn, frame func(id uint32, message []byte) error, batch func()) error {
	buf := make([]byte, readSize)
	have := 0 // bytes in buf
	for {
		n, err := conn.Read(buf[have:])
		if n == 0 && err != nil {
			return err
		}
		have += n
		b := buf[:have]
		for len(b) >= headerSize {
			size, id, err := parseHeader(b)
			if err != nil {
				return err
			}
			rest := b[headerSize:]
			if len(rest) < size {
				if missing := size - len(rest); missing <= direct && size+headerSize <= readSize {
					break
				}
				batch() // nobody may wait for what is still to come
				whole := newBuffer(size)
				got := copy(whole.b[:size], rest)
				_, err := io.ReadFull(conn, whole.b[got:size])
				if err == nil {
					err = frame(id, whole.b[:size])
				}
				whole.free()
				if err != nil {
					return err
				}
				b = nil
				break
			}
			if err := frame(id, rest[:size]); err != nil {
				return err
			}
			b = rest[size:]
		}
		have = copy(buf, b)
		batch()
	}
}
