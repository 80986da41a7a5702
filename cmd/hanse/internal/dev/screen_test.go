package dev

import (
	"strings"
	"testing"
)

// terminal shows what a terminal would after a screen wrote to it: lines, with those taken away that were erased.
func terminal(written string) string {
	var lines []string
	for len(written) > 0 {
		if rest, ok := strings.CutPrefix(written, "\x1b["); ok {
			n, after, _ := strings.Cut(rest, "A\r\x1b[J")
			up := 0
			for _, c := range n {
				up = 10*up + int(c-'0')
			}
			lines = lines[:len(lines)-up]
			written = after
			continue
		}
		line, after, _ := strings.Cut(written, "\n")
		lines = append(lines, line)
		written = after
	}
	return strings.Join(lines, "\n")
}

func TestScreen(t *testing.T) {
	var out strings.Builder
	sc := &screen{out: &out, live: true, width: 12}
	expect := func(want string) {
		t.Helper()
		if got := terminal(out.String()); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	sc.print("one\n")
	expect("one")
	sc.pin([]string{"cart failed", "a pin that is too long"})
	expect("one\ncart failed\na pin that…")
	sc.print("two\nthree\n")
	expect("one\ntwo\nthree\ncart failed\na pin that…")
	sc.pin([]string{"mail failed"})
	expect("one\ntwo\nthree\nmail failed")
	sc.close()
	expect("one\ntwo\nthree")
}

// Without a terminal nothing is drawn again.
func TestScreenPipe(t *testing.T) {
	var out strings.Builder
	sc := &screen{out: &out, width: 80}
	sc.pin([]string{"cart failed"})
	p := sc.progress("building")
	p.add("cart")
	sc.print("one\n")
	p.done()
	sc.close()
	if out.String() != "one\n" {
		t.Errorf("%q", out.String())
	}
}
