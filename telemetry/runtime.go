package telemetry

import (
	"math"
	"runtime/metrics"
	"slices"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// What is asked of Go's runtime, in the order of the samples.
const (
	rtTotal = iota
	rtReleased
	rtStacks
	rtLimit
	rtAllocated
	rtAllocations
	rtGoal
	rtCycles
	rtGoroutines
	rtProcessors
	rtGOGC
	rtLatency
	rtPauses
	rtCount
)

var runtimeNames = [rtCount]string{
	rtTotal:       "/memory/classes/total:bytes",
	rtReleased:    "/memory/classes/heap/released:bytes",
	rtStacks:      "/memory/classes/heap/stacks:bytes",
	rtLimit:       "/gc/gomemlimit:bytes",
	rtAllocated:   "/gc/heap/allocs:bytes",
	rtAllocations: "/gc/heap/allocs:objects",
	rtGoal:        "/gc/heap/goal:bytes",
	rtCycles:      "/gc/cycles/total:gc-cycles",
	rtGoroutines:  "/sched/goroutines:goroutines",
	rtProcessors:  "/sched/gomaxprocs:threads",
	rtGOGC:        "/gc/gogc:percent",
	rtLatency:     "/sched/latencies:seconds",
	rtPauses:      "/sched/pauses/total/gc:seconds",
}

// runtimeMetrics are the numbers of Go's runtime by the conventions for go.*.
func runtimeMetrics(r *reading) []otlp.Metric {
	var samples [rtCount]metrics.Sample
	for i := range samples {
		samples[i].Name = runtimeNames[i]
	}
	metrics.Read(samples[:])
	number := func(i int, attrs ...attribute.KeyValue) observation {
		v := samples[i].Value
		if v.Kind() != metrics.KindUint64 {
			return observation{}
		}
		return of(true, float64(v.Uint64()), attrs...)
	}
	w := writer{r: r}
	stacks, total, released := number(rtStacks), number(rtTotal), number(rtReleased)
	w.current("go.memory.used", "Memory used by the Go runtime.", "By",
		of(stacks.known, stacks.value, attribute.String("go.memory.type", "stack")),
		of(total.known, total.value-released.value-stacks.value, attribute.String("go.memory.type", "other")))
	limit := number(rtLimit)
	limit.known = limit.known && limit.value < math.MaxInt64 // else there is none
	w.current("go.memory.limit", "Go runtime memory limit configured by the user, if a limit exists.", "By", limit)
	w.counter("go.memory.allocated", "Memory allocated to the heap by the application.", "By", number(rtAllocated))
	w.counter("go.memory.allocations", "Count of allocations to the heap by the application.", "{allocation}", number(rtAllocations))
	w.current("go.memory.gc.goal", "Heap size target for the end of the GC cycle.", "By", number(rtGoal))
	w.counter("go.memory.gc.cycles", "Number of completed GC cycles.", "{gc_cycle}", number(rtCycles))
	w.current("go.goroutine.count", "Count of live goroutines.", "{goroutine}", number(rtGoroutines))
	w.current("go.processor.limit", "The number of OS threads that can execute user-level Go code simultaneously.", "{thread}", number(rtProcessors))
	gogc := number(rtGOGC)
	gogc.known = gogc.known && gogc.value < math.MaxInt32 // else it is off
	w.current("go.config.gogc", "Heap size target percentage configured by the user, otherwise 100.", "%", gogc)
	w.durations("go.schedule.duration", "The time goroutines have spent in the scheduler in a runnable state before actually running.", samples[rtLatency].Value)
	w.durations("go.memory.gc.pause.duration", "Distribution of individual GC-related stop-the-world pause latencies. This is the time from deciding to stop the world until the world is started again.", samples[rtPauses].Value)
	return w.metrics
}

// durations adds a histogram of the runtime's, with the bounds that calls have. The runtime does not count a sum.
func (w *writer) durations(name, description string, v metrics.Value) {
	if v.Kind() != metrics.KindFloat64Histogram {
		return
	}
	h := v.Float64Histogram()
	p := otlp.HistogramPoint{Start: processStarted.UnixNano(), Time: w.r.at.UnixNano(), Bounds: callBounds, Buckets: make([]uint64, len(callBounds)+1), NoSum: true}
	at := 0
	for i, n := range h.Counts {
		// Counted by the upper bound, which may put a part of one bucket too high.
		for at < len(callBounds) && h.Buckets[i+1] > callBounds[at] {
			at++
		}
		p.Buckets[at] += n
		p.Count += n
	}
	m := otlp.Metric{Name: name, Description: description, Unit: "s", Kind: otlp.Histogram, Temporality: otlp.Cumulative}
	if w.r.delta != Cumulative {
		m.Temporality = otlp.Delta
		now := slices.Clone(p.Buckets)
		for i, n := range w.r.buckets[name] { // none the first time
			p.Start = w.r.last.UnixNano()
			p.Buckets[i] -= n
			p.Count -= n
		}
		w.r.buckets[name] = now
	}
	m.Histograms = []otlp.HistogramPoint{p}
	w.metrics = append(w.metrics, m)
}
