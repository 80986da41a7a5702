package events

import (
	"crypto/rand"
	"encoding/hex"
)

// memberName returns what names this instance in groups.
func (b *Bus) memberName() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.member == "" {
		b.member = b.Member
	}
	if b.member == "" {
		var random [8]byte
		rand.Read(random[:])
		b.member = hex.EncodeToString(random[:])
	}
	return b.member
}
