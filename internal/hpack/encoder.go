package hpack

import "golang.org/x/net/http2/hpack"

// An Encoder encodes the header blocks of one direction of a connection. It puts the fields of templates into the peer's table until
// 4096 bytes, or what the peer allows, are full, and never evicts: from then on the blocks of templates do not change. It is not safe
// for concurrent use: encoding a block and putting it in the order of sending are one critical section.
type Encoder struct {
	entries   map[Field]uint64 // the number of each entry of the peer's table
	inserted  uint64           // entries ever put into it; the newest has number inserted-1
	size, max uint64           // bytes used of the table, and its size as the peer was told

	limit    uint64 // what the peer allows, at most 4096
	minLimit uint64 // the least that it allowed since the last block

	blocks map[*Template]*encoded
	recent [4]*encoded // of blocks, those looked up last
	turn   uint8
}

// encoded is the block of a template. It is right while no entry is added, for that shifts indices.
type encoded struct {
	template *Template
	block    []byte
	inserted uint64
}

// NewEncoder returns an encoder for a peer of which no SETTINGS are known yet.
func NewEncoder() *Encoder {
	return &Encoder{max: initialTable, limit: initialTable, minLimit: initialTable}
}

// SetMaxTable takes the peer's SETTINGS_HEADER_TABLE_SIZE. It may be called any number of times between blocks.
func (e *Encoder) SetMaxTable(n uint32) {
	e.limit = min(uint64(n), initialTable)
	e.minLimit = min(e.minLimit, e.limit)
}

// AppendTemplate begins a header block: it appends the table size updates that are due (RFC 7541 section 4.2) and t. Every block must
// begin with it, with a nil template if there is none. The block must be sent, and blocks in the order in which they were made.
func (e *Encoder) AppendTemplate(dst []byte, t *Template) []byte {
	if e.minLimit < e.max || e.limit > e.max {
		dst = e.appendUpdates(dst)
	}
	if t == nil {
		return dst
	}
	c := e.lookup(t)
	if c.block != nil && c.inserted == e.inserted {
		return append(dst, c.block...)
	}
	start, before := len(dst), e.inserted
	for _, f := range t.fields {
		dst = e.appendField(dst, f)
	}
	if e.inserted == before {
		c.block, c.inserted = append(make([]byte, 0, len(dst)-start), dst[start:]...), before
	}
	return dst
}

// appendUpdates follows the limit. Entries are kept if all fit even the least size that the peer allowed; a table that has entries
// is not enlarged in the same block, since decoders differ on a second update while there are any (x/net's refuses it).
func (e *Encoder) appendUpdates(dst []byte) []byte {
	least := e.minLimit
	if e.size > least {
		least, e.size = 0, 0
		clear(e.entries)
		e.inserted++ // invalidates cached blocks
	}
	if least < e.max {
		dst = appendInteger(dst, 0x20, 5, least)
		e.max = least
		if e.size > 0 {
			e.minLimit = least
			return dst
		}
	}
	if e.limit > e.max {
		dst = appendInteger(dst, 0x20, 5, e.limit)
		e.max = e.limit
	}
	e.minLimit = e.limit
	return dst
}

func (e *Encoder) lookup(t *Template) *encoded {
	for _, c := range e.recent {
		if c != nil && c.template == t {
			return c
		}
	}
	c := e.blocks[t]
	if c == nil {
		if e.blocks == nil {
			e.blocks = make(map[*Template]*encoded)
		}
		c = &encoded{template: t}
		e.blocks[t] = c
	}
	e.recent[e.turn%uint8(len(e.recent))] = c
	e.turn++
	return c
}

// appendField appends f by its index, adding it to the table if there is room.
func (e *Encoder) appendField(dst []byte, f Field) []byte {
	if f.Sensitive {
		return AppendLiteral(dst, f.Name, f.Value, true)
	}
	if i := staticField(f.Name, f.Value); i > 0 {
		return appendInteger(dst, 0x80, 7, i)
	}
	if n, ok := e.entries[f]; ok {
		return appendInteger(dst, 0x80, 7, uint64(staticLen)+e.inserted-n)
	}
	if e.size+f.Size() > e.max {
		return AppendLiteral(dst, f.Name, f.Value, false)
	}
	if i := staticName(f.Name); i > 0 {
		dst = appendInteger(dst, 0x40, 6, i)
	} else {
		dst = appendShort(append(dst, 0x40), f.Name)
	}
	dst = appendShort(dst, f.Value)
	if e.entries == nil {
		e.entries = make(map[Field]uint64)
	}
	e.entries[f] = e.inserted
	e.inserted++
	e.size += f.Size()
	return dst
}

// AppendLiteral appends a field that does not enter the table. It depends on no encoder, so it may be called outside of any lock. The
// name is in lower case. A sensitive field is marked never to be indexed (RFC 7541 section 7.1.3). Strings are sent as they are,
// without Huffman coding, which costs more than the bytes it saves.
func AppendLiteral(dst []byte, name, value string, sensitive bool) []byte {
	var high byte
	if sensitive {
		high = 0x10
	}
	if i := staticName(name); i > 0 {
		dst = appendInteger(dst, high, 4, i)
	} else {
		dst = append(dst, high)
		dst = append(appendInteger(dst, 0, 7, uint64(len(name))), name...)
	}
	return append(appendInteger(dst, 0, 7, uint64(len(value))), value...)
}

// appendShort appends s in the shorter of its two forms.
func appendShort(dst []byte, s string) []byte {
	if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
		return hpack.AppendHuffmanString(appendInteger(dst, 0x80, 7, n), s)
	}
	return append(appendInteger(dst, 0, 7, uint64(len(s))), s...)
}
