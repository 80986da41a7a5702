// Package balancer chooses the instance that gets the next call.
//
// [P2C] is the default: of two candidates drawn at random it takes the one that is less loaded, by calls in flight and measured
// latency. [RoundRobin] takes them in turn, [Weighted] and [Random] in proportion to their weights, and [ConsistentHash] by a key of the
// call. Whoever calls says so to the [Candidate]:
//
//	c := balancer.Pick(ctx, method, picker, candidates)
//	c.Begin()
//	start := time.Now()
//	err := call(c.Instance)
//	c.Done(time.Since(start), outcome(err))
package balancer
