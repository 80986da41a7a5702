package etcddiscovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageSize is how many records are asked for at a time: answers of less than about 1 MB.
const pageSize = 1000

// follow is one watch for all that watch a service here.
func (r *Registry) follow(ctx context.Context, service string, notify func([]discovery.Instance)) error {
	p := r.joinPulse()
	defer r.leavePulse(p)
	p.follow(ctx, "instances of "+cmp.Or(service, "all services"), &following{registry: r, pulse: p, service: service, notify: notify})
	return nil
}

// errWiped ends the changes of a registry that is no more.
var errWiped = errors.New("the registry was wiped")

// follower lists what is there, tells it, and then takes the changes from that revision on, until they or the registry's life end.
type follower interface {
	relist(ctx context.Context) error
	followChanges(ctx, life context.Context) error
	tell()
}

// follow has f follow what is called what, until ctx ends. When the changes end, because etcd compacted them before they were read or was
// wiped, it begins again.
func (p *pulse) follow(ctx context.Context, what string, f follower) {
	failures, told := 0, false
	for ctx.Err() == nil {
		life := p.current()
		err := p.lookFirst(ctx)
		if err == nil {
			err = f.relist(ctx)
		}
		if err == nil {
			failures, told = 0, true
			err = f.followChanges(ctx, life)
		}
		if ctx.Err() != nil || errors.Is(err, errWiped) || errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		if !told {
			told = true
			f.tell() // what is known: nothing. Who has other registries to ask must not wait for this one
			p.registry.opts.Logger.Warn(what+" cannot be read; tried again", "error", p.registry.explain("read "+what, err))
		}
		failures++
		driver.Sleep(ctx, driver.Backoff(failures, hurry))
	}
}

// following follows one service, or all of them.
type following struct {
	registry *Registry
	pulse    *pulse
	service  string
	notify   func([]discovery.Instance)

	view     driver.View
	epoch    string // that the view was listed in
	revision int64  // up to which the view is true
}

func (f *following) tell() { f.notify(f.view.List()) }

// relist takes all that is there.
func (f *following) relist(ctx context.Context) error {
	from := f.registry.servicePrefix(f.service)
	end := clientv3.GetPrefixRangeEnd(from)
	page := func(from string, opts ...clientv3.OpOption) clientv3.Op {
		return clientv3.OpGet(from, append(opts, clientv3.WithRange(end), clientv3.WithLimit(pageSize))...)
	}
	began := time.Now()
	first, err := f.transact(ctx, clientv3.OpGet(f.registry.epochKey()), page(from))
	if err != nil {
		return err
	}
	revision, epoch := first.Header.GetRevision(), ""
	if kvs := first.Responses[0].GetResponseRange().GetKvs(); len(kvs) > 0 {
		epoch = string(kvs[0].GetValue())
	}
	var list []discovery.Instance
	for answer := first.Responses[1].GetResponseRange(); ; {
		for _, kv := range answer.GetKvs() {
			if inst, ok := f.parse(kv); ok {
				list = append(list, inst)
			}
		}
		if !answer.GetMore() {
			break
		}
		last := answer.GetKvs()[len(answer.GetKvs())-1].GetKey()
		next, err := f.transact(ctx, page(string(last)+"\x00", clientv3.WithRev(revision)))
		if err != nil {
			return err
		}
		answer = next.Responses[0].GetResponseRange()
	}
	doubtUntil := f.pulse.doubtful()
	if f.epoch != "" && epoch != f.epoch || revision < f.revision {
		doubtUntil = began.Add(f.registry.opts.TTL)
	}
	f.view.Replace(list, doubtUntil)
	f.epoch, f.revision = epoch, revision
	f.tell()
	return nil
}

func (f *following) transact(ctx context.Context, ops ...clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	return f.registry.client.Txn(ctx).Then(ops...).Commit()
}

// followChanges takes what happens after the view's revision, until the changes or the registry's life end.
func (f *following) followChanges(ctx, life context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	changes := f.registry.client.Watch(ctx, f.registry.servicePrefix(f.service), clientv3.WithPrefix(), clientv3.WithRev(f.revision+1))
	for {
		var expiry <-chan time.Time
		if next := f.view.NextExpiry(); !next.IsZero() {
			expiry = time.After(time.Until(next))
		}
		select {
		case <-expiry:
			if f.view.Expire(f.doubtful(ctx)) {
				f.tell()
			}
		case res, open := <-changes:
			switch {
			case life.Err() != nil:
				return errWiped
			case !open:
				return errors.New("the watch ended")
			case res.Err() != nil:
				return res.Err()
			}
			f.apply(ctx, res)
		}
	}
}

// apply takes changes.
func (f *following) apply(ctx context.Context, res clientv3.WatchResponse) {
	if len(res.Events) == 0 {
		return
	}
	doubtUntil := time.Time{}
	asked := false
	for _, event := range res.Events {
		if event.Type == clientv3.EventTypePut {
			if inst, ok := f.parse(event.Kv); ok {
				f.view.Put(inst)
				continue
			}
		}
		service, id, _ := strings.Cut(strings.TrimPrefix(string(event.Kv.Key), f.registry.servicePrefix("")), "/")
		if inst, _ := f.view.Get(service, id); !asked && inst.State != discovery.Draining {
			asked, doubtUntil = true, f.doubtful(ctx) // it did not say that it goes
		}
		f.view.Remove(service, id, doubtUntil)
	}
	f.revision = max(f.revision, res.Header.GetRevision())
	f.tell()
}

// doubtful returns until when an instance that vanished without a word may be one that had no time yet to announce itself again. It
// asks etcd whether more than the instance has vanished.
func (f *following) doubtful(ctx context.Context) time.Time {
	res, err := f.transact(ctx, clientv3.OpGet(f.registry.epochKey()))
	until := f.pulse.doubtful()
	if err == nil {
		kvs := res.Responses[0].GetResponseRange().GetKvs()
		if f.epoch == "" || len(kvs) > 0 && string(kvs[0].GetValue()) == f.epoch {
			return until
		}
	}
	if ttl := time.Now().Add(f.registry.opts.TTL); until.Before(ttl) {
		return ttl
	}
	return until
}

// parse reads the record of an instance, and says which one cannot be understood.
func (f *following) parse(kv *mvccpb.KeyValue) (discovery.Instance, bool) {
	inst, err := discovery.ParseRecord(kv.GetValue())
	key := string(kv.GetKey())
	if err == nil && f.registry.instanceKey(inst.Service, inst.ID) != key {
		err = fmt.Errorf("it is the record of instance %s of %s", inst.ID, inst.Service)
	}
	if err != nil {
		f.registry.opts.Logger.Warn("record in etcd ignored", "key", key, "error", strings.TrimPrefix(err.Error(), "discovery: "))
		return discovery.Instance{}, false
	}
	return inst, true
}
