package suites

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// score is how a suite ended.
type score struct {
	suite                   string
	passed, skipped, failed int
	took                    time.Duration
}

var (
	scoresMu sync.Mutex
	scores   []*score
)

// newScore adds a line to the table at the end. Its time runs until the test ends.
func newScore(t *testing.T, suite string) *score {
	s := &score{suite: suite}
	begin := time.Now()
	t.Cleanup(func() {
		s.took = time.Since(begin)
		if s.passed+s.failed == 0 && !t.Skipped() {
			s.failed = 1
			t.Error("no case was run")
		}
		if t.Skipped() {
			return
		}
		scoresMu.Lock()
		defer scoresMu.Unlock()
		scores = append(scores, s)
	})
	return s
}

// run runs one case and counts it.
func (s *score) run(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	ran := false
	ok := t.Run(name, func(t *testing.T) { ran = true; f(t) })
	switch {
	case !ran: // -run or -skip leaves it out
		s.skipped++
	case ok:
		s.passed++
	default:
		s.failed++
	}
}

func printTable() {
	total := score{suite: "all"}
	fmt.Printf("\n%-44s %7s %7s %7s %8s\n", "suite", "passed", "skipped", "failed", "seconds")
	for _, s := range scores {
		s.print()
		total.passed += s.passed
		total.skipped += s.skipped
		total.failed += s.failed
		total.took += s.took
	}
	total.print()
}

func (s *score) print() {
	fmt.Printf("%-44s %7d %7d %7d %8.1f\n", s.suite, s.passed, s.skipped, s.failed, s.took.Seconds())
}
