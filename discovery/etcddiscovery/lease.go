package etcddiscovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	announceTime = 10 * time.Second // for an announcement
	withdrawTime = 2 * time.Second  // for the last word
)

// lease keeps one instance announced, under a lease of etcd that it replaces when it is lost.
type lease struct {
	registry *Registry
	service  string
	id       string
	token    string // tells who has the ID
	wake     chan struct{}
	cancel   context.CancelFunc
	kept     sync.WaitGroup

	mu     sync.Mutex
	record string // what is to be announced
	closed bool

	busy  chan struct{} // holds a value while etcd is asked to change something; guards lease
	lease clientv3.LeaseID
}

var _ discovery.Lease = (*lease)(nil)

func (r *Registry) announce(ctx context.Context, inst discovery.Instance) (*lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	l := &lease{
		registry: r, service: inst.Service, id: inst.ID, token: rand.Text() + " " + inst.Service,
		wake: make(chan struct{}, 1), busy: make(chan struct{}, 1), record: string(record),
	}
	announcing, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	if err := l.put(announcing); err != nil {
		l.revoke()
		if errors.Is(err, discovery.ErrTaken) {
			return nil, err
		}
		return nil, r.explain(fmt.Sprintf("announce %s of %s", inst.ID, inst.Service), err)
	}
	keeping, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.kept.Go(func() { l.keep(keeping) })
	return l, nil
}

// Update implements [discovery.Lease]. When etcd does not take the record in time, that is an error, and it is announced later.
func (l *lease) Update(ctx context.Context, inst discovery.Instance) error {
	if l.service != inst.Service || l.id != inst.ID {
		return fmt.Errorf("etcddiscovery: update of instance %s of %s names %s of %s: service and ID of a lease cannot change", l.id, l.service, inst.ID, inst.Service)
	}
	if err := inst.Validate(); err != nil {
		return err
	}
	record, err := inst.Record()
	if err != nil {
		return err
	}
	l.mu.Lock()
	closed := l.closed
	l.record = string(record)
	l.mu.Unlock()
	if closed {
		return fmt.Errorf("%w: %s of %s", discovery.ErrClosed, l.id, l.service)
	}
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	err = l.begin(ctx)
	if err == nil {
		err = l.put(ctx)
		l.end()
	}
	if err != nil {
		poke(l.wake)
		return l.registry.explain(fmt.Sprintf("update %s of %s (it is done when etcd takes it)", l.id, l.service), err)
	}
	return nil
}

// Close implements [discovery.Lease]. When etcd does not answer, that is an error, and the instance vanishes with its lease.
func (l *lease) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.cancel()
	l.kept.Wait()
	_ = l.begin(context.Background()) // an update may be under way
	defer l.end()
	if err := l.revoke(); err != nil {
		return l.registry.explain(fmt.Sprintf("withdraw %s of %s (it vanishes in %v)", l.id, l.service, l.registry.opts.TTL), err)
	}
	return nil
}

// wanted returns what is to be announced; after Close it is nothing any more.
func (l *lease) wanted() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return "", fmt.Errorf("%w: %s of %s", discovery.ErrClosed, l.id, l.service)
	}
	return l.record, nil
}

func (l *lease) begin(ctx context.Context) error {
	select {
	case l.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lease) end() { <-l.busy }

// put announces the record, under a new lease if there is none. While etcd is away it tries again until ctx ends. It returns
// [discovery.ErrTaken] when another has the ID.
func (l *lease) put(ctx context.Context) error {
	return try(ctx, func() error {
		record, err := l.wanted()
		if err != nil {
			return err
		}
		if l.lease == clientv3.NoLease {
			granted, err := l.registry.client.Grant(ctx, int64(l.registry.opts.TTL/time.Second))
			if err != nil {
				return err
			}
			l.lease = granted.ID
		}
		err = l.putUnderLease(ctx, record)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) { // it ended
			l.lease = clientv3.NoLease
			return errAgain
		}
		return err
	})
}

// errAgain has try call again.
var errAgain = errors.New("the lease ended")

// try calls what may be done twice, and again until ctx ends while etcd is not available: its client leaves it to its users to repeat what
// was lost with a leader.
func try(ctx context.Context, do func() error) error {
	for failures := 1; ; failures++ {
		err := do()
		var known rpctypes.EtcdError
		away := status.Code(err) == codes.Unavailable || errors.As(err, &known) && known.Code() == codes.Unavailable
		if !away && !errors.Is(err, errAgain) {
			return err
		}
		wait(ctx, retryDelay(failures), nil)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (l *lease) putUnderLease(ctx context.Context, record string) error {
	r := l.registry
	idKey, epochKey := r.idKey(l.id), r.epochKey()
	puts := []clientv3.Op{
		clientv3.OpPut(idKey, l.token, clientv3.WithLease(l.lease)),
		clientv3.OpPut(r.instanceKey(l.service, l.id), record, clientv3.WithLease(l.lease)),
		clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(epochKey), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(epochKey, rand.Text())}, nil),
	}
	res, err := r.client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(idKey), "=", l.token)).
		Then(puts...).
		Else(clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(idKey), "=", 0)}, puts, nil)).
		Commit()
	if err != nil {
		return err
	}
	if !res.Succeeded && !res.Responses[0].GetResponseTxn().GetSucceeded() {
		return fmt.Errorf("%w: %s of %s", discovery.ErrTaken, l.id, l.service)
	}
	return nil
}

// revoke ends the lease, and with it what is under it.
func (l *lease) revoke() error {
	if l.lease == clientv3.NoLease {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTime)
	defer cancel()
	_, err := l.registry.client.Revoke(ctx, l.lease)
	l.lease = clientv3.NoLease
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

// keep sees that the instance stays announced.
func (l *lease) keep(ctx context.Context) {
	p := l.registry.joinPulse()
	defer l.registry.leavePulse(p)
	defer p.wakeOn(l.wake)()
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := l.hold(ctx)
		if err == nil && time.Since(began) > hurry {
			failures = 0
		}
		if err != nil && failures == 0 && ctx.Err() == nil {
			l.registry.opts.Logger.Warn("instance cannot be kept announced; tried again", "service", l.service, "instance", l.id, "error", l.registry.explain("keep it announced", err))
		}
		failures++
		wait(ctx, retryDelay(failures), nil)
	}
}

// hold announces the instance if it is not, and keeps its lease alive for as long as nothing happens to it.
func (l *lease) hold(ctx context.Context) error {
	lease, revision, err := l.restore(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive, err := l.registry.client.KeepAlive(ctx, lease)
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	var guarding sync.WaitGroup
	defer guarding.Wait()
	defer cancel()
	guarding.Go(func() {
		defer close(gone)
		l.guard(ctx, revision)
	})
	for {
		select {
		case _, open := <-alive:
			if !open {
				return nil
			}
		case <-gone:
			return nil
		case <-l.wake:
			return nil
		}
	}
}

// restore makes sure that the instance is announced. It returns the lease and the revision at which that is so.
func (l *lease) restore(ctx context.Context) (clientv3.LeaseID, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	if err := l.begin(ctx); err != nil {
		return 0, 0, err
	}
	defer l.end()
	client := l.registry.client
	if l.lease != clientv3.NoLease {
		if _, err := client.KeepAliveOnce(ctx, l.lease); errors.Is(err, rpctypes.ErrLeaseNotFound) {
			l.lease = clientv3.NoLease
		} else if err != nil {
			return 0, 0, err
		}
	}
	key := l.registry.instanceKey(l.service, l.id)
	for range 3 {
		record, err := l.wanted()
		if err != nil {
			return 0, 0, err
		}
		res, err := client.Txn(ctx).If(
			clientv3.Compare(clientv3.Value(l.registry.idKey(l.id)), "=", l.token),
			clientv3.Compare(clientv3.LeaseValue(l.registry.idKey(l.id)), "=", l.lease),
			clientv3.Compare(clientv3.LeaseValue(key), "=", l.lease),
			clientv3.Compare(clientv3.Value(key), "=", record),
		).Commit()
		if err != nil {
			return 0, 0, err
		}
		if res.Succeeded {
			return l.lease, res.Header.GetRevision(), nil
		}
		if err := l.put(ctx); err != nil {
			return 0, 0, err
		}
		l.registry.opts.Logger.Info("instance announced again: it was not in etcd as it should be", "service", l.service, "instance", l.id)
	}
	return 0, 0, errors.New("what was announced was changed at once by another")
}

// guard returns when the record of the instance is deleted after the revision, or when that cannot be followed any more.
func (l *lease) guard(ctx context.Context, revision int64) {
	key := l.registry.instanceKey(l.service, l.id)
	for res := range l.registry.client.Watch(clientv3.WithRequireLeader(ctx), key, clientv3.WithRev(revision+1), clientv3.WithFilterPut()) {
		if res.Err() != nil || len(res.Events) > 0 {
			return
		}
	}
}
