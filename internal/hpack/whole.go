package hpack

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Short blocks that repeat to the last byte are remembered as a whole, whatever they consist of: their fields are one run. A reply's blocks
// are of this kind, and those of requests whose deadline is a round one.
const (
	maxWhole   = 64 // bytes of a block
	wholeSlots = 16
)

// wholes remembers blocks by their bytes.
type wholes [wholeSlots]whole

// whole is a block that came at least twice. It is right as long as the table has not changed, for that shifts indices.
type whole struct {
	block string
	run   *Run
	at    uint64 // the table's changes
	last  uint64 // hash of the latest block that was not remembered: so those that never repeat cost no memory
}

func (w *wholes) slot(hash uint64) *whole { return &w[hash%wholeSlots] }

// is reports whether it is that block.
func (w *whole) is(block []byte, at uint64) bool { return w.at == at && w.block == string(block) }

// note remembers what was made of a block, if it comes for the second time.
func (w *whole) note(hash uint64, block []byte, fields *Block, at uint64) {
	if w.last != hash {
		w.last = hash
		return
	}
	run := fields.Run
	if len(fields.Rest) > 0 {
		run = &Run{Fields: slices.Concat(run.Fields, fields.Rest)}
	}
	w.block, w.run, w.at = string(block), run, at
}

// hashBlock hashes a short block. A peer that makes its blocks collide loses what is saved for it, and nothing else.
func hashBlock(p []byte) uint64 {
	const k = 0x9e3779b97f4a7c15
	h := uint64(len(p))
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(p))*k, 32)
	}
	for _, b := range p {
		h = h<<8 ^ h>>56 ^ uint64(b)
	}
	h *= k
	return h ^ h>>32
}
