package hpack_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	xhpack "golang.org/x/net/http2/hpack"
)

// FuzzDecode gives the blocks of one connection to our decoder and to that of x/net: both find the same fields or both find a mistake,
// block after block, so that their tables are the same. Each block is preceded by its length, 0 to 255.
func FuzzDecode(f *testing.F) {
	x := newXEncoder()
	var conn []byte
	for _, fields := range [][]hpack.Field{
		{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/shop.v1.Cart/Add"}, {Name: "te", Value: "trailers"}, {Name: "grpc-timeout", Value: "1S"}},
		{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/shop.v1.Cart/Add"}, {Name: "te", Value: "trailers"}, {Name: "grpc-timeout", Value: "2S"}},
		{{Name: "authorization", Value: "secret", Sensitive: true}, {Name: "grpc-timeout", Value: "1S"}},
	} {
		block := x.block(fields...)
		for range 4 { // what repeats is remembered as a whole
			conn = append(append(conn, byte(len(block))), block...)
		}
	}
	f.Add(uint16(4096), conn)
	f.Add(uint16(100), conn)
	f.Add(uint16(1000), []byte("\x06\x40\x01a\x01b\xbe\x02\x20\x3f\x03\x3f\xe1\x1f\x08\x40\x81\x18\x01a"))
	f.Add(uint16(0), []byte("\x04\x3f\xe1\x1f\x20\x05\x41\x82\x1f\xff\xff\x0b\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"))
	f.Fuzz(func(t *testing.T, maxList uint16, conn []byte) {
		ours, x := hpack.NewDecoder(4096, uint32(maxList)), xhpack.NewDecoder(4096, nil)
		limit := uint64(maxList)
		if limit == 0 {
			limit = 64 << 10
		}
		for len(conn) > 0 {
			n := min(int(conn[0]), len(conn)-1)
			block := conn[1 : 1+n]
			conn = conn[1+n:]

			got, err := ours.Decode(block)
			want, wantErr := x.DecodeFull(block)
			// x/net takes a size update anywhere while its table is empty, and two at the beginning only then.
			if err == hpack.ErrUpdateLate || wantErr != nil && strings.Contains(wantErr.Error(), "MUST occur at the beginning") {
				return
			}
			if wantErr != nil {
				if err == nil || errors.Is(err, hpack.ErrListTooLarge) {
					t.Fatalf("x/net refuses %x: %v; ours says %v", block, wantErr, err)
				}
				return
			}
			var size uint64
			var list []hpack.Field
			for _, f := range want {
				list = append(list, hpack.Field(f))
				size += hpack.Field(f).Size()
			}
			if size > limit {
				if !errors.Is(err, hpack.ErrListTooLarge) {
					t.Fatalf("a list of %d bytes with a limit of %d: %v", size, limit, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("x/net takes %x, ours says %v", block, err)
			}
			if got, want := lines(append(got.Run.Fields[:len(got.Run.Fields):len(got.Run.Fields)], got.Rest...)), lines(list); got != want {
				t.Fatalf("block %x: got\n%s\nwant\n%s", block, got, want)
			}
		}
	})
}

// FuzzEncodeDecode sends templates and literals made of the input through an encoder, with SETTINGS of the peer between them, and finds
// the same fields in our decoder and in that of x/net.
func FuzzEncodeDecode(f *testing.F) {
	f.Add([]byte("a b\x00c d e\x00:path /x\x00"), []byte("\x00\x01\x02\x00\x01\x02\x80\x00\xff\x01\x90\x02"))
	f.Add([]byte(strings.Repeat("name ", 30)+"\x00"+strings.Repeat("v ", 400)), []byte("\x00\x01\x00\x01\x81\x00\x00\x8f\x00"))
	f.Fuzz(func(t *testing.T, text, ops []byte) {
		var templates []*hpack.Template
		for list := range strings.SplitSeq(string(text), "\x00") {
			var fields []hpack.Field
			words := strings.Split(list, " ")
			for i := 0; i+1 < len(words); i += 2 {
				fields = append(fields, hpack.Field{Name: words[i], Value: words[i+1], Sensitive: words[i] == "authorization"})
			}
			templates = append(templates, hpack.NewTemplate(fields...))
		}
		p := newPeer()
		for _, op := range ops {
			if op >= 0x80 {
				p.setMaxTable(uint32(op&0x7f) * 50)
				continue
			}
			tm := templates[int(op)%len(templates)]
			p.send(t, tm, templates[int(op>>1)%len(templates)].Fields()...)
		}
	})
}
