package store

import (
	"context"
	"time"
)

// Admin is a driver that tells which buckets there are, whoever declared them: for people who look after a system, with the dashboard. A
// driver need not have it.
type Admin interface {
	// Buckets returns the buckets of the system, by name. From then on the driver's other methods take them as if they had been declared, as
	// they are.
	Buckets(ctx context.Context) ([]BucketState, error)
}

// BucketState is what a driver keeps of a bucket.
type BucketState struct {
	BucketInfo // Type is "" when nobody has said it

	Records  uint64    // values, and deletions that are remembered for watches
	Bytes    uint64    // of these, as the engine counts them
	Revision uint64    // of the last write; 0 when there was none
	Time     time.Time // of it; zero when there was none
}
