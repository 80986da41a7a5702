package hanse

import (
	"testing"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace/noop"
)

// TestOfferTelemetry holds that OpenTelemetry's global providers are those of the program, and stay when it has set some.
func TestOfferTelemetry(t *testing.T) {
	all, err := telemetry.New(telemetry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if !isPlaceholder(otel.GetTracerProvider()) || !isPlaceholder(otel.GetMeterProvider()) || !isPlaceholder(otel.GetTextMapPropagator()) {
		t.Fatal("this release of OpenTelemetry has other placeholders, or a test before has set providers")
	}
	t.Cleanup(func() { // what was there cannot be set again
		otel.SetTracerProvider(noop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator())
	})
	mine := noop.NewTracerProvider()
	otel.SetTracerProvider(mine)
	offerTelemetry(nil)
	offerTelemetry(all.Service("cart", "", ""))
	if otel.GetTracerProvider() != mine {
		t.Error("the program's own provider was replaced")
	}
	if isPlaceholder(otel.GetMeterProvider()) || len(otel.GetTextMapPropagator().Fields()) != 3 {
		t.Error("nobody has set the others")
	}
}
