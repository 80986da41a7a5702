// Package resilience keeps one part that fails from taking others with it. A [Policy] says what the calls of a service are given, on the
// caller's side and on the serving side; its zero value is what is on by default:
//
//	app := &hanse.App{Policies: map[string]resilience.Policy{
//		"search": {Timeout: 300 * time.Millisecond, Hedge: resilience.Hedge{Percentile: 95}},
//	}}
//
// An app applies policies by itself. Each mechanism also works alone: [Budget], [Circuit], [Outliers] and the others are plain values
// with a few methods and know nothing of the calls that they judge.
//
// # Conventions
//
// In each field of a policy 0 is the default that its comment states and -1 is off. Whatever a mechanism does to a call it counts under
// a [Reason], and [Counts] tells how often.
package resilience
