// Serves StreamingOutputCall of grpc.testing.TestService on Node's http2 alone, compressing each response as its request asks, which
// neither grpc-js nor any server in Go can do. It prints its address:
//
//   node mixed.js DESCRIPTORS
'use strict';
const http2 = require('http2');
const zlib = require('zlib');
const { load, payload } = require('./contract');

const { requestDeserialize, responseSerialize } = load(process.argv[2]).TestService.service.StreamingOutputCall;

// frame puts a message into gRPC's envelope: a flag, four bytes of length, the message.
function frame(message, compressed) {
  const body = compressed ? zlib.gzipSync(message) : message;
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

const server = http2.createServer();
server.on('stream', (stream) => {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  stream.on('end', () => {
    const request = requestDeserialize(Buffer.concat(chunks).subarray(5));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-encoding': 'gzip' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    for (const { size, compressed } of request.response_parameters) {
      stream.write(frame(responseSerialize({ payload: payload(size) }), Boolean(compressed && compressed.value)));
    }
    stream.end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
