package natsevents

import (
	"strings"
	"time"
)

// place is where a message is stored, and which delivery of it this is.
type place struct {
	stream    string
	sequence  uint64 // in the stream
	consumer  uint64 // at the consumer
	delivered int    // how often, this one included
	time      time.Time
}

const ackPrefix = "$JS.ACK."

// placeOf reads the subject to which a message is acknowledged. Unlike the client's own function it makes no object. Servers write one of
//
//	$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING
//	$JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER-SEQUENCE.TIME.PENDING.TOKEN
func placeOf(subject string) place {
	rest := strings.TrimPrefix(subject, ackPrefix)
	next := func() (token string) {
		token, rest, _ = strings.Cut(rest, ".")
		return token
	}
	number := func() (n uint64) {
		for _, digit := range []byte(next()) {
			n = n*10 + uint64(digit-'0')
		}
		return n
	}
	if strings.Count(rest, ".") > 6 {
		next()
		next()
	}
	at := place{stream: next()}
	next()
	at.delivered, at.sequence, at.consumer = max(1, int(number())), number(), number()
	at.time = time.Unix(0, int64(number()))
	return at
}
