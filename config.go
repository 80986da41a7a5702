package hanse

import (
	"fmt"
	"os"

	"github.com/hanse-go/hanse/config"
)

// Config fills the struct that dst points to with the settings of the service: what it holds already, then the file of
// [App.ConfigFile], the environment (CART_MAX_ITEMS) and flags (--set cart.max-items=20), the later ones winning. Package config says
// how fields are named. The environment and flags count in an app that was made by Main or FromEnv only. The error names every value that
// cannot be used, with its place.
//
// Call it in Setup: what is known of the settings is only complete then, so that Run can refuse those that no service knows.
func (s *Service) Config(dst any) error {
	s.mu.Lock()
	m := s.member
	s.mu.Unlock()
	if m == nil {
		return fmt.Errorf("service %s: Config came before the service runs: call it in Setup", s.Name)
	}
	return m.run.config.Load(s.Name, dst)
}

// newConfig returns what the services' settings are read from.
func (r *run) newConfig() *config.Loader {
	v := r.app.given
	loader := &config.Loader{File: r.app.ConfigFile, Services: r.names(), Logger: r.log}
	if v != nil {
		loader.Env = os.LookupEnv
		loader.Flags = v.set
		loader.Services = v.offered
	}
	return loader
}
