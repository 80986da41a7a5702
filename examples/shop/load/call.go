package load

import (
	"context"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// longestWatch is how long a stream may go on after its first answer. The shop ends it sooner.
const longestWatch = time.Minute

// call is one request on its way.
type call struct {
	due  time.Time
	info hanse.CallInfo
	done func() // called when the answer is there

	ctx     context.Context
	limit   *time.Timer // of a stream: it ends the call unless the first answer stops it
	once    sync.Once
	latency time.Duration // from due to the answer
}

func (c *call) do(ctx context.Context, timeout time.Duration, v *visitor, s step) error {
	if !s.stream {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		c.ctx = ctx
		err := s.do(c, v)
		c.answered()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+longestWatch)
	defer cancel()
	c.ctx = ctx
	c.limit = time.AfterFunc(timeout, cancel)
	err := s.do(c, v)
	c.answered()
	if err != nil && ctx.Err() == context.Canceled {
		return status.Errorf(codes.DeadlineExceeded, "no first answer within %v", timeout)
	}
	return err
}

// answered stops the clock. A stream says so itself, at its first answer.
func (c *call) answered() {
	c.once.Do(func() {
		if c.limit != nil {
			c.limit.Stop()
		}
		c.latency = time.Since(c.due)
		c.done()
	})
}
