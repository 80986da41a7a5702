package orders

import (
	"context"
	"sync"
	"time"

	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const (
	// pollEvery is how often the file is looked at for what other replicas changed, while anyone watches.
	pollEvery = 200 * time.Millisecond

	// maxWatch ends a watch, so that a replica which drains is not held up by those who look on.
	maxWatch = 15 * time.Second
)

// WatchOrder sends an order as it is, then after each change.
func (o *Orders) WatchOrder(req *ordersv1.WatchOrderRequest, stream grpc.ServerStreamingServer[ordersv1.WatchOrderResponse]) error {
	ctx := stream.Context()
	end := time.NewTimer(maxWatch)
	defer end.Stop()
	o.watch.enter(o.store.revision)
	defer o.watch.leave()
	for seen := int64(0); ; {
		changed := o.watch.next() // before the order is read, so that no change falls in between
		order, revision, err := o.get(ctx, req.GetId())
		if err != nil {
			return err
		}
		if revision > seen {
			seen = revision
			if err := stream.Send(&ordersv1.WatchOrderResponse{Order: order}); err != nil {
				return err
			}
		}
		if final(order.GetStatus()) {
			return nil
		}
		select {
		case <-changed:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func final(s ordersv1.Status) bool {
	return s == ordersv1.Status_STATUS_DELIVERED || s == ordersv1.Status_STATUS_CANCELLED
}

// watchers are those who wait for a change of any order. One goroutine polls for all of them, and only while there are some. The zero
// value is ready.
type watchers struct {
	mu       sync.Mutex
	watching int
	changed  chan struct{} // closed at the next change; nil when nobody asked
	stop     context.CancelFunc
	stopped  chan struct{}
}

// enter begins to watch. The caller must leave.
func (w *watchers) enter(revision func(context.Context) (int64, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watching++; w.watching == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		w.stop, w.stopped = cancel, make(chan struct{})
		go w.poll(ctx, revision, w.stopped)
	}
}

// next returns a channel that is closed at the next change.
func (w *watchers) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

func (w *watchers) leave() {
	w.mu.Lock()
	var stopped chan struct{}
	if w.watching--; w.watching == 0 {
		w.stop()
		stopped = w.stopped
	}
	w.mu.Unlock()
	if stopped != nil {
		<-stopped // it may be in the file, which closes after the last call
	}
}

// wake tells all who wait.
func (w *watchers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

func (w *watchers) poll(ctx context.Context, revision func(context.Context) (int64, error), stopped chan<- struct{}) {
	defer close(stopped)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	last := int64(-1)
	for {
		// An error shows where it matters: in the watcher's own query.
		if n, err := revision(ctx); err == nil && n != last {
			last = n
			w.wake()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
