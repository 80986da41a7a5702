package hansetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// leakPatience is how long goroutines may take to end after the system has.
const leakPatience = 2 * time.Second

// leaks finds the goroutines that a test started after it began, and nobody else's: they inherit a label of the profiler. So tests may run
// in parallel.
type leaks struct {
	label   string
	systems int // that run; guarded by watched.mu
}

const leakLabel = "hansetest"

// watched has the tests with a running system. The systems of one test share a label, and one check when the last has ended: a call
// starts goroutines in each system that it reaches.
var watched struct {
	mu    sync.Mutex
	count int
	tests map[testing.TB]*leaks
}

// watchLeaks labels the calling goroutine, and so all that it starts.
func watchLeaks(t testing.TB) *leaks {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	l := watched.tests[t]
	if l == nil {
		watched.count++
		l = &leaks{label: fmt.Sprint(watched.count)}
		if watched.tests == nil {
			watched.tests = make(map[testing.TB]*leaks)
		}
		watched.tests[t] = l
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(leakLabel, l.label)))
	}
	l.systems++
	return l
}

// check fails the test when a labelled goroutine is left after its last system. It is called on the goroutine that called watchLeaks, or
// after that has ended.
func (l *leaks) check(t testing.TB) {
	t.Helper()
	watched.mu.Lock()
	l.systems--
	last := l.systems == 0
	if last {
		delete(watched.tests, t)
	}
	watched.mu.Unlock()
	if !last {
		return
	}
	pprof.SetGoroutineLabels(context.Background())
	var left []string
	for pause := time.Millisecond; ; pause *= 2 {
		if left = l.left(); len(left) == 0 {
			return
		}
		if pause > leakPatience/2 {
			break
		}
		time.Sleep(pause)
	}
	t.Errorf("%d kinds of goroutines are left after the test:\n%s", len(left), strings.Join(left, "\n\n"))
}

// left lists the stacks of the goroutines that have the label.
func (l *leaks) left() (stacks []string) {
	var b bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	mark := fmt.Sprintf("%q:%q", leakLabel, l.label)
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		for line := range strings.Lines(stack) {
			if strings.HasPrefix(line, "# labels: ") && strings.Contains(line, mark) {
				stacks = append(stacks, strings.TrimSpace(stack))
			}
		}
	}
	return stacks
}
