package telemetry

import (
	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
)

// Reached says where calls went. It is made once for all that went there, and does not change. A nil *Reached says that a call went nowhere.
type Reached struct {
	attributes []attribute.KeyValue
	encoded    []byte // the same
}

// NewReached returns it for a path (inprocess, unix or tcp), the ID of an instance and the URL of an endpoint. What is "" is not known.
func NewReached(path, instance, endpoint string) *Reached {
	r := &Reached{}
	for _, a := range []attribute.KeyValue{
		attribute.String("hanse.path", path), attribute.String("hanse.instance", instance), attribute.String("hanse.endpoint", endpoint),
	} {
		if a.Value.AsString() != "" {
			r.attributes = append(r.attributes, a)
		}
	}
	r.encoded = otlp.AppendSpanAttributes(nil, r.attributes)
	return r
}

// Attributes are those of a span that say where its call went. They must not be changed.
func (r *Reached) Attributes() []attribute.KeyValue {
	if r == nil {
		return nil
	}
	return r.attributes
}

var byInProcess, byUnix, byTCP = NewReached("inprocess", "", ""), NewReached("unix", "", ""), NewReached("tcp", "", "")

// reachedBy says the way that a call came.
func reachedBy(path string) *Reached {
	switch path {
	case "":
		return nil
	case "inprocess":
		return byInProcess
	case "unix":
		return byUnix
	case "tcp":
		return byTCP
	}
	return NewReached(path, "", "")
}
