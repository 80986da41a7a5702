package http2_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
)

const (
	tData, tHeaders, tPriority, tReset, tSettings, tPush, tPing, tGoAway, tWindow, tContinuation = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

	fEndStream, fAck, fEndHeaders, fPadded, fPriority = 1, 1, 4, 8, 0x20
)

// rawPeer is the other end of a connection, which sends the frames that a test wants.
type rawPeer struct {
	t   testing.TB
	nc  net.Conn
	in  *bufio.Reader
	dec *hpack.Decoder
}

type rawFrame struct {
	typ, flags byte
	stream     uint32
	p          []byte
}

func (f rawFrame) code() http2.ErrCode {
	if f.typ == tGoAway {
		return http2.ErrCode(binary.BigEndian.Uint32(f.p[4:]))
	}
	return http2.ErrCode(binary.BigEndian.Uint32(f.p))
}

func (f rawFrame) String() string {
	return fmt.Sprintf("{type %d, flags %#x, stream %d, %q}", f.typ, f.flags, f.stream, f.p)
}

func newRaw(t testing.TB, nc net.Conn) *rawPeer {
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &rawPeer{t: t, nc: nc, in: bufio.NewReader(nc), dec: hpack.NewDecoder(4096, 1<<20)}
}

// rawClient starts a server and returns a client of it that has sent its preface and settings.
func rawClient(t testing.TB, h *handler, settings ...uint32) (*rawPeer, *http2.Conn) {
	t.Helper()
	nc, sn := networks["memory"](t)
	c := http2.NewServerConn(sn, &h.cfg, h)
	go c.Serve()
	t.Cleanup(func() {
		nc.Close()
		c.Close(nil)
		<-c.Done()
		h.Wait()
		h.Close()
	})
	r := newRaw(t, nc)
	io.WriteString(nc, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	r.settings(settings...)
	return r, c
}

// rawServer starts a client and returns a server of it that has sent its settings.
func rawServer(t testing.TB, cfg http2.Config, ev http2.ClientEvents, settings ...uint32) (*rawPeer, *http2.Conn) {
	t.Helper()
	cn, nc := networks["memory"](t)
	c := http2.NewClientConn(cn, &cfg, ev)
	t.Cleanup(func() {
		c.Close(nil)
		<-c.Done()
		nc.Close()
	})
	r := newRaw(t, nc)
	if _, err := io.ReadFull(r.in, make([]byte, 24)); err != nil {
		t.Fatal(err)
	}
	r.settings(settings...)
	return r, c
}

func frameBytes(typ, flags byte, stream uint32, p []byte) []byte {
	b := []byte{byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p)), typ, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[5:], stream)
	return append(b, p...)
}

// send sends a frame, and reports whether the connection takes it.
func (r *rawPeer) send(typ, flags byte, stream uint32, p []byte) bool {
	_, err := r.nc.Write(frameBytes(typ, flags, stream, p))
	return err == nil
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func (r *rawPeer) settings(pairs ...uint32) bool {
	var p []byte
	for i := 0; i < len(pairs); i += 2 {
		p = append(binary.BigEndian.AppendUint16(p, uint16(pairs[i])), u32(pairs[i+1])...)
	}
	return r.send(tSettings, 0, 0, p)
}

// block is a header block of literals: names and values in turn.
func block(fields ...string) []byte {
	b := []byte{}
	for i := 0; i < len(fields); i += 2 {
		b = hpack.AppendLiteral(b, fields[i], fields[i+1], false)
	}
	return b
}

func get(more ...string) []byte {
	return block(append([]string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x"}, more...)...)
}

// open sends a request's header.
func (r *rawPeer) open(stream uint32, end bool) bool {
	flags := byte(fEndHeaders)
	if end {
		flags |= fEndStream
	}
	return r.send(tHeaders, flags, stream, get())
}

// read reads the next frame.
func (r *rawPeer) read() (f rawFrame, err error) {
	var head [9]byte
	if _, err = io.ReadFull(r.in, head[:]); err != nil {
		return f, err
	}
	f.typ, f.flags, f.stream = head[3], head[4], binary.BigEndian.Uint32(head[5:])
	f.p = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r.in, f.p)
	return f, err
}

// until reads frames until want reports true of one, and returns that.
func (r *rawPeer) until(what string, want func(f rawFrame) bool) rawFrame {
	r.t.Helper()
	for {
		f, err := r.read()
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", what, err)
		}
		if want(f) {
			return f
		}
		if f.typ == tGoAway && f.code() != http2.NoError {
			r.t.Fatalf("waiting for %s: GOAWAY %v %s", what, f.code(), f.p[8:])
		}
	}
}

func (r *rawPeer) wantGoAway(code http2.ErrCode) rawFrame {
	r.t.Helper()
	f := r.until("GOAWAY "+code.String(), func(f rawFrame) bool { return f.typ == tGoAway && f.code() == code })
	r.nc.Close() // the other end waits for it
	return f
}

func (r *rawPeer) wantReset(stream uint32, code http2.ErrCode) {
	r.t.Helper()
	f := r.until(fmt.Sprintf("RST_STREAM of %d with %v", stream, code), func(f rawFrame) bool { return f.typ == tReset && f.stream == stream })
	if f.code() != code {
		r.t.Fatalf("stream %d was reset with %v, not %v", stream, f.code(), code)
	}
}

// sync waits until all that was sent has been handled.
func (r *rawPeer) sync() {
	r.t.Helper()
	r.send(tPing, 0, 0, []byte("syncsync"))
	r.until("PING's answer", func(f rawFrame) bool { return f.typ == tPing && f.flags&fAck != 0 })
}

// headers decodes a HEADERS frame.
func (r *rawPeer) headers(f rawFrame) map[string]string {
	r.t.Helper()
	if f.flags&fEndHeaders == 0 {
		r.t.Fatal("a header block in several frames")
	}
	b, err := r.dec.Decode(f.p)
	if err != nil {
		r.t.Fatal(err)
	}
	m := make(map[string]string)
	for _, f := range append(b.Run.Fields[:len(b.Run.Fields):len(b.Run.Fields)], b.Rest...) {
		m[f.Name] = f.Value
	}
	return m
}

// flood calls one over and over, reading nothing, until the connection does not take it, or most times. Then it reads on.
func (r *rawPeer) flood(most int, one func(i int) bool) {
	for i := range most {
		if !one(i) {
			return
		}
	}
}

func (r *rawPeer) wantFrame(typ byte) rawFrame {
	r.t.Helper()
	return r.until(fmt.Sprintf("a frame of type %d", typ), func(f rawFrame) bool { return f.typ == typ && f.flags&fAck == 0 })
}
