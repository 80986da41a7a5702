package telemetry

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// Service is what one service of a process tells, or a program that only calls. A nil *Service is off: all its methods work, and do
// nothing. It is safe for concurrent use.
type Service struct {
	telemetry *Telemetry
	resource  resourceKey
	number    int // of the services of the process, from 0
	meters    meters
	otlp      *otlp.Resource
	calls     *scope // of the spans of calls

	mu      sync.Mutex
	work    map[durationsKey]*Durations
	scopes  map[scopeKey]*scope                   // of libraries
	methods atomic.Pointer[map[methodKey]*Method] // replaced, never changed
}

type resourceKey struct{ name, version, instance string }

// Service returns what one service tells: service.name, service.version and service.instance.id are with all of it. A version and an instance
// that are "" are left out. The name "" is for a program that is no service: see [Config.ServiceName]. The same three give the same Service.
func (t *Telemetry) Service(name, version, instance string) *Service {
	if t == nil {
		return nil
	}
	if name == "" {
		name = t.config.ServiceName
	}
	if name == "" {
		name = "unknown_service:" + filepath.Base(os.Args[0])
	}
	key := resourceKey{name, version, instance}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.services[key]; s != nil {
		return s
	}
	s := &Service{telemetry: t, resource: key, otlp: &otlp.Resource{Attributes: t.resourceAttributes(key), SchemaURL: schemaURL}, number: len(t.services)}
	s.calls = newScope(s, ownScope, "", schemaURL)
	s.methods.Store(&map[methodKey]*Method{})
	t.services[key] = s
	return s
}

// resourceAttributes are those of a service's resource.
func (t *Telemetry) resourceAttributes(key resourceKey) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String("service.name", key.name)}
	if key.version != "" {
		attrs = append(attrs, attribute.String("service.version", key.version))
	}
	if key.instance != "" {
		attrs = append(attrs, attribute.String("service.instance.id", key.instance))
	}
	for _, a := range t.config.Resource {
		switch a.Key {
		case "service.version":
			if key.version != "" {
				continue
			}
		case "service.instance.id":
			if key.instance != "" {
				continue
			}
		}
		attrs = append(attrs, a)
	}
	return append(attrs,
		attribute.String("telemetry.sdk.name", "hanse"),
		attribute.String("telemetry.sdk.language", "go"),
	)
}

// Name is the service's name.
func (s *Service) Name() string {
	if s == nil {
		return ""
	}
	return s.resource.name
}

// Resource is what is told of the service with all that it tells. It must not be changed.
func (s *Service) Resource() []attribute.KeyValue {
	if s == nil {
		return nil
	}
	return s.otlp.Attributes
}
