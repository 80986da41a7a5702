package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Config says what a process tells, and whom. The zero value counts calls and gives them IDs that travel with them, and sends nothing
// anywhere. [FromEnv] makes one of the standard's variables.
type Config struct {
	// Traces, Metrics and Logs say where each goes. Default: nowhere.
	Traces, Metrics, Logs Export

	// Sampler says which traces are recorded. Default: as the caller did, and of those that begin here the Ratio.
	Sampler Sampler
	// Ratio is the share of traces that Sampler takes where it goes by a ratio, 0 to 1. Default: 0.05; -1: none.
	Ratio float64

	// Slow is how long a call takes at least to be kept even when its trace is not recorded, as calls that failed are. Streams take as long
	// as they like. Default: 1 s; -1: they are not kept.
	Slow time.Duration
	// NoKeep keeps neither calls that failed nor slow ones unless their trace is recorded.
	NoKeep bool

	// Batch says how spans are collected before they are sent. LogBatch is the same for lines of logs.
	Batch, LogBatch Batch
	// Limits bounds what one span may hold.
	Limits Limits

	// Messages is how many bytes of each message the spans of calls keep at the side that is called, as JSON and without fields that are
	// marked debug_redact. It is for development: hanse dev sets 16384. Default: 0, none.
	Messages int

	// MetricInterval is how often numbers are sent, and MetricTimeout how long that may take. Default: 60 s and 30 s.
	MetricInterval, MetricTimeout time.Duration
	// MetricTemporality says since when what is sent counts. Default: since the start.
	MetricTemporality Temporality
	// Histograms says which buckets histograms that are sent have. Default: exponential ones those of calls, the program's own those that
	// it asked for.
	Histograms Histograms

	// ServiceName is what a process is called that has no service of its own, one that only calls. Default: "unknown_service" and the name
	// of the program.
	ServiceName string
	// Resource describes the process, in all that it sends. Default: nothing.
	Resource []attribute.KeyValue

	// NoTraceContext neither sends nor heeds traceparent and tracestate, NoBaggage the baggage.
	NoTraceContext, NoBaggage bool

	// Off tells nothing at all, and takes no numbers: [New] returns nil.
	Off bool

	// Logger is told what could not be sent. Default: [slog.Default]. Lines about it are not sent themselves.
	Logger *slog.Logger
}

// Export is one place that OTLP is sent to, over HTTP in protobuf. The zero value is none.
type Export struct {
	// URL is the whole address, such as http://localhost:4318/v1/traces. "": nothing is sent.
	URL string
	// Headers go with each request.
	Headers map[string]string
	// Timeout is how long one request may take. Default: 10 s.
	Timeout time.Duration
	// Gzip compresses what is sent, which takes more time than all the rest of a span. Default: no; from the environment, yes unless it
	// goes to this machine.
	Gzip bool
	// CAFile has the certificates that the place's must come from, CertFile and KeyFile are what is shown to it. They are in PEM.
	// Default: the system's, and none.
	CAFile, CertFile, KeyFile string

	none bool // asked for by name
}

// On reports whether anything is sent.
func (e Export) On() bool { return e.URL != "" }

func (e Export) check(name string) error {
	if !e.On() {
		return nil
	}
	u, err := url.Parse(e.URL)
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		err = errors.New("it must be like http://HOST:4318/v1/traces")
	}
	if err == nil && (e.CertFile == "") != (e.KeyFile == "") {
		err = errors.New("a certificate to show needs a key, and a key its certificate")
	}
	if err != nil {
		return fmt.Errorf("telemetry: Config.%s: %q: %w", name, e.URL, err)
	}
	return nil
}

// Batch says how what is to be sent is collected.
type Batch struct {
	// Queue is how many wait at most; more are dropped, and counted. Default: 16384.
	Queue int
	// Size is how many are sent in one request. Default: 512.
	Size int
	// Delay is how long one waits for others. Default: 1 s.
	Delay time.Duration
	// Timeout is how long it may take to send a batch, all attempts together. Default: 30 s.
	Timeout time.Duration
}

func (b Batch) withDefaults() Batch {
	b.Queue, b.Size = cmp.Or(b.Queue, 16384), cmp.Or(b.Size, 512)
	b.Delay, b.Timeout = cmp.Or(b.Delay, time.Second), cmp.Or(b.Timeout, 30*time.Second)
	b.Size = min(b.Size, b.Queue)
	return b
}

func (b Batch) check(name string) error {
	if b.Queue < 0 || b.Size < 0 || b.Delay < 0 || b.Timeout < 0 {
		return fmt.Errorf("telemetry: Config.%s: %+v: nothing in it can be less than zero", name, b)
	}
	return nil
}

// Limits bounds spans. Of what is more it is only told how much it was.
type Limits struct {
	Attributes         int // of a span; default 128, -1: no limit
	AttributeLength    int // characters of a text; default and -1: no limit
	Events             int // of a span; default 128, -1: no limit
	Links              int // of a span; default 128, -1: no limit
	AttributesPerEvent int // default 128, -1: no limit
	AttributesPerLink  int // default 128, -1: no limit
}

const noLimit = int(^uint(0) >> 1)

func (l Limits) withDefaults() Limits {
	of := func(n, byDefault int) int {
		if n = cmp.Or(n, byDefault); n < 0 {
			return noLimit
		}
		return n
	}
	l.Attributes, l.AttributeLength = of(l.Attributes, 128), of(l.AttributeLength, -1)
	l.Events, l.Links = of(l.Events, 128), of(l.Links, 128)
	l.AttributesPerEvent, l.AttributesPerLink = of(l.AttributesPerEvent, 128), of(l.AttributesPerLink, 128)
	return l
}

// Sampler is a way to say which traces are recorded, by the names that OTEL_TRACES_SAMPLER has for them.
type Sampler string

// The ways there are. ParentBased ones do as the caller did, and decide about traces that begin here.
const (
	ParentBasedRatio Sampler = "" // the default
	ParentBasedOn    Sampler = "parentbased_always_on"
	ParentBasedOff   Sampler = "parentbased_always_off"
	AlwaysOn         Sampler = "always_on"
	AlwaysOff        Sampler = "always_off"
	Ratio            Sampler = "traceidratio"
)

const parentBasedRatioName = "parentbased_traceidratio"

func (s Sampler) check() error {
	switch s {
	case ParentBasedRatio, ParentBasedOn, ParentBasedOff, AlwaysOn, AlwaysOff, Ratio:
		return nil
	}
	return fmt.Errorf("telemetry: Config.Sampler: %q is none of %q, %q, %q, %q, %q, and the default", s, AlwaysOn, AlwaysOff, Ratio, ParentBasedOn, ParentBasedOff)
}

// Over returns c, with what it leaves at its defaults taken from below.
func (c Config) Over(below Config) Config {
	export := func(e *Export, below Export) {
		if !e.On() && !e.none {
			*e = below
		}
	}
	export(&c.Traces, below.Traces)
	export(&c.Metrics, below.Metrics)
	export(&c.Logs, below.Logs)
	c.Sampler, c.Ratio, c.Slow = cmp.Or(c.Sampler, below.Sampler), cmp.Or(c.Ratio, below.Ratio), cmp.Or(c.Slow, below.Slow)
	c.Batch, c.LogBatch, c.Limits = c.Batch.over(below.Batch), c.LogBatch.over(below.LogBatch), c.Limits.over(below.Limits)
	c.MetricInterval, c.MetricTimeout = cmp.Or(c.MetricInterval, below.MetricInterval), cmp.Or(c.MetricTimeout, below.MetricTimeout)
	c.MetricTemporality, c.Histograms = cmp.Or(c.MetricTemporality, below.MetricTemporality), cmp.Or(c.Histograms, below.Histograms)
	c.ServiceName, c.Messages = cmp.Or(c.ServiceName, below.ServiceName), cmp.Or(c.Messages, below.Messages)
	for _, a := range below.Resource {
		if !slices.ContainsFunc(c.Resource, func(own attribute.KeyValue) bool { return own.Key == a.Key }) {
			c.Resource = append(c.Resource[:len(c.Resource):len(c.Resource)], a)
		}
	}
	c.NoKeep, c.Off = c.NoKeep || below.NoKeep, c.Off || below.Off
	c.NoTraceContext, c.NoBaggage = c.NoTraceContext || below.NoTraceContext, c.NoBaggage || below.NoBaggage
	c.Logger = cmp.Or(c.Logger, below.Logger)
	return c
}

func (b Batch) over(below Batch) Batch {
	return Batch{cmp.Or(b.Queue, below.Queue), cmp.Or(b.Size, below.Size), cmp.Or(b.Delay, below.Delay), cmp.Or(b.Timeout, below.Timeout)}
}

func (l Limits) over(below Limits) Limits {
	return Limits{
		Attributes: cmp.Or(l.Attributes, below.Attributes), AttributeLength: cmp.Or(l.AttributeLength, below.AttributeLength),
		Events: cmp.Or(l.Events, below.Events), Links: cmp.Or(l.Links, below.Links),
		AttributesPerEvent: cmp.Or(l.AttributesPerEvent, below.AttributesPerEvent), AttributesPerLink: cmp.Or(l.AttributesPerLink, below.AttributesPerLink),
	}
}

// Check returns what is wrong with the config, all of it, or nil.
func (c Config) Check() error {
	err := errors.Join(c.Traces.check("Traces"), c.Metrics.check("Metrics"), c.Logs.check("Logs"), c.Sampler.check(), c.Batch.check("Batch"), c.LogBatch.check("LogBatch"), c.MetricTemporality.check(), c.Histograms.check())
	if c.Ratio > 1 || c.Ratio != c.Ratio {
		err = errors.Join(err, fmt.Errorf("telemetry: Config.Ratio: %v is not between 0 and 1", c.Ratio))
	}
	if c.Messages < 0 {
		err = errors.Join(err, fmt.Errorf("telemetry: Config.Messages: %d is no number of bytes", c.Messages))
	}
	if c.MetricInterval < 0 || c.MetricTimeout < 0 {
		err = errors.Join(err, errors.New("telemetry: Config.MetricInterval and MetricTimeout cannot be less than zero"))
	}
	return err
}
