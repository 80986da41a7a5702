package main

import "math/rand/v2"

// choices are those of one customer: the same seed and number make the same ones.
type choices struct{ *rand.Rand }

func newChoices(seed, n uint64) choices {
	return choices{rand.New(rand.NewPCG(seed, n))}
}

// maybe is true in so many of a hundred cases.
func (c choices) maybe(percent int) bool { return c.IntN(100) < percent }

// between returns a number from low to high.
func (c choices) between(low, high int) int { return low + c.IntN(high-low+1) }

func pick[T any](c choices, from []T) T { return from[c.IntN(len(from))] }
