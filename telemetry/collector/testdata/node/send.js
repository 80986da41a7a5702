// Sends a trace, a log line and a metric by the exporters of OpenTelemetry: node send.js PROTOCOL HOST:PORT
'use strict';
const [protocol, addr] = process.argv.slice(2);
const { trace, context, SpanStatusCode } = require('@opentelemetry/api');
const { resourceFromAttributes, defaultResource } = require('@opentelemetry/resources');
const { BasicTracerProvider, BatchSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = require('@opentelemetry/sdk-metrics');
const kind = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[protocol];
const exporter = (signal, name) => {
  const Exporter = require(`@opentelemetry/exporter-${signal}-otlp-${kind}`)[name];
  const path = { trace: 'traces', logs: 'logs', metrics: 'metrics' }[signal];
  return new Exporter({ url: kind === 'grpc' ? `http://${addr}` : `http://${addr}/v1/${path}`, compression: kind === 'http' ? 'none' : 'gzip' });
};
const resource = defaultResource().merge(resourceFromAttributes({ 'service.name': `node-${protocol}` }));
const spans = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter('trace', 'OTLPTraceExporter'))] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: exporter('logs', 'OTLPLogExporter') })] });
const metrics = new MeterProvider({ resource, readers: [new PeriodicExportingMetricReader({ exporter: exporter('metrics', 'OTLPMetricExporter'), exportIntervalMillis: 60000 })] });

(async () => {
  const tracer = spans.getTracer('shop');
  const root = tracer.startSpan('order');
  const inside = trace.setSpan(context.active(), root);
  const child = tracer.startSpan('charge', { attributes: { user: 'alice', amount: 12.5, items: 3 } }, inside);
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'declined' });
  logs.getLogger('shop').emit({ severityNumber: 13, severityText: 'WARN', body: 'no money', attributes: { user: 'alice' }, context: trace.setSpan(inside, child) });
  metrics.getMeter('shop').createCounter('orders').add(3, { user: 'alice' });
  child.end();
  root.end();
  for (const provider of [spans, logs, metrics]) {
    await provider.forceFlush();
    await provider.shutdown();
  }
})().catch((err) => { console.error(err); process.exit(1); });
process.on('unhandledRejection', (err) => { console.error(err); process.exit(1); });
