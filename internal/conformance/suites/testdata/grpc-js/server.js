// Serves grpc.testing.TestService with grpc-js on a free port, and prints it:
//
//   node server.js DESCRIPTORS [CERT.pem KEY.pem]
'use strict';
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const { load, payload, unlimited } = require('./contract');

const [descriptors, cert, key] = process.argv.slice(2);
const credentials = cert
  ? grpc.ServerCredentials.createSsl(null, [{ cert_chain: fs.readFileSync(cert), private_key: fs.readFileSync(key) }])
  : grpc.ServerCredentials.createInsecure();

// echo sends the header that the caller wants back, and returns the trailer that it wants back.
function echo(call) {
  const header = new grpc.Metadata(), trailer = new grpc.Metadata();
  const initial = call.metadata.get('x-grpc-test-echo-initial');
  if (initial.length) header.set('x-grpc-test-echo-initial', initial[0]);
  const trailing = call.metadata.get('x-grpc-test-echo-trailing-bin');
  if (trailing.length) trailer.set('x-grpc-test-echo-trailing-bin', trailing[0]);
  if (initial.length) call.sendMetadata(header);
  return trailer;
}

const wanted = (status, metadata) => status && status.code && { code: status.code, details: status.message, metadata };

// respond sends the responses that a request asks for, one after the other.
async function respond(call, request) {
  for (const { size, interval_us } of request.response_parameters || []) {
    if (interval_us) await new Promise((resolve) => setTimeout(resolve, interval_us / 1000));
    if (call.cancelled) return;
    if (!call.write({ payload: payload(size) })) await new Promise((resolve) => call.once('drain', resolve));
  }
}

const service = {
  EmptyCall: (call, done) => done(null, {}),

  UnaryCall(call, done) {
    const trailer = echo(call);
    const { response_status, response_size, fill_server_id } = call.request;
    const err = wanted(response_status, trailer);
    if (err) return done(err);
    done(null, { payload: payload(response_size || 0), ...(fill_server_id && { server_id: `js-${process.pid}` }) }, trailer);
  },

  StreamingOutputCall: (call) => respond(call, call.request).then(() => call.end()),

  StreamingInputCall(call, done) {
    let aggregated_payload_size = 0;
    call.on('data', (r) => { aggregated_payload_size += r.payload ? r.payload.body.length : 0; });
    call.on('end', () => done(null, { aggregated_payload_size }));
    call.on('error', () => {});
  },

  FullDuplexCall(call) {
    const trailer = echo(call);
    let turn = Promise.resolve();
    call.on('data', (request) => {
      turn = turn.then(() => {
        const err = wanted(request.response_status, trailer);
        return err ? call.emit('error', err) : respond(call, request);
      });
    });
    call.on('end', () => turn.then(() => call.end(trailer)));
    call.on('error', () => {});
  },
};

const server = new grpc.Server(unlimited);
server.addService(load(descriptors).TestService.service, service);
server.bindAsync('127.0.0.1:0', credentials, (err, port) => {
  if (err) throw err;
  console.log(`listening on 127.0.0.1:${port}`);
});
process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
