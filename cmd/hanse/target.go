package main

import (
	"strings"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
)

// targets say which services are called at a fixed place, whatever the registry says.
type targets struct {
	direct  string            // called whatever the service; "": only those in byService are
	service map[string]string // by name
}

// parseTargets reads --target, which is a place or SERVICE=PLACE as programs take it, and besides it HANSE_TARGET, which is environment. The flag wins.
func parseTargets(flags []string, environment string) (t targets, err error) {
	t.service = make(map[string]string)
	for _, s := range strings.Fields(environment) {
		service, place, ok := serviceTarget(s)
		if !ok {
			return t, ui.Usagef("HANSE_TARGET: %q is not SERVICE=TARGET", s).Then("write cart=localhost:8443, or cart=dns:///cart.example.com:8443")
		}
		t.service[service] = place
	}
	for _, s := range flags {
		if service, place, ok := serviceTarget(s); ok {
			t.service[service] = place
			continue
		}
		if t.direct != "" {
			return t, ui.Usagef("--target names two places, %s and %s", t.direct, s).Then("keep one, or say which service is where: --target cart=%s", s)
		}
		t.direct = s
	}
	for service, place := range t.service {
		if _, err := discovery.ParseTarget(place); err != nil {
			return t, ui.Usagef("the target of %s: %w", service, err)
		}
	}
	return t, nil
}

// serviceTarget splits SERVICE=TARGET.
func serviceTarget(s string) (service, place string, ok bool) {
	service, place, ok = strings.Cut(s, "=")
	return service, place, ok && place != "" && discovery.CheckName(service) == nil
}
