package hpack

import "slices"

// A Run is a run of indexed fields with which blocks begin, or all the fields of a block that repeats. As long as the decoder remembers
// it, blocks that begin with the same fields have the same *Run. It may be kept, unless it is empty; Fields must not be changed.
type Run struct {
	Fields []Field

	// Data, Web and Checked belong to the decoder's users: what was made of the fields, by the user of the HTTP/2 layer, by that layer for
	// requests of plain HTTP, and by it for all. They are nil at first, and only the goroutine that calls Decode sets them.
	Data    any
	Web     any
	Checked any

	ids  []fieldID
	size uint64
}

// fieldID identifies a field of either table for as long as the connection lives: an index of the static table, or staticLen+1 and
// the entry's number in the dynamic one.
type fieldID uint64

const (
	maxRun      = 32       // fields of a run; what follows them is in Block.Rest
	runSets     = 64       // sets of two
	maxRunBytes = 64 << 10 // of the fields of all remembered runs, for they outlive the table's
)

// runs remembers runs by the fields that they consist of, so that neither an entry added nor one evicted makes a run invalid.
type runs struct {
	sets  [runSets][2]*Run
	bytes uint64
}

// find returns the remembered run with these fields, or nil.
func (r *runs) find(hash uint64, ids []fieldID) *Run {
	set := &r.sets[hash%runSets]
	for _, run := range set {
		if run != nil && slices.Equal(run.ids, ids) {
			return run
		}
	}
	return nil
}

// add remembers run in place of the older one of its set.
func (r *runs) add(hash uint64, run *Run) {
	if run.size > maxRunBytes/4 {
		return
	}
	if r.bytes+run.size > maxRunBytes {
		*r = runs{}
	}
	set := &r.sets[hash%runSets]
	if set[1] != nil {
		r.bytes -= set[1].size
	}
	set[1], set[0] = set[0], run
	r.bytes += run.size
}
