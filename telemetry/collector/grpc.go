package collector

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// exporter is what the descriptors below are registered with.
type exporter struct{ p *parts }

// exports is the interface of an exporter, for the registrar's check.
type exports interface{ take() *parts }

func (e exporter) take() *parts { return e.p }

// Register serves OTLP over gRPC. The methods are those of TraceService, LogsService and MetricsService of
// opentelemetry.proto.collector.
func (c *Collector) Register(r grpc.ServiceRegistrar) {
	e := exporter{c.of()}
	r.RegisterService(service("trace.v1.TraceService", "trace/v1/trace_service.proto", (*parts).addSpans), e)
	r.RegisterService(service("logs.v1.LogsService", "logs/v1/logs_service.proto", (*parts).addLogs), e)
	r.RegisterService(service("metrics.v1.MetricsService", "metrics/v1/metrics_service.proto", (*parts).addPoints), e)
}

// service describes a service with the one method Export. Its messages are empty ones, all of whose fields are unknown and kept as they
// came: what they are is read by who knows what to look for, and no generated code is linked.
func service(name, file string, add take) *grpc.ServiceDesc {
	full := "opentelemetry.proto.collector." + name
	export := func(srv any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
		in := new(emptypb.Empty)
		if err := decode(in); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, req any) (any, error) {
			return srv.(exports).take().export(ctx, req.(*emptypb.Empty), add)
		}
		if chain == nil {
			return handle(ctx, in)
		}
		return chain(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/" + full + "/Export"}, handle)
	}
	return &grpc.ServiceDesc{
		ServiceName: full, HandlerType: (*exports)(nil), Metadata: "opentelemetry/proto/collector/" + file,
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: export}},
	}
}

func (p *parts) export(ctx context.Context, in *emptypb.Empty, add take) (*emptypb.Empty, error) {
	m := p.room(ctx)
	if m == nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	defer p.leave(m)
	not, err := p.take(m, in.ProtoReflect().GetUnknown(), add)
	switch {
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, err.Error())
	case not.later: // by the standard, exporters send again what was Unavailable
		return nil, status.Error(codes.Unavailable, not.reason)
	}
	out := new(emptypb.Empty)
	if not.count > 0 {
		out.ProtoReflect().SetUnknown(partial(not))
	}
	return out, nil
}
