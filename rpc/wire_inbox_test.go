package rpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// onWire is a message as it comes.
func onWire(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(data))), data...)
}

func TestInbox(t *testing.T) {
	sizes := []int{0, 1, 100, smallMessage, smallMessage + 1, 0, 3 * smallMessage, 7}
	var stream []byte
	var want [][]byte
	for i, n := range sizes {
		want = append(want, bytes.Repeat([]byte{byte('a' + i)}, n))
		stream = append(stream, onWire(want[i])...)
	}
	for _, piece := range []int{1, 3, 1000, len(stream)} {
		for _, every := range []int{1, 2, 5, 1000} { // pieces between two readings
			b := newInbox()
			paid, got := 0, 0
			read := func() {
				for {
					m, credit, err, ok := b.take()
					paid += credit
					if !ok {
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(m.data, want[got]) {
						t.Fatalf("pieces of %d, read every %d: message %d has %d bytes, want %d", piece, every, got, len(m.data), len(want[got]))
					}
					m.free()
					if got++; got == len(want) {
						return
					}
				}
			}
			for n, rest := 0, stream; len(rest) > 0; n++ {
				p := rest[:min(piece, len(rest))]
				rest = rest[len(p):]
				credit, err := b.add(p, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if paid += credit; paid > len(stream)-len(rest) {
					t.Fatalf("credit of %d for %d bytes", paid, len(stream)-len(rest))
				}
				if n%every == every-1 {
					read()
				}
			}
			b.close(io.EOF)
			for got < len(want) {
				read()
			}
			if _, credit, err, ok := b.take(); err != io.EOF || !ok || paid+credit != len(stream) {
				t.Errorf("pieces of %d, read every %d: credit of %d for %d bytes, then %v, %v", piece, every, paid+credit, len(stream), err, ok)
			}
		}
	}
}

// A message that waits holds its peer back, and so does the beginning of one that nobody waits for. One that is waited for may be larger
// than the window.
func TestInboxCredit(t *testing.T) {
	b := newInbox()
	large := onWire(make([]byte, 10_000))
	add := func(p []byte, want int) {
		t.Helper()
		if credit, err := b.add(p, 1<<20); credit != want || err != nil {
			t.Errorf("credit %d, %v; want %d", credit, err, want)
		}
	}
	take := func(want int, wantOK bool) {
		t.Helper()
		if _, credit, err, ok := b.take(); credit != want || err != nil || ok != wantOK {
			t.Errorf("credit %d, %v, %v; want %d, %v", credit, err, ok, want, wantOK)
		}
	}
	add(large[:4000], 0) // nobody wants it yet
	take(4000, false)
	add(large[4000:6000], 2000)
	add(append(large[6000:len(large):len(large)], large[:1000]...), 0)
	take(len(large)-6000, true) // what of it was not paid
	add(large[1000:3000], 0)    // the message that was taken is perhaps still in use
	take(3000, false)
	add(large[3000:4000], 1000)
}

func TestInboxEnds(t *testing.T) {
	cause := errors.New("cause")
	nobody := func(int) {}
	over := make(chan struct{})
	close(over)
	for _, tt := range []struct {
		name string
		end  func(b *inbox)
		want []error // of get, after one message has come; errNone: it is not ok
	}{
		{"open", func(*inbox) {}, []error{nil, errNone, errNone}},
		{"closed", func(b *inbox) { b.close(cause); b.close(io.EOF) }, []error{nil, cause, cause}},
		{"dropped", func(b *inbox) { b.drop() }, []error{errNone, errNone}},
	} {
		b := newInbox()
		if _, err := b.add(onWire([]byte("x")), 1); err != nil {
			t.Fatal(err)
		}
		tt.end(&b)
		for i, want := range tt.want {
			_, err, ok := b.get(over, nobody)
			if !ok {
				err = errNone
			}
			if err != want {
				t.Errorf("%s: get %d: %v, want %v", tt.name, i, err, want)
			}
		}
	}
}

var errNone = errors.New("none")

// Whoever waits is woken by a message, and by the end.
func TestInboxWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox()
		got := make(chan error)
		go func() {
			for {
				m, err, _ := b.get(nil, func(int) {})
				if err == nil && string(m.data) != "x" {
					err = errNone
				}
				got <- err
				if err != nil {
					return
				}
			}
		}()
		for range 3 {
			synctest.Wait()
			if _, err := b.add(onWire([]byte("x")), 1); err != nil {
				t.Fatal(err)
			}
			if err := <-got; err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		b.close(io.EOF)
		if err := <-got; err != io.EOF {
			t.Errorf("%v", err)
		}
	})
}
