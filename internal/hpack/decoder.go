package hpack

import (
	"math/bits"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	initialTable   = 4096 // before SETTINGS (RFC 9113 section 6.5.2)
	defaultMaxList = 64 << 10
)

// A Block is a decoded header block. Its fields are those of Run, followed by those of Rest.
type Block struct {
	Run  *Run    // the fields of the block's beginning that were sent as an index, or all of a block that repeats; never nil. An empty one is valid until the next Decode.
	Rest []Field // valid until the next Decode
}

// A Decoder decodes the header blocks that one peer of a connection sends. It is not safe for concurrent use.
//
// Its memory is bounded by the size of the table, the size of a list, and about 200 KiB for what it remembers.
type Decoder struct {
	table        table
	allowed      uint64 // the largest table that the peer may choose
	announced    uint64
	updateWanted bool
	maxList      uint64

	runs     *runs
	wholes   *wholes
	interned *interned // made when it is needed
	carved   strings.Builder
	ids      [maxRun]fieldID
	block    Block
	none     Run // the run of a block that begins with a literal
	huffman  scratch
}

// NewDecoder returns a decoder for a peer that was told a SETTINGS_HEADER_TABLE_SIZE of maxTable. Until [Decoder.SettingsAcked] is
// called the peer may use 4096 bytes if that is more. Lists of more than maxList bytes ([Field.Size]) are dropped; 0 means 64 KiB.
func NewDecoder(maxTable, maxList uint32) *Decoder {
	d := &Decoder{announced: uint64(maxTable), allowed: max(initialTable, uint64(maxTable)), maxList: uint64(maxList), runs: new(runs), wholes: new(wholes)}
	d.table.max = initialTable
	if maxList == 0 {
		d.maxList = defaultMaxList
	}
	return d
}

// SettingsAcked tells that the peer has acknowledged the SETTINGS with maxTable, the value given to [NewDecoder]. A peer whose table
// was larger must begin its next block with the update (RFC 9113 section 4.3.1).
func (d *Decoder) SettingsAcked() {
	d.allowed = d.announced
	d.updateWanted = d.table.max > d.allowed
}

// Decode decodes one whole header block. What it returns is valid until the next call. After an error other than [ErrListTooLarge]
// the decoder cannot be used any more.
func (d *Decoder) Decode(block []byte) (*Block, error) {
	if len(block) > maxWhole || len(block) == 0 || d.updateWanted {
		return d.decode(block)
	}
	hash, changes := hashBlock(block), d.table.changes
	known := d.wholes.slot(hash)
	if known.is(block, changes) {
		d.block.Run, d.block.Rest = known.run, d.block.Rest[:0]
		return &d.block, nil
	}
	b, err := d.decode(block)
	if err == nil && d.table.changes == changes {
		known.note(hash, block, b, changes)
	}
	return b, err
}

// decode is Decode for a block that is not known as a whole.
func (d *Decoder) decode(block []byte) (*Block, error) {
	p, err := d.updates(block)
	if err != nil {
		return nil, err
	}
	run, p, err := d.run(p)
	if err != nil {
		return nil, err
	}
	size := run.size
	rest := d.block.Rest[:0]
	for len(p) > 0 {
		rest = append(rest, Field{})
		f := &rest[len(rest)-1]
		if p, err = d.field(f, p); err != nil {
			return nil, err
		}
		// Past the limit the block is still read to its end: the table must follow the peer's.
		if size += f.Size(); size > d.maxList {
			rest = rest[:len(rest)-1]
		}
	}
	d.block = Block{Run: run, Rest: rest}
	if size > d.maxList {
		return nil, ErrListTooLarge
	}
	return &d.block, nil
}

// updates reads the table size updates, which may be at the beginning of a block only (RFC 7541 section 4.2).
func (d *Decoder) updates(p []byte) ([]byte, error) {
	for len(p) > 0 && p[0]&0xe0 == 0x20 {
		size, rest, err := integer(p, 5)
		if err != nil {
			return nil, err
		}
		if size > d.allowed {
			return nil, errUpdateLarge
		}
		d.table.setMax(size)
		d.updateWanted = false
		p = rest
	}
	if d.updateWanted {
		return nil, errUpdateWanted
	}
	return p, nil
}

// run reads the indexed fields at the beginning of p.
func (d *Decoder) run(p []byte) (*Run, []byte, error) {
	n, hash := 0, uint64(0)
	for len(p) > 0 && p[0] >= 0x80 && n < maxRun {
		index := uint64(p[0] & 0x7f)
		if index < 0x7f {
			p = p[1:]
		} else {
			var err error
			if index, p, err = integer(p, 7); err != nil {
				return nil, nil, err
			}
		}
		id, ok := d.id(index)
		if !ok {
			return nil, nil, errIndex
		}
		d.ids[n] = id
		n++
		hash = bits.RotateLeft64(hash, 5) ^ uint64(id)
	}
	if n == 0 {
		d.none = Run{}
		return &d.none, p, nil
	}
	hash = hash * 0x9e3779b97f4a7c15 >> 32
	run := d.runs.find(hash, d.ids[:n])
	if run == nil {
		run = d.newRun(d.ids[:n])
		d.runs.add(hash, run)
	}
	return run, p, nil
}

func (d *Decoder) newRun(ids []fieldID) *Run {
	run := &Run{Fields: make([]Field, 0, len(ids)), ids: append([]fieldID(nil), ids...)}
	for _, id := range ids {
		f := d.indexed(id)
		if run.size += f.Size(); run.size <= d.maxList {
			run.Fields = append(run.Fields, *f)
		}
	}
	return run
}

// id translates an index as sent.
func (d *Decoder) id(index uint64) (fieldID, bool) {
	if index <= uint64(staticLen) {
		return fieldID(index), index > 0
	}
	n, ok := d.table.number(index - uint64(staticLen) - 1)
	return fieldID(n + uint64(staticLen) + 1), ok
}

// indexed returns the field that d.id has just identified.
func (d *Decoder) indexed(id fieldID) *Field {
	if id <= fieldID(staticLen) {
		return &staticTable[id-1]
	}
	return d.table.entry(uint64(id) - uint64(staticLen) - 1)
}

// field reads one field of any representation into f, which is zero (RFC 7541 section 6).
func (d *Decoder) field(f *Field, p []byte) (rest []byte, err error) {
	b := p[0]
	switch {
	case b >= 0x80: // indexed
		index, rest, err := integer(p, 7)
		if err != nil {
			return nil, err
		}
		id, ok := d.id(index)
		if !ok {
			return nil, errIndex
		}
		*f = *d.indexed(id)
		return rest, nil
	case b >= 0x40: // literal with incremental indexing
		if rest, err = d.literal(f, p, 6); err == nil {
			d.table.add(*f)
		}
		return rest, err
	case b >= 0x20:
		return nil, errUpdateLate
	default: // literal without indexing, or never indexed
		f.Sensitive = b >= 0x10
		return d.literal(f, p, 4)
	}
}

// literal reads a literal whose name's index has a prefix of n bits.
func (d *Decoder) literal(f *Field, p []byte, n uint) (rest []byte, err error) {
	index, p, err := integer(p, n)
	if err != nil {
		return nil, err
	}
	if index == 0 {
		if f.Name, p, err = d.str(p); err != nil {
			return nil, err
		}
	} else {
		id, ok := d.id(index)
		if !ok {
			return nil, errIndex
		}
		f.Name = d.indexed(id).Name
	}
	if f.Name == traceParent && len(p) > traceParentLen && p[0] == traceParentLen {
		f.Value = d.carve(p[1 : 1+traceParentLen])
		return p[1+traceParentLen:], nil
	}
	f.Value, p, err = d.str(p)
	return p, err
}

// Values of traceparent come with each call where there is tracing, and never twice: to remember them is of no use, so several share a
// piece of memory.
const (
	traceParent    = "traceparent"
	traceParentLen = 55
	carvedSize     = 18 * traceParentLen
)

// carve returns a string with the bytes of raw, which are few.
func (d *Decoder) carve(raw []byte) string {
	if d.carved.Len()+len(raw) > carvedSize || d.carved.Cap() == 0 {
		d.carved.Reset()
		d.carved.Grow(carvedSize)
	}
	at := d.carved.Len()
	d.carved.Write(raw)
	return d.carved.String()[at:]
}

// str reads a string (RFC 7541 section 5.2). Its decoded length is bounded by the block's: at most 8/5 of it.
func (d *Decoder) str(p []byte) (string, []byte, error) {
	if len(p) == 0 {
		return "", nil, errTruncated
	}
	huffman := p[0] >= 0x80
	n, p, err := integer(p, 7)
	if err != nil {
		return "", nil, err
	}
	if n > uint64(len(p)) {
		return "", nil, errTruncated
	}
	raw, rest := p[:n], p[n:]
	if n == 0 {
		return "", rest, nil
	}
	if n > internMax {
		if !huffman {
			return string(raw), rest, nil
		}
		err = d.huffman.decode(raw)
		return string(d.huffman), rest, err
	}
	if d.interned == nil {
		d.interned = new(interned)
	}
	slot := d.interned.slot(raw)
	if slot.huffman == huffman && slot.raw == string(raw) {
		return slot.value, rest, nil
	}
	if !huffman {
		s := string(raw)
		*slot = internedString{raw: s, value: s}
		return s, rest, nil
	}
	if err := d.huffman.decode(raw); err != nil {
		return "", nil, err
	}
	both := string(append(d.huffman, raw...)) // one allocation for what is kept together
	cut := len(d.huffman)
	*slot = internedString{raw: both[cut:], huffman: true, value: both[:cut]}
	return slot.value, rest, nil
}

// scratch receives decoded strings.
type scratch []byte

func (s *scratch) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

func (s *scratch) decode(raw []byte) error {
	*s = (*s)[:0]
	if _, err := hpack.HuffmanDecode(s, raw); err != nil {
		return errHuffman
	}
	return nil
}
