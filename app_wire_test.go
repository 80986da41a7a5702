package hanse_test

import (
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/rpc/grpcwire"
)

// otherWire is grpc-go's by another name.
type otherWire struct{ rpc.Wire }

func (otherWire) Name() string { return "other" }

// TestWireIsTold holds that an app says what it speaks by when that is not the default.
func TestWireIsTold(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire rpc.Wire
		told string
	}{
		{"default", nil, ""},
		{"in reserve", grpcwire.Wire{Standby: true}, ""},
		{"grpc-go", grpcwire.Wire{}, "grpc-go"},
		{"other", otherWire{grpcwire.Wire{}}, "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := run(t, &hanse.App{Wire: tt.wire, Path: "tcp"}, greeter())
			if got := hello(r.Conn("greeter"), "app") + hello(r.stock("greeter"), "stock"); got != "Hello, app!Hello, stock!" {
				t.Errorf("got %q", got)
			}
			if got := r.instances["greeter"].Metadata["wire"]; got != tt.told {
				t.Errorf("announced with %q", got)
			}
			r.stop()
			<-r.done // by then it has said that it was ready
			if told := strings.Contains(r.log.String(), " wire="+tt.told); told != (tt.told != "") {
				t.Errorf("log:\n%s", r.log)
			}
		})
	}
}

func TestMistakenLimits(t *testing.T) {
	err := (&hanse.App{Limits: rpc.Limits{MaxStreams: -3}}).Run(t.Context(), greeter())
	wantError(t, err, "App.Limits.MaxStreams is -3", "-1 for no limit")
}
