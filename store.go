package hanse

import (
	"context"
	"errors"
	"fmt"

	"github.com/hanse-go/hanse/resilience"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
)

// Store returns what makes s a [store.Host]: the buckets, locks and elections of package store are used with s, and are those of the app's
// [App.Store]. Before Run they wait.
func (s *Service) Store() *store.Client { return &s.store }

var _ store.Host = (*Service)(nil)

// errNoStore is for services that want one.
var errNoStore = errors.New(`this app has no store: run it under hanse dev or beside a hanse hub, give it --backplane nats://HOST:PORT (HANSE_BACKPLANE), or set App.Backplane, such as &embednats.Server{Dir: "data"}, or App.Store`)

// hasStore reports whether the app has a store, or will have one on its backplane.
func (a *App) hasStore() bool { return a.Store != nil || a.Backplane != nil }

// bindStores gives the services the app's store, or the reason why there is none.
func (r *run) bindStores(ctx context.Context) error {
	driver := r.app.Store
	if l := r.app.backplane(); driver == nil && l != nil {
		conn, err := l.conn(ctx)
		if err != nil {
			return err
		}
		driver = &natsstore.Store{Conn: conn, System: r.app.System, Logger: r.log}
	}
	for _, m := range r.members {
		if driver == nil {
			m.store.Refuse(errNoStore)
		} else {
			m.store.Bind(driver, m.log)
		}
	}
	return nil
}

// replies is where the service keeps its replies to calls with an idempotency key: by default where all instances see them, if there is such a
// place. nil is the memory of the process.
func (m *member) replies() resilience.ReplyStore {
	if m.Replies == nil && m.run.app.hasStore() {
		return &store.Replies{Host: m.Service}
	}
	return m.Replies
}

// prepareStore makes the buckets that the service has declared be there.
func (m *member) prepareStore(ctx context.Context) error {
	if err := m.store.Prepare(ctx); err != nil {
		return fmt.Errorf("service %s: %w", m.Name, err)
	}
	return nil
}
