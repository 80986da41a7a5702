package collector

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"
)

// origin is who sent something: a resource and a scope. It is kept in blocks as it came.
type origin struct {
	raw      []byte // as written into a block
	resource []byte
	scope    string
	service  string
	instance string
	version  string
	language string
	attrs    []Attr // of the resource, without service and instance
}

// unnamed is the service of programs that do not say which they are.
const unnamed = "unknown"

// newOrigin reads a resource and the name of a scope.
func newOrigin(resource []byte, scope string) (*origin, error) {
	o := &origin{scope: scope, service: unnamed}
	o.raw = binary.AppendUvarint(nil, uint64(len(resource)))
	o.raw = append(o.raw, resource...)
	o.resource = o.raw[len(o.raw)-len(resource):]
	o.raw = append(o.raw, scope...)
	f := fields{rest: resource}
	for f.next() {
		if !f.message(1) {
			continue
		}
		a, err := readAttr(f.data)
		if err != nil {
			return nil, err
		}
		text, _ := a.Value.(string)
		switch a.Key {
		case "service.name":
			if text != "" {
				o.service = text
			}
			continue
		case "service.instance.id":
			o.instance = text
			continue
		case "service.version":
			o.version = text
		case "telemetry.sdk.language":
			o.language = text
		}
		o.attrs = append(o.attrs, a)
	}
	return o, f.err
}

// readOrigin reads what origin.raw is.
func readOrigin(raw []byte) (*origin, error) {
	size, n := binary.Uvarint(raw)
	if n <= 0 || size > uint64(len(raw)-n) {
		return nil, errWire
	}
	return newOrigin(raw[n:n+int(size)], string(raw[n+int(size):]))
}

// program is what is known of the program that sends.
type program struct {
	version, language string
	seen              time.Time
}

// origins knows those that send, so that each is read once. It is safe for concurrent use.
type origins struct {
	mu     sync.Mutex
	byText map[string]*origin
	// programs of the last hours, by service and instance
	programs map[[2]string]*program
	fresh    []string // services that were not known when Changes was last told
}

// most origins that are remembered. Where there are more, all are read again now and then.
const mostOrigins = 2000

// of returns the origin with that resource and scope.
func (s *origins) of(resource []byte, scope []byte, now time.Time) (*origin, error) {
	var space [512]byte
	key := append(append(append(space[:0], resource...), 0), scope...)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byText[string(key)]
	if o == nil {
		var err error
		if o, err = newOrigin(resource, string(scope)); err != nil {
			return nil, err
		}
		if s.byText == nil || len(s.byText) >= mostOrigins {
			s.byText = make(map[string]*origin)
		}
		s.byText[string(key)] = o
	}
	s.see(o, now)
	return o, nil
}

// see notes that the program is there. The caller holds mu.
func (s *origins) see(o *origin, now time.Time) {
	key := [2]string{o.service, o.instance}
	p := s.programs[key]
	if p == nil {
		if s.programs == nil {
			s.programs = make(map[[2]string]*program)
		}
		if len(s.programs) >= mostOrigins {
			s.forget()
		}
		known := false
		for k := range s.programs {
			known = known || k[0] == o.service
		}
		if !known && len(s.fresh) < 100 && !slices.Contains(s.fresh, o.service) {
			s.fresh = append(s.fresh, o.service)
		}
		p = new(program)
		s.programs[key] = p
	}
	p.seen = now
	if o.version != "" {
		p.version = o.version
	}
	if o.language != "" {
		p.language = o.language
	}
}

// forget drops the half of the programs that was not seen for longest. The caller holds mu.
func (s *origins) forget() {
	var times []time.Time
	for _, p := range s.programs {
		times = append(times, p.seen)
	}
	slices.SortFunc(times, time.Time.Compare)
	middle := times[len(times)/2]
	for k, p := range s.programs {
		if !p.seen.After(middle) {
			delete(s.programs, k)
		}
	}
}

// takeFresh returns the services that are new since it was last called.
func (s *origins) takeFresh() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh
	s.fresh = nil
	return fresh
}
