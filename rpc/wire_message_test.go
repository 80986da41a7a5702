package rpc

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	pb "github.com/hanse-go/hanse/rpc/internal/paritypb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// framed is a message with its prefix.
func framed(flag byte, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(data))), data...)
}

// assemble feeds stream in pieces and returns copies of the messages in it.
func assemble(a *assembler, stream []byte, limit int, piece func() int) (messages [][]byte, err error) {
	for len(stream) > 0 {
		n := min(max(piece(), 1), len(stream))
		p := bytes.Clone(stream[:n])
		stream = stream[n:]
		for len(p) > 0 {
			m, rest, ok, err := a.next(p, limit)
			if err != nil {
				return messages, err
			}
			if ok {
				messages = append(messages, bytes.Clone(m.data))
				m.free()
			}
			p = rest
		}
	}
	return messages, nil
}

func TestAssembler(t *testing.T) {
	var want [][]byte
	var stream []byte
	for i, size := range []int{0, 1, 5, 100, 0, 0, 70_000, 300_000, 3} {
		want = append(want, bytes.Repeat([]byte{byte(i)}, size))
		stream = append(stream, framed(0, want[i])...)
	}
	for name, piece := range map[string]func() int{
		"at once":      func() int { return len(stream) },
		"byte by byte": func() int { return 1 },
		"by four":      func() int { return 4 },
		"frames":       func() int { return 16384 },
		"random":       func() int { return rand.IntN(1000) },
	} {
		t.Run(name, func(t *testing.T) {
			var a assembler
			got, err := assemble(&a, stream, 1<<20, piece)
			if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%d messages, %v", len(got), err)
			}
			if a.cut() || a.outstanding() != 0 {
				t.Error("something is left")
			}
		})
	}
}

func TestAssemblerRefuses(t *testing.T) {
	var a assembler
	whole := func() int { return 1 << 20 }
	if got, err := assemble(&a, framed(0, make([]byte, 10)), 10, whole); err != nil || len(got) != 1 {
		t.Errorf("as long as allowed: %d, %v", len(got), err)
	}
	if _, err := assemble(&a, framed(0, make([]byte, 11)), 10, whole); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too long: %v", err)
	}
	a = assembler{}
	if _, err := assemble(&a, framed(2, nil), 10, whole); status.Code(err) != codes.Internal {
		t.Errorf("unknown flag: %v", err)
	}
	a = assembler{}
	if _, err := assemble(&a, framed(0, make([]byte, 10))[:8], 10, whole); err != nil || !a.cut() || a.outstanding() != 7 {
		t.Errorf("cut short: %v, %t, %d", err, a.cut(), a.outstanding())
	}
}

// Nobody gets memory for what it only announces.
func TestAssemblerTrustsNoLength(t *testing.T) {
	var a assembler
	p := framed(0, nil)
	binary.BigEndian.PutUint32(p[1:], 1<<30)
	if _, _, ok, err := a.next(append(p, 1), 1<<30); ok || err != nil {
		t.Fatal(ok, err)
	}
	if c := cap(a.buf.b); c > firstPiece {
		t.Errorf("%d bytes were allocated for one", c)
	}
}

func FuzzAssembler(f *testing.F) {
	f.Add(append(framed(0, []byte("abc")), framed(1, nil)...), uint8(2))
	f.Add([]byte{0, 255, 255, 255, 255, 1}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		const limit = 1000
		var whole, pieces assembler
		a, errA := assemble(&whole, stream, limit, func() int { return len(stream) })
		b, errB := assemble(&pieces, stream, limit, func() int { return int(piece) })
		if !slices.EqualFunc(a, b, bytes.Equal) || (errA == nil) != (errB == nil) {
			t.Fatalf("%d messages, %v; in pieces %d, %v", len(a), errA, len(b), errB)
		}
		var again []byte
		for _, m := range a {
			again = append(again, framed(0, m)...)
		}
		if len(again) > len(stream) {
			t.Fatal("more came out than went in")
		}
	})
}

func TestOutgoing(t *testing.T) {
	f := format{codec: registeredCodec(""), plain: true}
	gz := encoding.GetCompressor(gzip.Name)
	var o outgoing
	for _, size := range []int{0, 10, 20_000, 10, 5_000_000, 0} {
		for _, compressor := range []encoding.Compressor{nil, gz} {
			in := &pb.Request{Data: bytes.Repeat([]byte("x"), size)}
			out, err := o.encode(f, compressor, in, noLimit)
			if err != nil {
				t.Fatal(err)
			}
			if out.size != proto.Size(in) {
				t.Errorf("size %d, not %d", out.size, proto.Size(in))
			}
			var a assembler
			m, rest, ok, err := a.next(out.data, noLimit)
			if err != nil || !ok || len(rest) > 0 {
				t.Fatalf("%d bytes: %t, %d, %v", size, ok, len(rest), err)
			}
			if m.compressed != (compressor != nil && size > 0) {
				t.Errorf("compressed: %t", m.compressed)
			}
			if m, err = newCompression(gzip.Name).plain(m, noLimit); err != nil {
				t.Fatal(err)
			}
			got := new(pb.Request)
			if err := f.decode(m.data, got); err != nil || !proto.Equal(got, in) {
				t.Errorf("%d bytes: %v", size, err)
			}
			if large := o.take(); (large != nil) != (len(out.data) >= byReference) {
				t.Errorf("%d bytes: taken: %t", len(out.data), large != nil)
			} else if large != nil && &large.b[0] != &out.data[0] {
				t.Error("what was taken is not the message")
			}
		}
	}
	_, err := o.encode(f, nil, &pb.Request{Text: "123456789"}, 10)
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
}

func TestCompression(t *testing.T) {
	gz := newCompression(gzip.Name)
	var o outgoing
	f := format{codec: registeredCodec(""), plain: true}
	in := &pb.Request{Text: strings.Repeat("bomb", 1_000_000)}
	out, err := o.encode(f, gz.compressor, in, noLimit)
	if err != nil {
		t.Fatal(err)
	}
	packed := message{data: out.data[messagePrefix:], compressed: true}
	if _, err := gz.plain(packed, proto.Size(in)); err != nil {
		t.Errorf("just as large as allowed: %v", err)
	}
	if _, err := gz.plain(packed, proto.Size(in)-1); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	for name, c := range map[string]compression{"none": newCompression(""), "identity": newCompression("identity"), "unknown": newCompression("rpc-none")} {
		if _, err := c.plain(packed, noLimit); status.Code(err) != codes.Internal {
			t.Errorf("%s: %v", name, err)
		}
		if c.unknown() != (name == "unknown") {
			t.Errorf("%s: unknown: %t", name, c.unknown())
		}
	}
	packed.data = []byte("not gzip")
	if _, err := gz.plain(packed, noLimit); status.Code(err) != codes.Internal {
		t.Errorf("malformed: %v", err)
	}
	cut := message{data: out.data[messagePrefix : len(out.data)-10], compressed: true}
	if _, err := gz.plain(cut, noLimit); status.Code(err) != codes.Internal {
		t.Errorf("cut short: %v", err)
	}
}

// TestBufferSizes holds that a buffer has the room that was asked for, and not twice as much for the few bytes around a payload of a power of two.
func TestBufferSizes(t *testing.T) {
	for _, asked := range []int{0, 1, 1 << 10, 1<<10 + 1, 8 << 10, 8<<10 + 1, 16 << 10, 16<<10 + 5, 24 << 10, 24<<10 + 1, 64<<10 + 5, 72 << 10, 72<<10 + 1, 4<<20 + 5, 4<<20 + 8<<10, 5 << 20} {
		b := newBuffer(asked)
		most := max(2*asked, 1<<10) + bufferPage
		if around := asked & (asked - 1); asked > 16<<10 && around > 0 && around < 100 {
			most = asked + bufferPage
		}
		if got := cap(b.b); got < asked || got > most || len(b.b) != 0 {
			t.Errorf("%d bytes asked for: room for %d, want at most %d", asked, got, most)
		}
		b.free()
		if again := newBuffer(asked); cap(again.b) < asked {
			t.Errorf("%d bytes asked for: the next buffer of the pool has %d", asked, cap(again.b))
		}
	}
}
