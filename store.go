package hanse

import (
	"context"
	"errors"
	"fmt"

	"github.com/hanse-go/hanse/store"
)

// Store returns what makes s a [store.Host]: the buckets, locks and elections of package store are used with s, and are those of the app's
// [App.Store]. Before Run they wait.
func (s *Service) Store() *store.Client { return &s.store }

var _ store.Host = (*Service)(nil)

// errNoStore is for services that want one.
var errNoStore = errors.New("this app has no store: set App.Store, such as &store.Memory{} for one in the memory of the process")

// bindStores gives the services the app's store, or the reason why there is none.
func (r *run) bindStores() {
	for _, m := range r.members {
		if driver := r.app.Store; driver == nil {
			m.store.Refuse(errNoStore)
		} else {
			m.store.Bind(driver, m.log)
		}
	}
}

// prepareStore makes the buckets that the service has declared be there.
func (m *member) prepareStore(ctx context.Context) error {
	if err := m.store.Prepare(ctx); err != nil {
		return fmt.Errorf("service %s: %w", m.Name, err)
	}
	return nil
}
