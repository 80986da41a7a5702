package telemetry

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// cell is what the spans that end on one processor are counted and remembered in, all of it under one lock that nearly nobody else wants.
type cell struct {
	mu   sync.Mutex
	kept keptRing

	_ [64]byte // its neighbour is another processor's
}

// cells are those of the processors. Their number bounds what is taken on machines with many of them.
type cells []cell

func newCells() cells { return make(cells, min(runtime.GOMAXPROCS(0), 16)) }

// own is the number of the cell to use at the moment. Two processors that use the same one are slower, not wrong.
func (c cells) own() int {
	p := processors.Get().(*processor)
	n := int(p.number % uint32(len(c)))
	processors.Put(p)
	return n
}

// processor is the number of one.
type processor struct{ number uint32 }

// processors numbers them: a sync.Pool gives a processor what it had before, without a lock, which is all that is wanted here.
var processors = sync.Pool{New: func() any { return &processor{nextProcessor.Add(1)} }}

var nextProcessor atomic.Uint32
