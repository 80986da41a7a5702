package httprule

import (
	"cmp"
	"slices"
	"strings"
)

// AnyMethod is the method of rules that hold for all methods which no other rule of the same pattern is for.
const AnyMethod = "*"

// Router finds the value whose template matches a path. Where several do, the segments decide from left to right: a literal before *
// before **; and a template with the path's verb before one that has the colon in its last segment. The zero value is empty. It is
// not safe for use during Add.
type Router[T any] struct {
	root node[T]
}

// node is what can follow a number of segments.
type node[T any] struct {
	literals map[string]*node[T]
	single   *node[T]
	tails    []tail[T] // behind a **; the longest first
	ends     []end[T]  // templates that are complete, by verb
}

// tail is what follows a ** : n more segments.
type tail[T any] struct {
	n    int
	node *node[T]
}

type end[T any] struct {
	verb   string
	routes []*route[T] // by method
}

type route[T any] struct {
	method   string
	template *Template
	value    T
}

// Add adds a template for a method, or [AnyMethod]. When there is one with the same pattern for this method already, the router stays
// as it is, and the other's value is returned.
func (r *Router[T]) Add(method string, t *Template, value T) (other T, ok bool) {
	n := &r.root
	for i, s := range t.Segments {
		switch s.Kind {
		case Literal:
			next := n.literals[s.Text]
			if next == nil {
				next = new(node[T])
				if n.literals == nil {
					n.literals = make(map[string]*node[T])
				}
				n.literals[s.Text] = next
			}
			n = next
		case Single:
			if n.single == nil {
				n.single = new(node[T])
			}
			n = n.single
		case Multi:
			n = n.tail(len(t.Segments) - i - 1)
		}
	}
	e := n.end(t.Verb)
	for _, rt := range e.routes {
		if rt.method == method {
			return rt.value, false
		}
	}
	e.routes = append(e.routes, &route[T]{method, t, value})
	return other, true
}

func (n *node[T]) tail(length int) *node[T] {
	i, found := slices.BinarySearchFunc(n.tails, length, func(t tail[T], length int) int { return cmp.Compare(length, t.n) })
	if !found {
		n.tails = slices.Insert(n.tails, i, tail[T]{length, new(node[T])})
	}
	return n.tails[i].node
}

func (n *node[T]) end(verb string) *end[T] {
	for i := range n.ends {
		if n.ends[i].verb == verb {
			return &n.ends[i]
		}
	}
	n.ends = append(n.ends, end[T]{verb: verb})
	return &n.ends[len(n.ends)-1]
}

// Match is what [Router.Lookup] found.
type Match[T any] struct {
	Value    T
	Template *Template
	// Values are those of the template's Variables, in their order, without percent-encoding.
	Values []string

	segments []string // room for those of the path
}

// Lookup finds the template for a request. path is percent-encoded, as [net/url.URL.EscapedPath] returns it. The result is written to
// m, whose Values are used again: a Match that is kept for the next request saves memory. The result is false when there is none, and
// m stays as it is.
func (r *Router[T]) Lookup(method, path string, m *Match[T]) bool {
	w := walk[T]{method: method, segments: m.segments[:0]}
	found := w.search(&r.root, path)
	m.segments = w.segments
	if !found {
		return false
	}
	values := m.Values[:0]
	for _, v := range w.found.template.Variables {
		text, ok := w.capture(w.found.template, v)
		if !ok {
			return false
		}
		values = append(values, text)
	}
	m.Value, m.Template, m.Values = w.found.value, w.found.template, values
	return true
}

// Methods returns those for which there is a template that matches the path, sorted. None: Lookup finds nothing, whatever the method.
func (r *Router[T]) Methods(path string) []string {
	var w walk[T]
	w.search(&r.root, path)
	slices.Sort(w.methods)
	return slices.Compact(w.methods)
}

// walk is one search.
type walk[T any] struct {
	method   string   // that the request has; empty: all methods are collected
	methods  []string // collected
	verb     string   // without percent-encoding
	segments []string // percent-encoded
	found    *route[T]
}

// search goes through all templates that match the path, until one has the method.
func (w *walk[T]) search(root *node[T], path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for rest := path[1:]; path != "/"; {
		s, more, slash := strings.Cut(rest, "/")
		// A client resolves these, also when they are encoded: who sends one wants to be somewhere else than the path says.
		if text, ok := unescape(s, false); !ok || dots(text) {
			return false
		}
		w.segments = append(w.segments, s)
		if !slash {
			break
		}
		rest = more
	}
	if n := len(w.segments); n > 0 {
		last := w.segments[n-1]
		if colon := strings.LastIndexByte(last, ':'); colon >= 0 && colon+1 < len(last) {
			w.verb, _ = unescape(last[colon+1:], false)
			w.segments[n-1] = last[:colon]
			if w.visit(root, 0) {
				return true
			}
			w.verb, w.segments[n-1] = "", last
		}
	}
	return w.visit(root, 0)
}

// visit searches below a node that the first i segments led to. Each node of the tree stands for one way to it, so it is visited once.
func (w *walk[T]) visit(n *node[T], i int) bool {
	if i == len(w.segments) {
		for k := range n.ends {
			if n.ends[k].verb == w.verb && w.choose(&n.ends[k]) {
				return true
			}
		}
	} else {
		if n.literals != nil {
			if text, ok := unescape(w.segments[i], false); ok {
				if next := n.literals[text]; next != nil && w.visit(next, i+1) {
					return true
				}
			}
		}
		if n.single != nil && w.segments[i] != "" && w.visit(n.single, i+1) {
			return true
		}
	}
	for _, t := range n.tails {
		if from := len(w.segments) - t.n; from >= i && w.visit(t.node, from) {
			return true
		}
	}
	return false
}

// choose takes the route of the method.
func (w *walk[T]) choose(e *end[T]) bool {
	for _, rt := range e.routes {
		switch {
		case w.method == "":
			w.methods = append(w.methods, rt.method)
		case rt.method == w.method:
			w.found = rt
			return true
		case rt.method == AnyMethod:
			w.found = rt // unless there is a better one
		}
	}
	return w.found != nil
}

// capture returns the value that the path gives to a variable.
func (w *walk[T]) capture(t *Template, v Variable) (string, bool) {
	if !v.Multi {
		return unescape(w.segments[t.index(v.Start, len(w.segments))], false)
	}
	segments := w.segments[t.index(v.Start, len(w.segments)):t.index(v.End, len(w.segments))]
	return unescape(strings.Join(segments, "/"), true)
}

// index returns the index in a path of n segments of what has the index i in the template.
func (t *Template) index(i, n int) int {
	if t.multi >= 0 && i > t.multi {
		return n - len(t.Segments) + i
	}
	return i
}
