package hpack

import "errors"

// ErrListTooLarge is the one error of [Decoder.Decode] after which the connection is usable: the decoded list is larger than the
// limit, and was dropped, but the table is right. Every other error is a COMPRESSION_ERROR of the connection.
var ErrListTooLarge = errors.New("hpack: header list is too large")

// A Block is a decoded header block. Its fields are those of Run, followed by those of Rest.
type Block struct {
	Run  *Run    // the fields of the block's beginning that were sent as an index; never nil, may be empty
	Rest []Field // valid until the next Decode
}

// A Run is a run of indexed fields with which blocks begin. As long as the decoder remembers it, blocks that begin alike have the same
// *Run. It may be kept; Fields must not be changed.
type Run struct {
	Fields []Field

	// Data and Checked belong to the decoder's users: what was made of the fields, by the user of the HTTP/2 layer and by that
	// layer itself. They are nil at first, and only the goroutine that calls Decode sets them.
	Data    any
	Checked any
}

// A Decoder decodes the header blocks that one peer of a connection sends. It is not safe for concurrent use.
type Decoder struct{}

// NewDecoder returns a decoder for a peer that was told a SETTINGS_HEADER_TABLE_SIZE of maxTable. Until [Decoder.SettingsAcked] is
// called the peer may use 4096 bytes if that is more. Lists of more than maxList bytes ([Field.Size]) are dropped; 0 means 64 KiB.
func NewDecoder(maxTable, maxList uint32) *Decoder { return &Decoder{} }

// SettingsAcked tells that the peer has acknowledged the SETTINGS with maxTable, the value given to [NewDecoder]. A peer that had a
// larger table must begin its next block with the update (RFC 7541 section 4.2).
func (d *Decoder) SettingsAcked() {}

// Decode decodes one whole header block. What it returns is valid until the next call.
func (d *Decoder) Decode(block []byte) (*Block, error) { panic("declared, not yet written") }
