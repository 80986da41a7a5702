package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Host is what a bucket is used with: a service of Hanse, or a [Client].
type Host interface {
	Store() *Client
}

// patience is how long an operation may take when its context has no deadline.
const patience = 10 * time.Second

// Client connects the buckets that a program uses with a driver. A service of Hanse has one, bound to the store of its app; a unit test
// makes its own. While it is bound to nothing operations wait, until their context ends. It must not be copied.
type Client struct {
	// Driver keeps the values. Default: the one that Bind gives.
	Driver Driver

	// Logger is told what goes wrong without being anybody's error, such as a lock that cannot be renewed. Default: the one that Bind gives,
	// else [slog.Default].
	Logger *slog.Logger

	mu       sync.Mutex
	bound    chan struct{} // closed when driver or refused is there
	driver   Driver
	log      *slog.Logger
	refused  error
	declared map[string]*declaration
	order    []*declaration
	mistakes []error // in declarations
}

// declaration is a bucket that is used with a client.
type declaration struct {
	info BucketInfo
	turn chan struct{} // has an element while somebody declares it
	done bool          // the driver has it; guarded by Client.mu
}

var _ Host = (*Client)(nil)

// Store returns c, which makes it a [Host].
func (c *Client) Store() *Client { return c }

// Bind gives the client a driver, and a logger for when Logger is nil. Only the first call of Bind or Refuse counts.
func (c *Client) Bind(d Driver, log *slog.Logger) { c.decide(d, log, nil) }

// Refuse makes all operations fail with err: there is no store, and why.
func (c *Client) Refuse(err error) { c.decide(nil, nil, err) }

func (c *Client) decide(d Driver, log *slog.Logger, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driver != nil || c.refused != nil {
		return
	}
	c.driver, c.log, c.refused = d, log, err
	close(c.boundLocked())
}

func (c *Client) boundLocked() chan struct{} {
	if c.bound == nil {
		c.bound = make(chan struct{})
	}
	return c.bound
}

// Prepare has the driver make all buckets that were declared with c and are not there yet. It returns all errors, and the mistakes in
// declarations.
func (c *Client) Prepare(ctx context.Context) error {
	c.mu.Lock()
	order := c.order[:len(c.order):len(c.order)]
	errs := c.mistakes
	c.mistakes = nil
	refused := c.refused
	c.mu.Unlock()
	if len(order) > 0 && refused != nil {
		return errors.Join(append(errs, fmt.Errorf("store: bucket %s: %w", order[0].info.Name, refused))...)
	}
	for _, d := range order {
		if _, err := c.ready(ctx, d.info); err != nil {
			errs = append(errs, fmt.Errorf("store: bucket %s: %w", d.info.Name, err))
		}
	}
	return errors.Join(errs...)
}

// mistake notes an error in a declaration, for Prepare.
func (c *Client) mistake(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mistakes = append(c.mistakes, err)
}

// Declared returns the buckets that were declared with c, or used, in that order.
func (c *Client) Declared() []BucketInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []BucketInfo
	for _, d := range c.order {
		all = append(all, d.info)
	}
	return all
}

// declare notes that a bucket is used with c.
func (c *Client) declare(info BucketInfo) (*declaration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.declared[info.Name]; d != nil {
		if d.info != info {
			return nil, fmt.Errorf("%w: two variables declare it, as %+v and as %+v: use one of them everywhere", ErrDrift, d.info, info)
		}
		return d, nil
	}
	d := &declaration{info: info, turn: make(chan struct{}, 1)}
	if c.declared == nil {
		c.declared = make(map[string]*declaration)
	}
	c.declared[info.Name] = d
	c.order = append(c.order, d)
	return d, nil
}

// ready returns the driver when it has the bucket.
func (c *Client) ready(ctx context.Context, info BucketInfo) (driver Driver, err error) {
	d, err := c.declare(info)
	if err != nil {
		return nil, err
	}
	if driver, err = c.wait(ctx); err != nil {
		return nil, err
	}
	if c.has(d) {
		return driver, nil
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.has(d) {
		return driver, nil
	}
	ctx, end := withPatience(ctx)
	defer end(&err)
	if err = driver.Declare(ctx, info); err != nil {
		return nil, err
	}
	c.mu.Lock()
	d.done = true
	c.mu.Unlock()
	return driver, nil
}

func (c *Client) has(d *declaration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.done
}

// wait returns the driver when there is one.
func (c *Client) wait(ctx context.Context) (Driver, error) {
	if c.Driver != nil {
		return c.Driver, nil
	}
	c.mu.Lock()
	driver, refused, bound := c.driver, c.refused, c.boundLocked()
	c.mu.Unlock()
	if driver == nil && refused == nil {
		select {
		case <-bound:
			return c.wait(ctx)
		case <-ctx.Done():
			return nil, fmt.Errorf("the store is not there yet: the service must run: %w", ctx.Err())
		}
	}
	return driver, refused
}

func (c *Client) logger() *slog.Logger {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.Logger, c.log, slog.Default())
}

// withPatience gives a context without a deadline one. What ends because of it is [ErrUnavailable], and not the caller's deadline.
func withPatience(ctx context.Context) (context.Context, func(err *error)) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func(*error) {}
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	return limited, func(err *error) {
		if *err != nil && ctx.Err() == nil && limited.Err() != nil && errors.Is(*err, context.DeadlineExceeded) {
			*err = fmt.Errorf("%w, for %v: %v", ErrUnavailable, patience, *err)
		}
		cancel()
	}
}
