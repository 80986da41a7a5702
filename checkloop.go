package hanse

import (
	"context"
	"strings"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// followChecks keeps the instances of services that want it out of the registry's choice while their checks fail.
func (r *run) followChecks() {
	for _, m := range r.members {
		if m.CheckEvery > 0 && m.lease != nil {
			r.background.Go(func() { m.followChecks(r.tasks.ctx) })
		}
	}
}

func (m *member) followChecks(ctx context.Context) {
	tick := time.NewTicker(m.CheckEvery)
	defer tick.Stop()
	for {
		phase, changed := m.run.state()
		if phase != discovery.Ready {
			return
		}
		select {
		case <-tick.C:
		case <-changed:
			continue
		case <-ctx.Done():
			return
		}
		_, conditions := m.run.readiness(ctx, []*member{m})
		var reasons []string
		for _, c := range conditions {
			if c.Reason != "" && !c.Warning && c.Check != stateCheck {
				reasons = append(reasons, c.Check+": "+c.Reason)
			}
		}
		m.tellReady(ctx, strings.Join(reasons, "; "))
	}
}

// tellReady announces that the instance takes calls, or none for a reason. Nothing is told once the app drains.
func (m *member) tellReady(ctx context.Context, reason string) {
	m.announce.Lock()
	defer m.announce.Unlock()
	state := discovery.Ready
	if reason != "" {
		state = discovery.Starting
	}
	if m.instance.State == state || m.instance.State == discovery.Draining || ctx.Err() != nil {
		return
	}
	if phase, _ := m.run.state(); phase != discovery.Ready {
		return
	}
	m.instance.State = state
	if reason != "" {
		m.log.Warn("not ready any more: callers go elsewhere", "because", reason)
	} else {
		m.log.Info("ready again")
	}
	if err := m.lease.Update(ctx, m.instance); err != nil {
		m.log.Warn("cannot tell the registry", "state", string(state), "error", err)
		m.instance.State = "" // so that the next check tells it again
	}
}
