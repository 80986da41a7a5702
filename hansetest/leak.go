package hansetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// leakPatience is how long goroutines may take to end after the system has.
const leakPatience = 2 * time.Second

// leaks finds the goroutines that a test started after it began, and nobody else's: they inherit a label of the profiler. So tests may run
// in parallel.
type leaks struct{ label string }

const leakLabel = "hansetest"

var leakCount atomic.Int64

// watchLeaks labels the calling goroutine, and so all that it starts.
func watchLeaks() leaks {
	l := leaks{fmt.Sprint(leakCount.Add(1))}
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(leakLabel, l.label)))
	return l
}

// check fails the test when a labelled goroutine is left. It is called on the goroutine that called watchLeaks, or after that has ended.
func (l leaks) check(t testing.TB) {
	t.Helper()
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
func (l leaks) left() (stacks []string) {
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
