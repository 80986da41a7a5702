package discovery

import (
	"context"
	"slices"
	"time"
)

// Lookup does one lookup of DNS and returns for how long it holds.
func Lookup(ctx context.Context, d *DNS, service string) ([]Instance, time.Duration, error) {
	q, err := d.question(service)
	if err != nil {
		return nil, 0, err
	}
	return d.lookup(ctx, q)
}

// AnswerTTLs is what DNS learns from one message.
func AnswerTTLs(message []byte) []uint32 { return slices.Collect(answerTTLs(message)) }
