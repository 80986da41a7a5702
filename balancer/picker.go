package balancer

// Picker chooses among the instances of one service. A Picker belongs to one service and is safe for concurrent use.
type Picker interface {
	// Pick returns one of the candidates. They are never empty, all can take calls now, and the slice must not be changed.
	Pick(candidates []*Candidate) *Candidate
}
