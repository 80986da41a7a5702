package hansetest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// port asks the pilot, and tells of each ship.
type port struct {
	testpb.UnimplementedTestServiceServer
	svc   *hanse.Service
	pilot testpb.TestServiceClient
}

func (p *port) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	out, err := p.pilot.UnaryCall(ctx, in)
	if err != nil {
		return nil, err
	}
	return out, sighted.Publish(ctx, p.svc, wrapperspb.String("Adler"))
}

func (p *port) EmptyCall(ctx context.Context, in *testpb.Empty) (*testpb.Empty, error) {
	return p.pilot.EmptyCall(ctx, in)
}

func (p *port) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, s testpb.TestService_StreamingOutputCallServer) error {
	for range 2 {
		if err := s.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
	return nil
}

type pilot struct {
	testpb.UnimplementedTestServiceServer
}

func (pilot) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, nil
}

func (pilot) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return nil, status.Error(codes.DataLoss, "the chart is wet")
}

// harbour is three services: the port calls the pilot and publishes, and the watch hears of that and calls the pilot.
func harbour() []*hanse.Service {
	return []*hanse.Service{
		{Name: "port", Setup: func(_ context.Context, s *hanse.Service) error {
			sighted.Declare(s)
			testpb.RegisterTestServiceServer(s, &port{svc: s, pilot: testpb.NewTestServiceClient(s.Conn("pilot"))})
			return nil
		}},
		{Name: "pilot", Setup: func(_ context.Context, s *hanse.Service) error {
			testpb.RegisterTestServiceServer(s, pilot{})
			return nil
		}},
		{Name: "watch", Setup: func(_ context.Context, s *hanse.Service) error {
			pilot := testpb.NewTestServiceClient(s.Conn("pilot"))
			sighted.Subscribe(s, "watch", func(ctx context.Context, _ *events.Event[*wrapperspb.StringValue]) error {
				_, err := pilot.UnaryCall(ctx, &testpb.SimpleRequest{})
				return err
			})
			return nil
		}},
	}
}

// told is what is told of what is done in TestSpansOnEachPath, whichever way calls go.
const told = `
test client EmptyCall error: the chart is wet error.type=DATA_LOSS hanse.instance=ID hanse.path=PATH rpc.method=EmptyCall rpc.response.status_code=DATA_LOSS rpc.system.name=grpc server.address=port
	port server EmptyCall error: the chart is wet error.type=DATA_LOSS hanse.path=PATH rpc.method=EmptyCall rpc.response.status_code=DATA_LOSS rpc.system.name=grpc
		port client EmptyCall error: the chart is wet error.type=DATA_LOSS hanse.instance=ID hanse.path=PATH rpc.method=EmptyCall rpc.response.status_code=DATA_LOSS rpc.system.name=grpc server.address=pilot
			pilot server EmptyCall error: the chart is wet error.type=DATA_LOSS hanse.path=PATH rpc.method=EmptyCall rpc.response.status_code=DATA_LOSS rpc.system.name=grpc
test client StreamingOutputCall hanse.instance=ID hanse.path=PATH hanse.rpc.stream=true rpc.method=StreamingOutputCall rpc.response.status_code=OK rpc.system.name=grpc server.address=port
	port server StreamingOutputCall hanse.path=PATH hanse.rpc.stream=true rpc.method=StreamingOutputCall rpc.response.status_code=OK rpc.system.name=grpc
test client UnaryCall hanse.instance=ID hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc server.address=port
	port server UnaryCall hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc
		port client UnaryCall hanse.instance=ID hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc server.address=pilot
			pilot server UnaryCall hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc
		port producer send ships.sighted cloudevents.event_type=google.protobuf.StringValue messaging.destination.name=ships.sighted messaging.message.id=ID messaging.operation.name=send messaging.operation.type=send messaging.system=memory
			watch consumer process ships.sighted links=1 cloudevents.event_source=hanse:///port cloudevents.event_type=google.protobuf.StringValue hanse.event.attempt=1 messaging.consumer.group.name=watch messaging.destination.name=ships.sighted messaging.message.id=ID messaging.operation.name=process messaging.operation.type=process messaging.system=memory
				watch client UnaryCall hanse.instance=ID hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc server.address=pilot
					pilot server UnaryCall hanse.path=PATH rpc.method=UnaryCall rpc.response.status_code=OK rpc.system.name=grpc
`

// TestSpansOnEachPath holds that the same work is told by the same spans on every path.
func TestSpansOnEachPath(t *testing.T) {
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		received := otlptest.New(t)
		on.App = func(a *hanse.App) {
			a.Telemetry = telemetry.Config{
				Traces: telemetry.Export{URL: received.URL}, Sampler: telemetry.AlwaysOn, Batch: telemetry.Batch{Delay: time.Millisecond},
			}
		}
		sys := on.Run(t, harbour()...)
		client := testpb.NewTestServiceClient(sys.Conn("port"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := client.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.EmptyCall(ctx, &testpb.Empty{}); status.Code(err) != codes.DataLoss {
			t.Fatal(err)
		}
		stream, err := client.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		spans := received.Wait(t, strings.Count(told, "\n")-1)
		if got := forest(t, spans, on.Path); got != told {
			t.Errorf("told:\n%s\nwant:\n%s", got, told)
		}
	})
}

// forest is the spans by their parents, each with all that is said of it but IDs, times, and how it went there.
func forest(t *testing.T, spans []otlptest.Span, path rpc.Path) string {
	below := make(map[string][]otlptest.Span)
	for _, s := range spans {
		below[s.Parent] = append(below[s.Parent], s)
	}
	var grow func(parent, indent, trace string) []string
	grow = func(parent, indent, trace string) (trees []string) {
		for _, s := range below[parent] {
			if trace != "" && s.Trace != trace {
				t.Errorf("%s %s belongs to another trace than its parent", s.Kind, s.Name)
			}
			trees = append(trees, indent+text(t, &s, path)+"\n"+strings.Join(grow(s.ID, indent+"\t", s.Trace), ""))
		}
		slices.Sort(trees)
		return trees
	}
	return "\n" + strings.Join(grow("", "", ""), "")
}

func text(t *testing.T, s *otlptest.Span, path rpc.Path) string {
	who := s.Service
	if s.Parent == "" {
		who = "test"
	}
	text := fmt.Sprintf("%s %s %s", who, s.Kind, s.Name)
	if s.Status != "" {
		text += fmt.Sprintf(" %s: %s", s.Status, s.Message)
	}
	if s.Links > 0 {
		text += fmt.Sprintf(" links=%d", s.Links)
	}
	switch {
	case path == hansetest.Memory && s.Kind == "client":
		path = rpc.TCP // it stands for that
	case path == hansetest.Memory:
		path = "mem"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
		value := s.Attributes[key]
		switch key {
		case "hanse.path":
			if value != string(path) {
				t.Errorf("%s went by %s", text, value)
			}
			value = "PATH"
		case "hanse.endpoint": // there is none in process
			if !strings.HasPrefix(value, string(path)+"://") {
				t.Errorf("%s went to %s", text, value)
			}
			continue
		case "hanse.instance", "messaging.message.id":
			value = "ID"
		}
		text += fmt.Sprintf(" %s=%s", key, value)
	}
	return strings.ReplaceAll(text, "grpc.testing.TestService/", "")
}
