package etcddiscovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// keeper keeps one instance announced, under a lease of etcd that it replaces when it is lost.
type keeper struct {
	registry *Registry
	idKey    string
	key      string // of the record
	token    string // tells who has the ID
	lease    clientv3.LeaseID
	pulse    *pulse
	wake     chan struct{} // gets a value when the lease may have been lost
	stop     func()        // of that
}

var _ driver.Keeper = (*keeper)(nil)

// Register implements [discovery.Registrar]. While etcd is away it tries until ctx ends, for at most 20 s. It returns
// [discovery.ErrTaken] when an instance whose lease has not ended has the ID.
func (r *Registry) Register(ctx context.Context, inst discovery.Instance) (discovery.Lease, error) {
	if r.err != nil {
		return nil, r.err
	}
	k := &keeper{
		registry: r, idKey: r.idKey(inst.ID), key: r.instanceKey(inst.Service, inst.ID), token: rand.Text() + " " + inst.Service,
		wake: make(chan struct{}, 1),
	}
	return driver.Keep(ctx, inst, k, r.opts.Logger)
}

// Put implements [driver.Keeper]: it announces the record, under a new lease if there is none.
func (k *keeper) Put(ctx context.Context, inst discovery.Instance) error {
	if k.pulse == nil {
		k.pulse = k.registry.joinPulse()
		k.stop = k.pulse.wakeOn(k.wake)
	}
	record, err := inst.Record()
	if err != nil {
		return err
	}
	return try(ctx, func(ctx context.Context) error {
		if k.lease == clientv3.NoLease {
			granted, err := k.registry.client.Grant(ctx, int64(k.registry.opts.TTL/time.Second))
			if err != nil {
				return err
			}
			k.lease = granted.ID
		}
		err := k.putUnderLease(ctx, string(record))
		if errors.Is(err, rpctypes.ErrLeaseNotFound) { // it ended
			k.lease = clientv3.NoLease
			return errAgain
		}
		return err
	})
}

// errAgain has try call again.
var errAgain = errors.New("the lease ended")

// try calls what may be done twice, and again until ctx ends while etcd is not available: its client leaves it to its users to repeat what
// was lost with a leader. A member that has lost it would let a request wait for 7 s, so the first tries are shorter.
func try(ctx context.Context, do func(context.Context) error) error {
	for failures := 1; ; failures++ {
		attempt, cancel := context.WithTimeout(ctx, hurry<<min(failures-1, 3))
		err := do(attempt)
		late := attempt.Err() != nil
		cancel()
		var known rpctypes.EtcdError
		away := late || status.Code(err) == codes.Unavailable || errors.As(err, &known) && known.Code() == codes.Unavailable
		if err == nil || !away && !errors.Is(err, errAgain) {
			return err
		}
		driver.Sleep(ctx, driver.Backoff(failures, hurry))
		switch {
		case ctx.Err() == nil:
		case late:
			return ctx.Err()
		default:
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (k *keeper) putUnderLease(ctx context.Context, record string) error {
	epochKey := k.registry.epochKey()
	puts := []clientv3.Op{
		clientv3.OpPut(k.idKey, k.token, clientv3.WithLease(k.lease)),
		clientv3.OpPut(k.key, record, clientv3.WithLease(k.lease)),
		clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(epochKey), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(epochKey, rand.Text())}, nil),
	}
	res, err := k.registry.client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(k.idKey), "=", k.token)).
		Then(puts...).
		Else(clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(k.idKey), "=", 0)}, puts, nil)).
		Commit()
	if err != nil {
		return err
	}
	if !res.Succeeded && !res.Responses[0].GetResponseTxn().GetSucceeded() {
		return discovery.ErrTaken
	}
	return nil
}

// Check implements [driver.Keeper]. It keeps the lease alive for as long as nothing happens to it.
func (k *keeper) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	record, err := inst.Record()
	if err != nil {
		return nil, err
	}
	client := k.registry.client
	if _, err := client.KeepAliveOnce(ctx, k.lease); errors.Is(err, rpctypes.ErrLeaseNotFound) {
		k.lease = clientv3.NoLease
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	res, err := client.Txn(ctx).If(
		clientv3.Compare(clientv3.Value(k.idKey), "=", k.token),
		clientv3.Compare(clientv3.LeaseValue(k.idKey), "=", k.lease),
		clientv3.Compare(clientv3.LeaseValue(k.key), "=", k.lease),
		clientv3.Compare(clientv3.Value(k.key), "=", string(record)),
	).Commit()
	if err != nil || !res.Succeeded {
		return nil, err
	}
	lease, revision := k.lease, res.Header.GetRevision()
	return func(ctx context.Context) { k.hold(ctx, lease, revision) }, nil
}

// hold keeps a lease alive until that cannot be done, or the record may have been deleted after the revision.
func (k *keeper) hold(ctx context.Context, lease clientv3.LeaseID, revision int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive, err := k.registry.client.KeepAlive(ctx, lease)
	if err != nil {
		return
	}
	gone := make(chan struct{})
	var guarding sync.WaitGroup
	defer guarding.Wait()
	defer cancel()
	guarding.Go(func() {
		defer close(gone)
		for res := range k.registry.client.Watch(clientv3.WithRequireLeader(ctx), k.key, clientv3.WithRev(revision+1), clientv3.WithFilterPut()) {
			if res.Err() != nil || len(res.Events) > 0 {
				return
			}
		}
	})
	for {
		select {
		case _, open := <-alive:
			if !open {
				return
			}
		case <-gone:
			return
		case <-k.wake:
			return
		}
	}
}

// Withdraw implements [driver.Keeper]: it ends the lease, and with it what is under it.
func (k *keeper) Withdraw(ctx context.Context) error {
	if k.pulse != nil {
		k.stop()
		defer k.registry.leavePulse(k.pulse)
	}
	if k.lease == clientv3.NoLease {
		return nil
	}
	_, err := k.registry.client.Revoke(ctx, k.lease)
	if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return fmt.Errorf("it vanishes in %v: %w", k.registry.opts.TTL, err)
}

// Explain implements [driver.Keeper].
func (k *keeper) Explain(doing string, err error) error { return k.registry.explain(doing, err) }
