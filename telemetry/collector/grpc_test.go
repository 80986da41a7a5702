package collector_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/rpc"
	"github.com/hanse-go/hanse/telemetry/collector"
	tracev1 "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
)

// listen serves OTLP over HTTP and gRPC at one address.
func listen(t *testing.T, c *collector.Collector) (addr string) {
	t.Helper()
	server := &rpc.Server{Name: "telemetry"}
	c.Register(server)
	if err := server.Err(); err != nil {
		t.Fatal(err)
	}
	server.Start()
	port := &rpc.Port{Shared: server, HTTP: http.HandlerFunc(c.Handler().ServeHTTP)}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- port.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		_ = port.Close()
		<-done
	})
	return lis.Addr().String()
}

func TestGRPC(t *testing.T) {
	c := &collector.Collector{}
	start(t, c)
	cc, err := grpc.NewClient(listen(t, c), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip")))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	const method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	now := time.Now()
	good := &trace.Span{TraceId: id(16), SpanId: id(8), Name: "x", StartTimeUnixNano: nano(now), EndTimeUnixNano: nano(now.Add(time.Second))}
	answer := new(tracev1.ExportTraceServiceResponse)
	if err := cc.Invoke(t.Context(), method, spansOf("cart", good, &trace.Span{Name: "no IDs"}), answer); err != nil || answer.PartialSuccess.GetRejectedSpans() != 1 {
		t.Fatalf("%v, %v", answer, err)
	}
	if tr, err := c.Trace(t.Context(), hexOf(good.TraceId)); err != nil || len(tr.Spans) != 1 || tr.Spans[0].Service != "cart" {
		t.Errorf("%+v, %v", tr, err)
	}
}

// The exporters of another language, as they are, find their way. They come by npm, into a folder of the test.
func TestNode(t *testing.T) {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip("needs ", name, ": ", err)
		}
	}
	if testing.Short() {
		t.Skip("it installs packages of npm")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "node"))); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	c := &collector.Collector{}
	start(t, c)
	addr := listen(t, c)
	for _, protocol := range []string{"grpc", "http/protobuf", "http/json"} {
		run("node", "send.js", protocol, addr)
		page, err := c.Traces(t.Context(), collector.TraceQuery{Service: "node-" + protocol, Filter: "status:error user=alice"})
		if err != nil || len(page.Traces) != 1 || page.Traces[0].Spans != 2 {
			t.Fatalf("%s: %+v, %v", protocol, page, err)
		}
		tr, err := c.Trace(t.Context(), page.Traces[0].TraceID)
		if err != nil || len(tr.Spans) != 2 || tr.Gaps != 0 || tr.Spans[1].Name != "charge" || tr.Spans[1].Message != "declined" || tr.Spans[1].Parent != 0 {
			t.Errorf("%s: %+v, %v", protocol, tr, err)
		}
		lines, err := c.Logs(t.Context(), collector.LogQuery{Services: []string{"node-" + protocol}, TraceID: page.Traces[0].TraceID})
		if err != nil || len(lines.Logs) != 1 || lines.Logs[0].Message != "no money" || lines.Logs[0].Level != "WARN" {
			t.Errorf("%s: %+v, %v", protocol, lines, err)
		}
		series, err := c.Series(t.Context(), collector.SeriesQuery{Metric: "orders", Stat: "sum", Where: []collector.Match{{Key: "service.name", Value: "node-" + protocol}}})
		if err != nil || len(series.Series) != 1 || total(series.Series[0].Values) < 2.9 {
			t.Errorf("%s: %+v, %v", protocol, series, err)
		}
	}
	list, err := c.Services(t.Context(), collector.Window{})
	if err != nil || len(list) != 3 || list[0].Language != "nodejs" {
		t.Errorf("%+v, %v", list, err)
	}
}
