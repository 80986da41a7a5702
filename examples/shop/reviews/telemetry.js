// Tells of calls by OpenTelemetry, with its stock packages and no settings: `hanse dev` sets the variables that say where all of it goes.
// Started without them, the service tells nobody. It comes before all that it is to see.
'use strict';

let sdk;
if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) {
  const { NodeSDK } = require('@opentelemetry/sdk-node');
  const { GrpcInstrumentation } = require('@opentelemetry/instrumentation-grpc');
  sdk = new NodeSDK({ instrumentations: [new GrpcInstrumentation()] });
  sdk.start();
}

// end sends what was not sent yet. Nobody waits long for one that does not take it.
exports.end = () => sdk && Promise.race([sdk.shutdown().catch(() => {}), new Promise((done) => setTimeout(done, 2000).unref())]);
