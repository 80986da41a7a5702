package kafkaevents

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// position is what a group has settled of a partition: all below offset, and all below limit but what is open. Kafka keeps the offset; the
// rest is in the metadata that goes with it, so that what was settled out of order is not delivered again when another member takes over.
type position struct {
	offset int64 // the first that is not settled
	limit  int64 // nothing from here on is settled
	open   []unsettled
}

// unsettled is an event that was delivered and not settled.
type unsettled struct {
	offset   int64
	attempts uint64 // deliveries so far
}

const (
	// positionPrefix begins the metadata, and says how it is written.
	positionPrefix = "hanse1:"

	// mostMetadata is the most bytes of metadata. Brokers take 4096 (offset.metadata.max.bytes).
	mostMetadata = 4000
)

// metadata writes all but the offset: the limit, and for each open one how far it is from the one before and its attempts. What does not fit is
// left out by a lower limit, and will be delivered again.
func (p position) metadata() string {
	if len(p.open) == 0 && p.limit <= p.offset {
		return ""
	}
	most := base64.RawURLEncoding.DecodedLen(mostMetadata-len(positionPrefix)) - binary.MaxVarintLen64
	var list []byte
	limit, before := p.limit, p.offset
	for _, u := range p.open {
		next := binary.AppendUvarint(binary.AppendUvarint(list, uint64(u.offset-before)), u.attempts)
		if len(next) > most {
			limit = u.offset
			break
		}
		list, before = next, u.offset
	}
	b := append(binary.AppendUvarint(nil, uint64(limit-p.offset)), list...)
	return positionPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// readPosition reads what metadata wrote. Of what somebody else wrote the offset alone counts.
func readPosition(offset int64, metadata string) position {
	plain := position{offset: offset, limit: offset}
	text, ours := strings.CutPrefix(metadata, positionPrefix)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ours || err != nil {
		return plain
	}
	const far = 1 << 48 // no partition has so many
	distance, n := binary.Uvarint(b)
	if n <= 0 || distance > far {
		return plain
	}
	p := position{offset: offset, limit: offset + int64(distance)}
	before := offset
	for b = b[n:]; len(b) > 0; {
		delta, n := binary.Uvarint(b)
		if n <= 0 || delta > far {
			return plain
		}
		attempts, used := binary.Uvarint(b[n:])
		if used <= 0 || before+int64(delta) >= p.limit || delta == 0 && len(p.open) > 0 {
			return plain
		}
		before += int64(delta)
		p.open = append(p.open, unsettled{before, attempts})
		b = b[n+used:]
	}
	return p
}

// from returns the position without what is below an offset.
func (p position) from(offset int64) position {
	for len(p.open) > 0 && p.open[0].offset < offset {
		p.open = p.open[1:]
	}
	return p
}

// delivered says whether an event is to be delivered, and how often it was.
func (p position) attempts(offset int64) (attempts uint64, deliver bool) {
	if offset >= p.limit {
		return 0, true
	}
	for _, u := range p.open {
		if u.offset == offset {
			return u.attempts, true
		}
		if u.offset > offset {
			break
		}
	}
	return 0, false
}
