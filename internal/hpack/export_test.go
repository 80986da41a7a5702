package hpack

// Errors that tests tell apart.
var (
	ErrTruncated    = errTruncated
	ErrInteger      = errInteger
	ErrHuffman      = errHuffman
	ErrIndex        = errIndex
	ErrUpdateLate   = errUpdateLate
	ErrUpdateLarge  = errUpdateLarge
	ErrUpdateWanted = errUpdateWanted
)
