package telemetry

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/goconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/processconv"
	"go.opentelemetry.io/otel/semconv/v1.43.0/rpcconv"
	"google.golang.org/grpc/codes"
)

// convention is what the semantic conventions say about a metric.
type convention interface {
	Name() string
	Unit() string
	Description() string
}

// TestConventions holds names, units, descriptions and attributes against OpenTelemetry's own.
func TestConventions(t *testing.T) {
	if schemaURL != semconv.SchemaURL {
		t.Errorf("the schema is %s, and theirs %s", schemaURL, semconv.SchemaURL)
	}
	s := service(t, Config{})
	s.Serves("/p.S/M").count(1, codes.Internal)
	s.Calls("/p.S/M", "catalog").count(1, codes.Internal)
	r := shown()
	all := slices.Concat(s.callMetrics(r), processMetrics(r), runtimeMetrics(r))

	call := []attribute.Key{semconv.RPCSystemNameKey, semconv.RPCMethodKey, semconv.RPCResponseStatusCodeKey, semconv.ErrorTypeKey}
	want := map[string]struct {
		convention
		attributes []attribute.Key
	}{}
	for _, c := range []struct {
		convention
		attributes []attribute.Key
	}{
		{rpcconv.ServerCallDuration{}, call},
		{rpcconv.ClientCallDuration{}, append(slices.Clone(call), semconv.ServerAddressKey)},
		{processconv.CPUTime{}, []attribute.Key{semconv.CPUModeKey}},
		{processconv.MemoryUsage{}, nil},
		{processconv.MemoryVirtual{}, nil},
		{processconv.ThreadCount{}, nil},
		{processconv.UnixFileDescriptorCount{}, nil},
		{processconv.WindowsHandleCount{}, nil},
		{processconv.Uptime{}, nil},
		{goconv.MemoryUsed{}, []attribute.Key{semconv.GoMemoryTypeKey}},
		{goconv.MemoryLimit{}, nil},
		{goconv.MemoryAllocated{}, nil},
		{goconv.MemoryAllocations{}, nil},
		{goconv.MemoryGCGoal{}, nil},
		{goconv.MemoryGCCycles{}, nil},
		{goconv.MemoryGCPauseDuration{}, nil},
		{goconv.GoroutineCount{}, nil},
		{goconv.ProcessorLimit{}, nil},
		{goconv.ConfigGogc{}, nil},
		{goconv.ScheduleDuration{}, nil},
	} {
		want[c.Name()] = c
	}
	for _, m := range all {
		c, ok := want[m.Name]
		if !ok {
			t.Errorf("%s is not one of the names there are", m.Name)
			continue
		}
		if m.Unit != c.Unit() || m.Description != c.Description() {
			t.Errorf("%s: %q in %q; theirs is %q in %q", m.Name, m.Description, m.Unit, c.Description(), c.Unit())
		}
		check := func(attrs []attribute.KeyValue) {
			var keys []attribute.Key
			for _, a := range attrs {
				keys = append(keys, a.Key)
			}
			if !slices.Equal(keys, c.attributes) {
				t.Errorf("%s has %v and not %v", m.Name, keys, c.attributes)
			}
		}
		for _, p := range m.Numbers {
			check(p.Attributes)
		}
		for _, p := range m.Histograms {
			check(p.Attributes)
		}
	}
	for _, name := range []string{"rpc.server.call.duration", "rpc.client.call.duration", "process.cpu.time", "process.uptime", "go.memory.used", "go.goroutine.count", "go.schedule.duration"} {
		find(t, all, name)
	}
}
