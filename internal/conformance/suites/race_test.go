//go:build race

package suites

const raceEnabled = true
