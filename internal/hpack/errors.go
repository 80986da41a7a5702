package hpack

import "errors"

// ErrListTooLarge is the one error of [Decoder.Decode] after which the connection is usable: the decoded list is larger than the
// limit, and was dropped, but the table is right. Every other error is a COMPRESSION_ERROR of the connection.
var ErrListTooLarge = errors.New("hpack: header list is too large")

var (
	errTruncated    = errors.New("hpack: header block ends within a field")
	errInteger      = errors.New("hpack: integer has too many bytes")
	errHuffman      = errors.New("hpack: invalid Huffman code")
	errIndex        = errors.New("hpack: index is in neither table")
	errUpdateLate   = errors.New("hpack: table size update after a field")
	errUpdateLarge  = errors.New("hpack: table size update above the announced size")
	errUpdateWanted = errors.New("hpack: header block does not begin with the table size update that a smaller table demands")
)
