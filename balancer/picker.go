package balancer

import "context"

// Picker chooses among the instances of one service. A Picker belongs to one service and is safe for concurrent use.
type Picker interface {
	// Pick returns one of the candidates. They are never empty, all can take calls now, and the slice must not be changed.
	Pick(candidates []*Candidate) *Candidate
}

// CallPicker is a [Picker] that looks at the call. Where a picker is one, PickFor is asked instead of Pick.
type CallPicker interface {
	Picker
	// PickFor is Pick for one call: ctx carries its outgoing metadata, and method is its full name, /package.Service/Method.
	PickFor(ctx context.Context, method string, candidates []*Candidate) *Candidate
}

// Pick asks the picker for one of the candidates, by PickFor where it is a [CallPicker].
func Pick(ctx context.Context, method string, p Picker, candidates []*Candidate) *Candidate {
	if p, ok := p.(CallPicker); ok {
		return p.PickFor(ctx, method, candidates)
	}
	return p.Pick(candidates)
}
