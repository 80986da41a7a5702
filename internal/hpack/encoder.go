package hpack

// A Template is a list of fields that is sent often. It is immutable and safe for concurrent use. Encoders know templates by their
// pointer and keep them for as long as their connection lives: make few, and keep them.
type Template struct{ fields []Field }

// NewTemplate returns a template of fields, whose names are in lower case.
func NewTemplate(fields ...Field) *Template { return &Template{fields: append([]Field(nil), fields...)} }

// Fields are the template's fields. They must not be changed.
func (t *Template) Fields() []Field { return t.fields }

// An Encoder encodes the header blocks of one direction of a connection. It puts the fields of templates into the peer's table until
// 4096 bytes, or what the peer allows, are full, and never evicts: from then on the blocks of templates do not change. It is not safe
// for concurrent use: encoding a block and putting it in the order of sending are one critical section.
type Encoder struct{}

// NewEncoder returns an encoder for a peer of which no SETTINGS are known yet.
func NewEncoder() *Encoder { return &Encoder{} }

// SetMaxTable takes the peer's SETTINGS_HEADER_TABLE_SIZE. It may be called any number of times between blocks.
func (e *Encoder) SetMaxTable(n uint32) {}

// AppendTemplate begins a header block: it appends the table size updates that are due (RFC 7541 section 4.2) and t. Every block must
// begin with it, with a nil template if there is none. The block must be sent.
func (e *Encoder) AppendTemplate(dst []byte, t *Template) []byte { panic("declared, not yet written") }

// AppendLiteral appends a field that does not enter the table. It depends on no encoder, so it may be called outside of any lock. The
// name is in lower case. A sensitive field is marked never to be indexed (RFC 7541 section 7.1.3).
func AppendLiteral(dst []byte, name, value string, sensitive bool) []byte {
	panic("declared, not yet written")
}
