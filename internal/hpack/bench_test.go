package hpack_test

import (
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	xhpack "golang.org/x/net/http2/hpack"
)

func BenchmarkDecode(b *testing.B) {
	d := hpack.NewDecoder(4096, 0)
	for name, block := range steadyBlocks(b, d) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("stock grpc-go", func(b *testing.B) { // its encoder adds every new timeout to the table
		x, d := newXEncoder(), hpack.NewDecoder(4096, 0)
		var blocks [][]byte
		for i := range 1000 {
			fields := append([]hpack.Field(nil), requestTemplate().Fields()...)
			blocks = append(blocks, x.block(append(fields, hpack.Field{Name: "grpc-timeout", Value: string(rune('0'+i%10)) + "99999u"})...))
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(blocks) == 0 {
				d = hpack.NewDecoder(4096, 0)
			}
			if _, err := d.Decode(blocks[i%len(blocks)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("x_net", func(b *testing.B) {
		x := xhpack.NewDecoder(4096, func(xhpack.HeaderField) {})
		if _, err := x.Write(hpack.NewEncoder().AppendTemplate(nil, requestTemplate())); err != nil {
			b.Fatal(err)
		}
		x.Close()
		block := []byte{0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x.Write(block); err != nil {
				b.Fatal(err)
			}
			x.Close()
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	e, head := hpack.NewEncoder(), requestTemplate()
	buf := make([]byte, 0, 4096)
	b.Run("template", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = e.AppendTemplate(buf[:0], head)
		}
	})
	b.Run("literal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = hpack.AppendLiteral(buf[:0], "grpc-timeout", "9999m", false)
		}
	})
}
