package hpack_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	xhpack "golang.org/x/net/http2/hpack"
)

// TestCompressionErrors has a block for each way in which a peer can break the rules.
func TestCompressionErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		block string
		want  error
	}{
		{"index 0", "\x80", hpack.ErrIndex},
		{"index behind the tables", "\xbe", hpack.ErrIndex},
		{"large index behind the tables", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", hpack.ErrIndex},
		{"index behind the tables, not first", "\x00\x01a\x01b\xbe", hpack.ErrIndex},
		{"index 0, not first", "\x00\x01a\x01b\x80", hpack.ErrIndex},
		{"name's index behind the tables", "\x7e\x01b", hpack.ErrIndex},
		{"name's index behind the tables, without indexing", "\x0f\x2f\x01b", hpack.ErrIndex},
		{"index cut off", "\xff", hpack.ErrTruncated},
		{"index cut off in a continuation", "\xff\x80", hpack.ErrTruncated},
		{"index cut off, not first", "\x00\x01a\x01b\xff", hpack.ErrTruncated},
		{"integer without end", "\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", hpack.ErrInteger},
		{"integer of ten bytes", "\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", hpack.ErrInteger},
		{"name cut off", "\x40", hpack.ErrTruncated},
		{"name's integer cut off", "\x7f", hpack.ErrTruncated},
		{"name shorter than announced", "\x40\x05abc", hpack.ErrTruncated},
		{"name longer than any block", "\x40\x7f\xff\xff\xff\xff\x0f", hpack.ErrTruncated},
		{"name's length cut off", "\x40\x7f", hpack.ErrTruncated},
		{"value cut off", "\x41", hpack.ErrTruncated},
		{"value shorter than announced", "\x41\x02a", hpack.ErrTruncated},
		{"value's length without end", "\x41\x7f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", hpack.ErrInteger},
		{"Huffman padding of a byte", "\x41\x82\x1f\xff", hpack.ErrHuffman},
		{"Huffman padding of zeros", "\x41\x81\x18", hpack.ErrHuffman},
		{"Huffman code of the end", "\x41\x84\xff\xff\xff\xff", hpack.ErrHuffman},
		{"Huffman code of a name", "\x40\x81\x18\x01a", hpack.ErrHuffman},
		{"Huffman code of a long value", "\x41\xff\x02" + strings.Repeat("\xff", 129), hpack.ErrHuffman},
		{"update after a field", "\x82\x20", hpack.ErrUpdateLate},
		{"update after a literal", "\x00\x01a\x01b\x20", hpack.ErrUpdateLate},
		{"update above the announced size", "\x3f\xe2\x1f", hpack.ErrUpdateLarge},
		{"update above any size", "\x3f\xff\xff\xff\xff\xff\xff\xff\xff\x7f", hpack.ErrUpdateLarge},
		{"update cut off", "\x3f", hpack.ErrTruncated},
		{"update without end", "\x3f\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", hpack.ErrInteger},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := hpack.NewDecoder(4096, 0).Decode([]byte(c.block)); err != c.want {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDecoderTableSize(t *testing.T) {
	update := func(n uint64) []byte { return updateBlock(n) }
	add := []byte("\x40\x01a\x01b") // a: b
	t.Run("announced less than 4096", func(t *testing.T) {
		d := hpack.NewDecoder(100, 0)
		decode(t, d, add)
		decode(t, d, update(4096)) // the peer has not seen our SETTINGS
		d.SettingsAcked()
		if _, err := d.Decode([]byte{0xbe}); err != hpack.ErrUpdateWanted {
			t.Fatalf("a block without the update: got %v, want %v", err, hpack.ErrUpdateWanted)
		}
		if _, err := d.Decode(nil); err != hpack.ErrUpdateWanted {
			t.Fatalf("an empty block: got %v, want %v", err, hpack.ErrUpdateWanted)
		}
		if _, err := d.Decode(update(101)); err != hpack.ErrUpdateLarge {
			t.Fatalf("an update that is too large: got %v, want %v", err, hpack.ErrUpdateLarge)
		}
		decode(t, d, append(update(100), 0xbe))
		decode(t, d, []byte{0xbe})
	})
	t.Run("announced more than 4096", func(t *testing.T) {
		d := hpack.NewDecoder(8192, 0)
		long := "\x40\x01a\x7f\xa1\x1e" + strings.Repeat("v", 4000) // 4033 bytes in the table
		decode(t, d, []byte(long))
		decode(t, d, []byte(long))
		if got := len(dynamic(t, d)); got != 1 {
			t.Errorf("%d entries before the update, want 1", got)
		}
		d.SettingsAcked()
		decode(t, d, update(8192))
		decode(t, d, []byte(long))
		if got := len(dynamic(t, d)); got != 2 {
			t.Errorf("%d entries after the update, want 2", got)
		}
	})
	t.Run("emptied and grown in one block", func(t *testing.T) {
		d := hpack.NewDecoder(4096, 0)
		decode(t, d, add)
		decode(t, d, append(update(0), update(4096)...))
		if got := dynamic(t, d); len(got) != 0 {
			t.Errorf("entries left: %v", got)
		}
	})
	t.Run("shrunk evicts the oldest", func(t *testing.T) {
		d := hpack.NewDecoder(4096, 0)
		for _, v := range "123" {
			decode(t, d, []byte("\x40\x01a\x01"+string(v)))
		}
		decode(t, d, update(2*34))
		if got, want := lines(dynamic(t, d)), "a: 3\na: 2"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("larger than the table empties it", func(t *testing.T) {
		d := hpack.NewDecoder(4096, 0)
		decode(t, d, add)
		decode(t, d, append(update(40), []byte("\x7e\x09too large")...)) // named by the entry that it evicts
		if got := dynamic(t, d); len(got) != 0 {
			t.Errorf("entries left: %v", got)
		}
	})
	t.Run("named by the entry that it evicts", func(t *testing.T) {
		d := hpack.NewDecoder(4096, 0)
		decode(t, d, append(update(34), add...))
		if got, want := lines(decode(t, d, []byte("\x7e\x01c"))), "a: c"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got, want := lines(dynamic(t, d)), "a: c"; got != want {
			t.Errorf("table: got %q, want %q", got, want)
		}
	})
}

// TestListTooLarge drops lists above the limit and finds the table as the peer has it.
func TestListTooLarge(t *testing.T) {
	d := hpack.NewDecoder(4096, 100)
	fits := []byte("\x40\x01a\x01b\x40\x01c\x1d" + strings.Repeat("v", 29)) // 34 + 62 bytes, of which 4 are left
	decode(t, d, fits)
	large := []byte("\xbe\xbf\x40\x01d\x012")
	if _, err := d.Decode(large); !errors.Is(err, hpack.ErrListTooLarge) {
		t.Fatalf("got %v, want %v", err, hpack.ErrListTooLarge)
	}
	if got, want := lines(dynamic(t, d)), "d: 2\nc: "+strings.Repeat("v", 29)+"\na: b"; got != want {
		t.Errorf("table: got %q, want %q", got, want)
	}
	if _, err := d.Decode(append(large, 0x80)); err != hpack.ErrIndex {
		t.Errorf("a mistake behind the limit: got %v, want %v", err, hpack.ErrIndex)
	}

	// A bomb: one entry of the table, again and again.
	d = hpack.NewDecoder(4096, 16<<10)
	decode(t, d, []byte("\x40\x01a\x7f\xa1\x1e"+strings.Repeat("v", 4000)))
	for range 3 { // as a run, that is remembered or not
		if _, err := d.Decode(bytes.Repeat([]byte{0xbe}, 10000)); !errors.Is(err, hpack.ErrListTooLarge) {
			t.Fatalf("bomb: got %v, want %v", err, hpack.ErrListTooLarge)
		}
	}
	if got := decode(t, d, []byte{0xbe, 0xbe, 0xbe, 0xbe}); len(got) != 4 {
		t.Errorf("after the bomb: %d fields, want 4", len(got))
	}
}

// TestRuns finds the run again, though the table changes, and with it what was made of it.
func TestRuns(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	x := newXEncoder()
	head := []hpack.Field{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/shop.Cart/Add"}, {Name: "te", Value: "trailers"}}
	decode(t, d, x.block(head...)) // enters the table
	b, err := d.Decode(x.block(head...))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(b.Run.Fields), lines(head); got != want || len(b.Rest) != 0 {
		t.Fatalf("run: got\n%s\nand %d more, want\n%s", got, len(b.Rest), want)
	}
	b.Run.Data = "the route"
	for i := range 20 {
		own := hpack.Field{Name: "grpc-timeout", Value: fmt.Sprint(i)} // enters the table: every index of the head shifts
		b, err := d.Decode(x.block(append(head[:3:3], own)...))
		if err != nil {
			t.Fatal(err)
		}
		if b.Run.Data != "the route" || len(b.Rest) != 1 || b.Rest[0] != own {
			t.Fatalf("block %d: run %v with %v, then %v", i, b.Run.Fields, b.Run.Data, b.Rest)
		}
	}
	b, err = d.Decode(x.block(append(head[:2:2], hpack.Field{Name: ":method", Value: "GET"})...))
	if err != nil || b.Run.Data != nil {
		t.Fatalf("another run has data %v (%v)", b.Run.Data, err)
	}
	// The same fields as new entries are the same list, though not the same run.
	decode(t, d, append(updateBlock(0), updateBlock(4096)...))
	x = newXEncoder()
	decode(t, d, x.block(head...))
	if got, want := lines(decode(t, d, x.block(head...))), lines(head); got != want {
		t.Errorf("after a flush: got\n%s\nwant\n%s", got, want)
	}
}

// TestManyRuns is a peer whose runs never repeat for long: all are right, and what is remembered stays bounded.
func TestManyRuns(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	x := newXEncoder()
	for i := range 2000 {
		f := hpack.Field{Name: "a", Value: fmt.Sprint(i%60) + strings.Repeat("v", i%50*10)}
		for range 2 {
			fields := []hpack.Field{f, {Name: ":method", Value: "GET"}, f}
			if got, want := lines(decode(t, d, x.block(fields...))), lines(fields); got != want {
				t.Fatalf("block %d: got\n%s\nwant\n%s", i, got, want)
			}
		}
	}
}

// TestWholeBlocks holds that a short block that repeats is one run, with what was made of it, until the table changes under its bytes.
func TestWholeBlocks(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	decode(t, d, []byte("\x40\x01a\x01b")) // a: b enters the table
	block := []byte("\xbe\x00\x01x\x01y")  // and is the first of its entries
	both := "a: b\nx: y"
	var run *hpack.Run
	for i := range 4 {
		b, err := d.Decode(block)
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(append(b.Run.Fields[:len(b.Run.Fields):len(b.Run.Fields)], b.Rest...)); got != both {
			t.Fatalf("time %d: got\n%s\nwant\n%s", i, got, both)
		}
		switch {
		case i < 2 && b.Run == run:
			t.Error("a block that came once is remembered")
		case i == 2:
			run, b.Run.Data = b.Run, "what was made of it"
		case i == 3 && (b.Run != run || b.Run.Data == nil || len(b.Rest) > 0):
			t.Errorf("a block that repeats has the run %v, and then %v", b.Run, b.Rest)
		}
	}
	for i := range 3 { // the same bytes mean something else
		decode(t, d, []byte("\x40\x01c\x01"+string(rune('0'+i))))
		for range 3 {
			if got, want := lines(decode(t, d, block)), fmt.Sprintf("c: %d\nx: y", i); got != want {
				t.Fatalf("after %d changes: got\n%s\nwant\n%s", i+1, got, want)
			}
		}
	}
	decode(t, d, append(updateBlock(0), updateBlock(4096)...))
	if _, err := d.Decode(block); err != hpack.ErrIndex {
		t.Errorf("with an empty table: %v, want %v", err, hpack.ErrIndex)
	}
}

// TestWholeBlockThatChangesTheTable repeats a block that does so each time.
func TestWholeBlockThatChangesTheTable(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	for range 5 {
		decode(t, d, []byte("\x40\x01a\x01b"))
	}
	if got := len(dynamic(t, d)); got != 5 {
		t.Errorf("%d entries, want 5", got)
	}
	update := append(updateBlock(0), "\x40\x01a\x01b"...)
	for range 4 { // to the size of nothing: nothing enters
		decode(t, d, update)
	}
	decode(t, d, updateBlock(4096))
	decode(t, d, []byte("\x40\x01a\x01b"))
	if got := len(dynamic(t, d)); got != 1 {
		t.Errorf("%d entries, want 1", got)
	}
}

// TestStringsAreKept checks that no string shares memory with a block or with the decoder's scratch memory.
func TestStringsAreKept(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	x := newXEncoder()
	var got, want []hpack.Field
	for i := range 300 {
		fields := []hpack.Field{
			{Name: "plain", Value: fmt.Sprintf("\x00\xff%d", i%7), Sensitive: i%2 == 0},
			{Name: fmt.Sprintf("name-%d", i%11), Value: fmt.Sprintf("www.example.com/%d", i)},
			{Name: "long", Value: strings.Repeat("long", 100) + fmt.Sprint(i), Sensitive: i%3 == 0},
		}
		block := x.block(fields...)
		got = append(got, decode(t, d, block)...)
		want = append(want, fields...)
		clear(block)
	}
	if lines(got) != lines(want) {
		t.Error("fields changed after they were decoded")
	}
}

// TestTraceParents holds that values of traceparent stay what they are, also those that are too short, too long or cut, and that nearly none
// of them takes memory of its own.
func TestTraceParents(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	value := func(i int) string { return fmt.Sprintf("00-%032x-%016x-01", i, i) }
	var got, want []hpack.Field
	for i := range 100 {
		for _, f := range []hpack.Field{
			{Name: "traceparent", Value: value(i)}, {Name: "traceparent", Value: value(i)[1:]}, {Name: "traceparent", Value: value(i) + "-"}, {Name: "b3", Value: value(i)},
		} {
			block := hpack.AppendLiteral(nil, f.Name, f.Value, false)
			got, want = append(got, decode(t, d, block)...), append(want, f)
			clear(block)
		}
	}
	if lines(got) != lines(want) {
		t.Error("fields changed after they were decoded")
	}
	block := hpack.AppendLiteral(nil, "traceparent", value(1), false)
	for cut := range block {
		if _, err := hpack.NewDecoder(4096, 0).Decode(block[:cut]); err == nil && cut > 0 {
			t.Errorf("%d bytes of %d were decoded", cut, len(block))
		}
	}
	if n := testing.AllocsPerRun(180, func() {
		if _, err := d.Decode(block); err != nil {
			t.Fatal(err)
		}
	}); n > 0.1 { // AllocsPerRun rounds down
		t.Errorf("%v allocations", n)
	}
}

// TestSameBytesInBothForms sends the same bytes as they are and as a Huffman code, which are different strings.
func TestSameBytesInBothForms(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	for range 2 {
		if got, want := lines(decode(t, d, []byte("\x00\x01x\x01\x1f"))), "x: \x1f"; got != want {
			t.Errorf("as it is: got %q, want %q", got, want)
		}
		if got, want := lines(decode(t, d, []byte("\x00\x01x\x81\x1f"))), "x: a"; got != want {
			t.Errorf("as a code: got %q, want %q", got, want)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	d := hpack.NewDecoder(4096, 0)
	for name, block := range steadyBlocks(t, d) {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := d.Decode(block); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

// steadyBlocks returns blocks of seven fields as a client sends them once its table is set up in d.
func steadyBlocks(t testing.TB, d *hpack.Decoder) map[string][]byte {
	e := hpack.NewEncoder()
	head := requestTemplate()
	decode(t, d, e.AppendTemplate(nil, head))
	indexed := e.AppendTemplate(nil, head)
	literals := hpack.AppendLiteral(indexed[:len(indexed):len(indexed)], "grpc-timeout", "9999m", false)
	huffman := xhpack.AppendHuffmanString(append(literals[:len(literals):len(literals)], "\x00\x01a\x88"...), "application/")
	huffman[len(literals)+3] = 0x80 | byte(xhpack.HuffmanEncodeLength("application/"))
	walked := append([]byte("\x00\x01a\x01b"), indexed...) // no run
	return map[string][]byte{"run": indexed, "run and timeout": literals, "run, timeout and Huffman code": huffman, "walk": walked}
}

func requestTemplate() *hpack.Template {
	return hpack.NewTemplate(
		hpack.Field{Name: ":method", Value: "POST"},
		hpack.Field{Name: ":scheme", Value: "http"},
		hpack.Field{Name: ":path", Value: "/shop.v1.Cart/Add"},
		hpack.Field{Name: ":authority", Value: "cart"},
		hpack.Field{Name: "content-type", Value: "application/grpc"},
		hpack.Field{Name: "te", Value: "trailers"},
		hpack.Field{Name: "user-agent", Value: "grpc-go-hanse/1.0"},
	)
}

// xEncoder makes blocks with the encoder of x/net.
type xEncoder struct {
	buf bytes.Buffer
	enc *xhpack.Encoder
}

func newXEncoder() *xEncoder {
	x := &xEncoder{}
	x.enc = xhpack.NewEncoder(&x.buf)
	return x
}

func (x *xEncoder) block(fields ...hpack.Field) []byte {
	x.buf.Reset()
	for _, f := range fields {
		if err := x.enc.WriteField(xhpack.HeaderField(f)); err != nil {
			panic(err)
		}
	}
	return bytes.Clone(x.buf.Bytes())
}

func updateBlock(n uint64) []byte {
	if n < 31 {
		return []byte{0x20 | byte(n)}
	}
	b := []byte{0x3f}
	for n -= 31; n >= 0x80; n >>= 7 {
		b = append(b, 0x80|byte(n))
	}
	return append(b, byte(n))
}
