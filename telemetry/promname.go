package telemetry

import (
	"strings"

	"github.com/hanse-go/hanse/internal/otlp"
)

// The names of OpenTelemetry become those of Prometheus by OpenTelemetry's rules for that: what is neither a letter nor a digit is an
// underline, the unit is a suffix, counters end in _total.

// promUnits are the units that have another name there. Those with a prefix are written out, for they are few.
var promUnits = map[string]string{
	"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
	"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tebibytes",
	"KBy": "kilobytes", "kBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
	"m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz",
	"%": "percent", "1": "",
}

// promPer are the units of which something happens so often.
var promPer = map[string]string{"s": "second", "min": "minute", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}

// promUnit is the suffix that a unit becomes; "" is none.
func promUnit(unit string) string {
	for {
		open := strings.IndexByte(unit, '{') // annotations are no units
		if open < 0 {
			break
		}
		end := strings.IndexByte(unit[open:], '}')
		if end < 0 {
			break
		}
		unit = unit[:open] + unit[open+end+1:]
	}
	of, per, isRate := strings.Cut(unit, "/")
	of = promWord(of, promUnits)
	if per = promWord(per, promPer); !isRate || per == "" {
		return of
	}
	return strings.TrimPrefix(of+"_per_"+per, "_")
}

func promWord(unit string, known map[string]string) string {
	unit = strings.TrimSpace(unit)
	if word, ok := known[unit]; ok {
		return word
	}
	return strings.Trim(promText(unit, false), "_")
}

// promText replaces what a name may not have, and makes one underline of many.
func promText(s string, colon bool) string {
	var b strings.Builder
	for i, r := range s {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == ':' && colon || r >= '0' && r <= '9'
		if r >= '0' && r <= '9' && i == 0 {
			b.WriteByte('_')
		}
		if ok {
			b.WriteRune(r)
		} else if text := b.String(); !strings.HasSuffix(text, "_") {
			b.WriteByte('_')
		}
	}
	return b.String()
}

// The types of families of metrics.
const (
	promCounter   = "counter"
	promGauge     = "gauge"
	promHistogram = "histogram"
)

func promType(m *otlp.Metric) string {
	switch {
	case m.Kind == otlp.Histogram, m.Kind == otlp.ExponentialHistogram:
		return promHistogram
	case m.Kind == otlp.Sum && m.Monotonic:
		return promCounter
	}
	return promGauge
}

// promName is the name of the family of a metric, and its unit. That of a counter ends in _total, after the unit.
func promName(m *otlp.Metric) (name, unit string) {
	kind := promType(m)
	name, unit = promText(m.Name, true), promUnit(m.Unit)
	if kind == promCounter {
		name = strings.TrimSuffix(name, "_total")
	}
	if m.Unit == "1" && m.Kind == otlp.Gauge {
		unit = "ratio"
	}
	if unit != "" && !strings.HasSuffix(name, "_"+unit) && name != unit {
		name += "_" + unit
	}
	if kind == promCounter {
		name += "_total"
	}
	return name, unit
}

// promLabel is the name of the label that an attribute becomes.
func promLabel(key string) string {
	name := promText(key, false)
	switch {
	case key != "" && key[0] >= '0' && key[0] <= '9':
		return "key" + name
	case name == "le" || name == "quantile": // they have a meaning of their own
		return "exported_" + name
	case strings.HasPrefix(name, "_"):
		return "key" + name
	}
	return name
}
