package telemetry

import (
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// usage is what the operating system says about the process. What it does not say is -1.
type usage struct {
	user, system    time.Duration // processor time
	memory, virtual int64         // bytes
	threads         int64
	files           int64 // open file descriptors, or handles
}

// processStarted is when the process began, as far as this package knows.
var processStarted = time.Now()

// processMetrics are the numbers of the process by the conventions for process.*: what a machine gives it.
func processMetrics(r *reading) []otlp.Metric {
	u := readUsage()
	w := writer{r: r}
	w.counter("process.cpu.time", "Total CPU seconds broken down by different CPU modes.", "s",
		of(u.user >= 0, u.user.Seconds(), attribute.String("cpu.mode", "user")),
		of(u.system >= 0, u.system.Seconds(), attribute.String("cpu.mode", "system")))
	w.current("process.memory.usage", "The amount of physical memory in use.", "By", of(u.memory >= 0, float64(u.memory)))
	w.current("process.memory.virtual", "The amount of committed virtual memory.", "By", of(u.virtual >= 0, float64(u.virtual)))
	w.current("process.thread.count", "Process threads count.", "{thread}", of(u.threads >= 0, float64(u.threads)))
	w.current(filesMetric, filesDescription, filesUnit, of(u.files >= 0, float64(u.files)))
	w.gauge("process.uptime", "The time the process has been running.", "s", of(true, r.at.Sub(processStarted).Seconds()))
	return w.metrics
}

// observation is one number with its attributes.
type observation struct {
	known      bool
	value      float64
	attributes []attribute.KeyValue
	exemplars  []otlp.Exemplar
}

func of(known bool, value float64, attrs ...attribute.KeyValue) observation {
	return observation{known: known, value: value, attributes: attrs}
}

// writer makes metrics of observations. Their numbers are whole where the unit is not seconds.
type writer struct {
	r       *reading
	metrics []otlp.Metric
}

// counter adds a number that only grows.
func (w *writer) counter(name, description, unit string, all ...observation) {
	m := otlp.Metric{Name: name, Description: description, Unit: unit, Kind: otlp.Sum, Monotonic: true, Temporality: otlp.Cumulative}
	if w.r.delta == Delta { // LowMemory is cumulative for what is observed
		m.Temporality = otlp.Delta
	}
	w.add(m, processStarted.UnixNano(), all)
}

// current adds a number that grows and falls, and whose sum over processes has a meaning.
func (w *writer) current(name, description, unit string, all ...observation) {
	w.add(otlp.Metric{Name: name, Description: description, Unit: unit, Kind: otlp.Sum, Temporality: otlp.Cumulative}, processStarted.UnixNano(), all)
}

// gauge adds a number whose sum over processes has none.
func (w *writer) gauge(name, description, unit string, all ...observation) {
	w.add(otlp.Metric{Name: name, Description: description, Unit: unit, Kind: otlp.Gauge}, 0, all)
}

func (w *writer) add(m otlp.Metric, start int64, all []observation) {
	for _, o := range all {
		if !o.known {
			continue
		}
		n := otlp.Number{Attributes: o.attributes, Start: start, Time: w.r.at.UnixNano(), Float: o.value, Exemplars: o.exemplars}
		if m.Temporality == otlp.Delta {
			key := m.Name
			for _, a := range o.attributes {
				key += "\x00" + a.Value.AsString()
			}
			if before, ok := w.r.numbers[key]; ok {
				n.Start, n.Float = w.r.last.UnixNano(), o.value-before
			}
			w.r.numbers[key] = o.value
		}
		if m.Unit != "s" {
			n.IsInt, n.Int, n.Float = true, int64(n.Float), 0
		}
		m.Numbers = append(m.Numbers, n)
	}
	if len(m.Numbers) > 0 {
		w.metrics = append(w.metrics, m)
	}
}
