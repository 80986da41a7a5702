package natsstore

import "time"

// SetMarker makes deletions stay visible for a time.
func (s *Store) SetMarker(d time.Duration) { s.marker = d }

var (
	Escape   = escape
	Unescape = unescape
)
