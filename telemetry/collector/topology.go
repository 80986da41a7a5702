package collector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// sparkSteps is how many points a spark has.
const sparkSteps = 30

// Map returns who calls whom. Without a window it is that of the last 5 minutes. Services that have told something in the window are
// there, also where nobody calls them. Calls of gRPC's own contracts for health, reflection and channelz count neither here nor in [Numbers] of
// services, and are no problem; a [ServiceDetail] has them among its methods.
func (c *Collector) Map(ctx context.Context, w Window) (Map, error) {
	p := c.of()
	win := spanOf(w, 0, time.Now())
	flows := p.flows(win)
	m := Map{Window: win.window(), Nodes: []Node{}, Edges: []Edge{}}
	nodes := make(map[string]*Node)
	node := func(name, kind string) *Node {
		n := nodes[name]
		if n == nil {
			n = &Node{Name: name, Kind: kind}
			nodes[name] = n
		}
		return n
	}
	served := make(map[string]*tally)
	for name, list := range p.programsIn(win) {
		delete(list, "") // lines of output alone, before the instance has a name
		node(name, KindService).Instances = max(len(list), 1)
	}
	for i := range flows {
		node(flows[i].service, KindService)
	}
	type edgeKey struct{ from, to, kind string }
	edges := make(map[edgeKey]*tally)
	add := func(k edgeKey, t *tally) {
		if edges[k] == nil {
			edges[k] = new(tally)
		}
		edges[k].add(t)
	}
	for i := range flows {
		f := &flows[i]
		if f.taken() {
			if served[f.service] == nil {
				served[f.service] = new(tally)
			}
			served[f.service].add(&f.tally)
		}
		if f.peer == "" || f.calls == 0 && f.open == 0 || f.tooling() {
			continue
		}
		switch {
		case f.side == calls && f.kind == KindDB:
			// A database may be called as a service is.
			name := f.peer
			if n := nodes[name]; n != nil && n.Kind == KindService {
				name += " (" + cmp.Or(f.system, KindDB) + ")"
			}
			node(name, KindDB).System = f.system
			add(edgeKey{f.service, name, KindDB}, &f.tally)
		case f.side == calls:
			node(f.peer, KindExternal)
			add(edgeKey{f.service, f.peer, f.kind}, &f.tally)
		case f.side == publish, f.side == consumes:
			name := f.peer
			if n := nodes[name]; n != nil && n.Kind == KindService {
				name += " (topic)"
			}
			node(name, KindMessaging).System = f.system
			k := edgeKey{f.service, name, KindEvent}
			if f.side == consumes {
				k.from, k.to = k.to, k.from
			}
			add(k, &f.tally)
		}
	}
	for k, t := range edges {
		m.Edges = append(m.Edges, Edge{From: k.from, To: k.to, Kind: k.kind, Numbers: t.numbers(win.seconds())})
		if n := nodes[k.to]; n.Kind != KindService { // nobody else tells of it
			if served[k.to] == nil {
				served[k.to] = new(tally)
			}
			served[k.to].add(t)
		}
	}
	for name, n := range nodes {
		if t := served[name]; t != nil {
			n.Numbers = t.numbers(win.seconds())
		}
		m.Nodes = append(m.Nodes, *n)
	}
	slices.SortFunc(m.Nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Kind, b.Kind))
	})
	return m, ctx.Err()
}

// Methods returns the methods that services serve, those with the most calls first, and of equal ones by name. Without a window it is that of
// the last 5 minutes; limit 0 is all.
func (c *Collector) Methods(ctx context.Context, w Window, limit int) ([]ServiceMethod, error) {
	win := spanOf(w, 0, time.Now())
	type methodKey struct{ service, name, kind string }
	methods := make(map[methodKey]*tally)
	for _, f := range c.of().flows(win) {
		if f.side != serves && f.side != consumes || f.calls == 0 || f.tooling() {
			continue
		}
		k := methodKey{f.service, f.method, f.kind}
		if methods[k] == nil {
			methods[k] = new(tally)
		}
		methods[k].add(&f.tally)
	}
	list := make([]ServiceMethod, 0, len(methods))
	for k, t := range methods {
		list = append(list, ServiceMethod{Service: k.service, Name: k.name, Kind: k.kind, Numbers: t.numbers(win.seconds())})
	}
	slices.SortFunc(list, func(a, b ServiceMethod) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	if limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return list, ctx.Err()
}

// programsIn returns the programs that were seen since a window began, by service.
func (p *parts) programsIn(w span) map[string]map[string]program {
	p.origins.mu.Lock()
	defer p.origins.mu.Unlock()
	out := make(map[string]map[string]program)
	for k, v := range p.origins.programs {
		if v.seen.Unix() < w.from {
			continue
		}
		if out[k[0]] == nil {
			out[k[0]] = make(map[string]program)
		}
		out[k[0]][k[1]] = *v
	}
	return out
}

// Services returns the services that told something in the window, by name. Without a window it is that of the last 5 minutes.
func (c *Collector) Services(ctx context.Context, w Window) ([]ServiceSummary, error) {
	p := c.of()
	win := spanOf(w, sparkSteps, time.Now())
	list := p.services(win, p.flows(win))
	return list, ctx.Err()
}

func (p *parts) services(win span, flows []counted) []ServiceSummary {
	byName := make(map[string]*ServiceSummary)
	for name, programs := range p.programsIn(win) {
		s := &ServiceSummary{Name: name}
		for instance, prog := range programs {
			if instance != "" {
				s.Instances = append(s.Instances, instance)
			}
			if prog.version != "" && !slices.Contains(s.Versions, prog.version) {
				s.Versions = append(s.Versions, prog.version)
			}
			if s.Language == "" || s.Language == "go" { // of a command and the hanse run in front of it, that of the command
				s.Language = cmp.Or(prog.language, s.Language)
			}
			if prog.seen.After(s.LastSeen) {
				s.LastSeen = prog.seen.UTC()
			}
		}
		slices.Sort(s.Instances)
		slices.Sort(s.Versions)
		byName[name] = s
	}
	total := make(map[string]*counted)
	for i := range flows {
		f := &flows[i]
		s := byName[f.service]
		if s == nil {
			s = &ServiceSummary{Name: f.service, LastSeen: time.Unix(f.seen, 0).UTC()}
			byName[f.service] = s
		}
		if !f.taken() {
			continue
		}
		if total[f.service] == nil {
			total[f.service] = &counted{steps: make([]tally, win.steps)}
		}
		total[f.service].merge(f)
	}
	errors := p.logErrors(win)
	list := make([]ServiceSummary, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		s := byName[name]
		t := total[name]
		if t == nil {
			t = &counted{steps: make([]tally, win.steps)}
		}
		s.Numbers = t.numbers(win.seconds())
		s.Sparks = sparks(win, t.steps)
		s.LogErrors = int(math.Round(errors[name]))
		list = append(list, *s)
	}
	return list
}

// merge adds another flow's numbers.
func (c *counted) merge(o *counted) {
	c.tally.add(&o.tally)
	for i := range o.steps {
		c.steps[i].add(&o.steps[i])
	}
	c.exemplars = append(c.exemplars, o.exemplars...)
	c.seen = max(c.seen, o.seen)
}

func sparks(win span, steps []tally) Sparks {
	width := win.seconds() / float64(max(len(steps), 1))
	s := Sparks{Start: time.Unix(win.from, 0).UTC(), Step: time.Duration(width * float64(time.Second)), Calls: Values{}, Errors: Values{}, P95: Values{}}
	for i := range steps {
		s.Calls = append(s.Calls, steps[i].calls/width)
		s.Errors = append(s.Errors, steps[i].errors/width)
		s.P95 = append(s.P95, steps[i].hist.quantile(0.95))
	}
	return s
}

// logErrors returns how many lines were errors in a window, by service.
func (p *parts) logErrors(w span) map[string]float64 {
	n := p.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[string]float64)
	if m := n.metrics[logMetric]; m != nil {
		for _, s := range m.series {
			s.ringFor(w.from, w.now).each(w.from, w.to, func(_ int64, _, sum float64, _ string) { out[s.label("service.name")] += sum })
		}
	}
	return out
}

// Service returns what is known of one service. The error is [ErrNotFound] when that is nothing.
func (c *Collector) Service(ctx context.Context, name string, w Window) (ServiceDetail, error) {
	p := c.of()
	win := spanOf(w, sparkSteps, time.Now())
	flows := p.flows(win)
	all := p.services(win, flows)
	i := slices.IndexFunc(all, func(s ServiceSummary) bool { return s.Name == name })
	if i < 0 {
		return ServiceDetail{}, fmt.Errorf("service %s: %w", name, ErrNotFound)
	}
	d := ServiceDetail{ServiceSummary: all[i], Methods: []Method{}, Calls: []Method{}, Callers: []Edge{}}
	type methodKey struct {
		out              bool
		peer, name, kind string
	}
	methods := make(map[methodKey]*counted)
	for i := range flows {
		f := &flows[i]
		if f.service != name {
			continue
		}
		k := methodKey{f.side == calls || f.side == publish, f.peer, f.method, f.kind}
		if !k.out {
			k.peer = ""
		}
		if methods[k] == nil {
			methods[k] = &counted{steps: make([]tally, win.steps)}
		}
		methods[k].merge(f)
	}
	for k, t := range methods {
		m := Method{Name: k.name, Peer: k.peer, Kind: k.kind, Numbers: t.numbers(win.seconds()), Sparks: sparks(win, t.steps)}
		for status, n := range t.byStatus {
			if m.Status == nil {
				m.Status = make(map[string]int)
			}
			m.Status[status] = int(math.Round(n))
			if t.faults[status] {
				m.Faults = append(m.Faults, status)
			}
		}
		slices.Sort(m.Faults)
		if k.out {
			d.Calls = append(d.Calls, m)
		} else {
			d.Methods = append(d.Methods, m)
		}
	}
	for _, list := range [][]Method{d.Methods, d.Calls} {
		slices.SortFunc(list, func(a, b Method) int {
			return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
		})
	}
	m, err := c.Map(ctx, w)
	for _, e := range m.Edges {
		if e.To == name {
			d.Callers = append(d.Callers, e)
		}
	}
	return d, err
}
