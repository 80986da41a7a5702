package main

import (
	"fmt"
	"io"
	"os"

	"github.com/hanse-go/hanse/examples/shop/load"
)

// line shows how the run goes: on a terminal in one line that changes, elsewhere line by line.
type line struct {
	out   io.Writer
	shown bool
}

func (l *line) show(p load.Progress) {
	if l.terminal() {
		fmt.Fprintf(l.out, "\r\x1b[K%v", p)
		l.shown = true
		return
	}
	fmt.Fprintln(l.out, p)
}

// end leaves the line as it is.
func (l *line) end() {
	if l.shown {
		fmt.Fprintln(l.out)
	}
}

func (l *line) terminal() bool {
	f, ok := l.out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
