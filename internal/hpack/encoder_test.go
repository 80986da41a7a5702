package hpack_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	xhpack "golang.org/x/net/http2/hpack"
)

// peer decodes what an encoder makes with both decoders, which must agree.
type peer struct {
	enc  *hpack.Encoder
	x    *xhpack.Decoder
	ours *hpack.Decoder
}

func newPeer() *peer {
	return &peer{enc: hpack.NewEncoder(), x: xhpack.NewDecoder(4096, nil), ours: hpack.NewDecoder(4096, 1<<20)}
}

// setMaxTable is a SETTINGS frame of the peer.
func (p *peer) setMaxTable(n uint32) {
	p.enc.SetMaxTable(n)
	p.x.SetAllowedMaxDynamicTableSize(n)
}

// send encodes a block and checks what arrives.
func (p *peer) send(t testing.TB, template *hpack.Template, literals ...hpack.Field) (block []byte) {
	t.Helper()
	block = p.enc.AppendTemplate(nil, template)
	var want []hpack.Field
	if template != nil {
		want = append(want, template.Fields()...)
	}
	for _, f := range literals {
		block = hpack.AppendLiteral(block, f.Name, f.Value, f.Sensitive)
		want = append(want, f)
	}
	var fromX []hpack.Field
	fields, err := p.x.DecodeFull(block)
	if err != nil {
		t.Fatalf("x/net refuses %x: %v", block, err)
	}
	for _, f := range fields {
		fromX = append(fromX, hpack.Field(f))
	}
	if lines(fromX) != lines(want) {
		t.Fatalf("x/net: got\n%s\nwant\n%s", lines(fromX), lines(want))
	}
	if got := lines(decode(t, p.ours, block)); got != lines(want) {
		t.Fatalf("our decoder: got\n%s\nwant\n%s", got, lines(want))
	}
	return block
}

func TestEncoder(t *testing.T) {
	p := newPeer()
	head := requestTemplate()
	trailer := hpack.NewTemplate(hpack.Field{Name: "grpc-status", Value: "0"})
	timeout := hpack.Field{Name: "grpc-timeout", Value: "10S"}
	secret := hpack.Field{Name: "authorization", Value: "Bearer x", Sensitive: true}

	first := p.send(t, head, timeout)
	second := p.send(t, head, timeout)
	if len(second) >= len(first) {
		t.Errorf("the second block has %d bytes, the first %d", len(second), len(first))
	}
	p.send(t, trailer) // shifts the indices of head
	third := p.send(t, head, timeout, secret)
	if bytes.HasPrefix(third, second[:4]) {
		t.Error("indices did not shift: the test is wrong")
	}
	if block := p.send(t, trailer); !bytes.Equal(block, []byte{0xbe}) {
		t.Errorf("a known trailer is %x, want one byte", block)
	}
	p.send(t, nil, timeout)
	p.send(t, hpack.NewTemplate())
	p.send(t, hpack.NewTemplate(secret, hpack.Field{Name: "te", Value: "trailers"}, secret))
	p.send(t, nil, hpack.Field{}, hpack.Field{Name: "x", Value: strings.Repeat("v", 100000)}, hpack.Field{Name: ":path", Value: "\x00"})
}

// TestEncoderNeverEvicts fills the table and finds every template's block unchanged from then on.
func TestEncoderNeverEvicts(t *testing.T) {
	p := newPeer()
	var templates []*hpack.Template
	for i := range 100 {
		templates = append(templates, hpack.NewTemplate(
			hpack.Field{Name: ":path", Value: "/shop.v1.Cart/" + strings.Repeat("m", i)},
			hpack.Field{Name: "user-agent", Value: "x"},
		))
	}
	for _, tm := range templates {
		p.send(t, tm)
	}
	var blocks [][]byte
	for _, tm := range templates {
		blocks = append(blocks, p.send(t, tm))
	}
	if len(blocks[0]) != 2 || len(blocks[99]) < 100 {
		t.Errorf("blocks of %d and %d bytes: want the first in the table, and the last not", len(blocks[0]), len(blocks[99]))
	}
	for i, tm := range templates {
		if got := p.send(t, tm); !bytes.Equal(got, blocks[i]) {
			t.Errorf("the block of template %d changed from %x to %x", i, blocks[i], got)
		}
	}
	if got := len(dynamic(t, p.ours)); got < 40 {
		t.Errorf("%d entries in the table, want it full", got)
	}
}

func TestEncoderTableSize(t *testing.T) {
	head, other := requestTemplate(), hpack.NewTemplate(hpack.Field{Name: "grpc-status", Value: "0"})
	for _, c := range []struct {
		name    string
		sizes   []uint32 // the peer's, between two blocks
		updates string   // with which the next block begins
		kept    bool     // the table's entries
	}{
		{"as it is", []uint32{4096}, "", true},
		{"larger", []uint32{65536}, "", true},
		{"off", []uint32{0}, "\x20", false},
		{"smaller than the entries", []uint32{60}, "\x20\x3f\x1d", false},
		{"smaller, but all fit", []uint32{2048}, "\x3f\xe1\x0f", true},
		{"off and on again", []uint32{0, 4096}, "\x20\x3f\xe1\x1f", false},
		{"small and on again", []uint32{10, 20, 4096}, "\x20\x3f\xe1\x1f", false},
		{"smaller and larger, but all fit", []uint32{2048, 4096}, "\x3f\xe1\x0f", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPeer()
			p.send(t, head)
			known := p.send(t, head)
			for _, n := range c.sizes {
				p.setMaxTable(n)
			}
			next := p.send(t, head)
			if !bytes.HasPrefix(next, []byte(c.updates)) {
				t.Fatalf("block %x does not begin with the updates %x", next, c.updates)
			}
			if got := bytes.Equal(next[len(c.updates):], known); got != c.kept {
				t.Errorf("entries were kept: %v, want %v", got, c.kept)
			}
			p.send(t, other)
			p.send(t, head)
			p.send(t, other)
			if last := p.send(t, head); last[0]&0xe0 == 0x20 {
				t.Errorf("block %x begins with an update again", last)
			}
		})
	}
	t.Run("before the first block", func(t *testing.T) {
		p := newPeer()
		p.setMaxTable(0)
		if got := p.send(t, nil); !bytes.Equal(got, []byte{0x20}) {
			t.Errorf("block without template: %x, want the update", got)
		}
		p.send(t, head)
		p.setMaxTable(4096)
		first := p.send(t, head)
		if second := p.send(t, head); len(second) >= len(first) {
			t.Error("the table is not used once it is allowed")
		}
	})
	t.Run("grown in the block after", func(t *testing.T) {
		p := newPeer()
		p.send(t, head)
		p.setMaxTable(1024)
		p.setMaxTable(4096)
		p.send(t, head)
		if got := p.send(t, head); !bytes.HasPrefix(got, []byte("\x3f\xe1\x1f")) {
			t.Errorf("block %x does not begin with the update", got)
		}
	})
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	e := hpack.NewEncoder()
	head, trailer := requestTemplate(), hpack.NewTemplate(hpack.Field{Name: "grpc-status", Value: "0"})
	buf := make([]byte, 0, 4096)
	encode := func() {
		buf = e.AppendTemplate(buf[:0], head)
		buf = hpack.AppendLiteral(buf, "grpc-timeout", "9999m", false)
		buf = e.AppendTemplate(buf, trailer)
	}
	encode()
	encode()
	if n := testing.AllocsPerRun(100, encode); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
