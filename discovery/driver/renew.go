package driver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// Renewer is how an engine announces one instance that it forgets unless it is told from time to time that the instance lives, for
// [Renewals]. Its methods are called one at a time.
type Renewer interface {
	// Taken reports whether the engine has a live instance with the ID. It is called before the first Register.
	Taken(ctx context.Context) (bool, error)
	// Register announces the instance as one that lives, in place of what was announced for it.
	Register(ctx context.Context, inst discovery.Instance) error
	// Renew tells that the instance lives. It reports whether the engine knows the instance.
	Renew(ctx context.Context, inst discovery.Instance) (known bool, err error)
	// Withdraw gives up what the renewer holds. If the instance was registered, which may not have succeeded, it is taken back
	// first. It is the last call.
	Withdraw(ctx context.Context, registered bool) error
	// Explain is that of [Keeper].
	Explain(doing string, err error) error
}

// Renewals are the instances that one handle of such an engine keeps announced. The zero value is ready to use.
type Renewals struct{ ids sync.Map }

// Keep is the function [Keep] for such an engine, which is told once in each period, or a little earlier. An ID is kept once at a time.
func (r *Renewals) Keep(ctx context.Context, inst discovery.Instance, engine Renewer, period time.Duration, log *slog.Logger) (discovery.Lease, error) {
	return Keep(ctx, inst, &renewal{Renewer: engine, id: inst.ID, all: r, period: period}, log)
}

// renewal keeps one instance registered.
type renewal struct {
	Renewer
	id         string
	all        *Renewals
	period     time.Duration
	claimed    bool // the ID is this renewal's in this handle
	registered bool // the engine has been asked to register it
	fresh      bool // the engine was told a moment ago that it lives
}

// Put implements [Keeper].
func (r *renewal) Put(ctx context.Context, inst discovery.Instance) error {
	if err := r.claim(ctx); err != nil {
		return err
	}
	r.registered = true
	err := r.Register(ctx, inst)
	r.fresh = err == nil
	return err
}

// claim takes the ID, unless an instance of this handle has it, or a live one of the engine's.
func (r *renewal) claim(ctx context.Context) error {
	if r.registered {
		return nil
	}
	if !r.claimed {
		if _, taken := r.all.ids.LoadOrStore(r.id, true); taken {
			return discovery.ErrTaken
		}
		r.claimed = true
	}
	taken, err := r.Taken(ctx)
	if err == nil && taken {
		err = discovery.ErrTaken
	}
	return err
}

// Check implements [Keeper]: it renews the lease.
func (r *renewal) Check(ctx context.Context, inst discovery.Instance) (func(context.Context), error) {
	if !r.fresh {
		if known, err := r.Renew(ctx, inst); err != nil || !known {
			return nil, err
		}
	}
	r.fresh = false
	return func(ctx context.Context) { Sleep(ctx, Pace(r.period)) }, nil
}

// Withdraw implements [Keeper].
func (r *renewal) Withdraw(ctx context.Context) error {
	if r.claimed {
		defer r.all.ids.Delete(r.id)
	}
	return r.Renewer.Withdraw(ctx, r.registered)
}
