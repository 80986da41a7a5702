// Calls a server of grpc.testing.TestService with grpc-js, and prints a line for each case:
//
//   node client.js ADDRESS DESCRIPTORS [CA.pem NAME]
'use strict';
const assert = require('assert').strict;
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const { load, payload, unlimited, REQUEST_SIZES, RESPONSE_SIZES } = require('./contract');

const [address, descriptors, ca, name] = process.argv.slice(2);
const testing = load(descriptors);
const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
const options = { ...unlimited, ...(name && { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name }) };
const GZIP = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
const NO_COMPRESS = 2; // a flag of one message

// withClient runs f with a client on a connection of its own.
async function withClient(more, f) {
  const client = new testing.TestService(address, credentials, { ...options, 'grpc.use_local_subchannel_pool': 1, ...more });
  try {
    return await f(client);
  } finally {
    client.close();
  }
}

const soon = (ms) => ({ deadline: Date.now() + ms });

// unary makes a unary call and returns its response, header and trailer.
function unary(client, method, request, { metadata = new grpc.Metadata(), options = soon(20000) } = {}) {
  return new Promise((resolve, reject) => {
    const result = {};
    const settle = () => result.trailer && ('response' in result) && resolve(result);
    const call = client[method](request, metadata, options, (err, response) => {
      if (err) return reject(err);
      result.response = response;
      settle();
    });
    call.on('metadata', (m) => { result.header = m; });
    call.on('status', (s) => { result.trailer = s.metadata; settle(); });
  });
}

// streamed collects the responses of a call, and its status whatever it is.
function streamed(call, onData = () => {}) {
  return new Promise((resolve) => {
    const result = { responses: [] };
    call.on('metadata', (m) => { result.header = m; });
    call.on('data', (r) => { result.responses.push(r); onData(r, result.responses.length); });
    call.on('error', () => {}); // the status has it
    call.on('status', (s) => { result.status = s; resolve(result); });
  });
}

async function failsWith(code, promise) {
  const err = await promise.then(() => assert.fail('the call succeeded'), (err) => err);
  assert.equal(err.code, code, `${err}`);
  return err;
}

const echoKeys = ['x-grpc-test-echo-initial', 'x-grpc-test-echo-trailing-bin'];
const echoValues = ['test_initial_metadata_value', Buffer.from([0xab, 0xab, 0xab])];

function echoMetadata() {
  const metadata = new grpc.Metadata();
  echoKeys.forEach((key, i) => metadata.set(key, echoValues[i]));
  return metadata;
}

function assertEchoed(header, trailer) {
  assert.deepEqual(header.get(echoKeys[0]), [echoValues[0]]);
  assert.deepEqual(trailer.get(echoKeys[1]), [echoValues[1]]);
}

async function large(client, size, { metadata, fields } = {}) {
  const result = await unary(client, 'UnaryCall', { response_size: size, payload: payload(size), ...fields }, { metadata });
  assert.equal(result.response.payload.body.length, size);
  return result;
}

// upload sends payloads, each with its flags and fields, and returns how many bytes the server saw.
function upload(client, messages) {
  return new Promise((resolve, reject) => {
    const call = client.StreamingInputCall(soon(20000), (err, response) => (err ? reject(err) : resolve(response.aggregated_payload_size)));
    for (const { size, flags = 0, fields } of messages) call.write({ payload: payload(size), ...fields }, flags);
    call.end();
  });
}

const cases = {
  empty_unary: (c) => unary(c, 'EmptyCall', {}),
  large_unary: (c) => large(c, 314159),
  huge_unary: (c) => large(c, 16 << 20),

  async client_streaming(c) {
    assert.equal(await upload(c, REQUEST_SIZES.map((size) => ({ size }))), 74922);
  },

  async server_streaming(c) {
    const call = c.StreamingOutputCall({ response_parameters: RESPONSE_SIZES.map((size) => ({ size })) }, soon(20000));
    const { responses, status } = await streamed(call);
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(responses.map((r) => r.payload.body.length), RESPONSE_SIZES);
  },

  async ping_pong(c) {
    const call = c.FullDuplexCall(soon(20000));
    const ask = (i) => call.write({ payload: payload(REQUEST_SIZES[i]), response_parameters: [{ size: RESPONSE_SIZES[i] }] });
    const ended = streamed(call, (r, n) => (n < RESPONSE_SIZES.length ? ask(n) : call.end()));
    ask(0);
    const { responses, status } = await ended;
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(responses.map((r) => r.payload.body.length), RESPONSE_SIZES);
  },

  async empty_stream(c) {
    const call = c.FullDuplexCall(soon(20000));
    const ended = streamed(call);
    call.end();
    const { responses, status } = await ended;
    assert.equal(status.code, grpc.status.OK);
    assert.equal(responses.length, 0);
  },

  // 100 MiB are more than the windows hold: a reader that does not read must stop the writer, and not lose anything.
  async slow_reader(c) {
    const count = 100, size = 1 << 20;
    const call = c.StreamingOutputCall({ response_parameters: Array(count).fill({ size }) }, soon(30000));
    const ended = streamed(call, (r, n) => {
      if (n % 10) return;
      call.pause();
      setTimeout(() => call.resume(), 10);
    });
    const { responses, status } = await ended;
    assert.equal(status.code, grpc.status.OK);
    assert.equal(responses.length, count);
    assert.ok(responses.every((r) => r.payload.body.length === size));
  },

  async concurrent_unary(c) {
    await Promise.all(Array.from({ length: 500 }, () => large(c, 5000)));
  },

  async custom_metadata(c) {
    const { header, trailer } = await large(c, 1, { metadata: echoMetadata() });
    assertEchoed(header, trailer);
    const call = c.FullDuplexCall(echoMetadata(), soon(20000));
    const ended = streamed(call);
    call.write({ response_parameters: [{ size: 1 }], payload: payload(1) });
    call.end();
    const result = await ended;
    assert.equal(result.responses.length, 1);
    assertEchoed(result.header, result.status.metadata);
  },

  async status_code_and_message(c) {
    const response_status = { code: 2, message: 'test status message' };
    const err = await failsWith(grpc.status.UNKNOWN, unary(c, 'UnaryCall', { response_status }));
    assert.equal(err.details, response_status.message);
    const call = c.FullDuplexCall(soon(20000));
    const ended = streamed(call);
    call.write({ response_status });
    call.end();
    const { status } = await ended;
    assert.equal(status.code, grpc.status.UNKNOWN);
    assert.equal(status.details, response_status.message);
  },

  async special_status_message(c) {
    const message = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
    const err = await failsWith(grpc.status.UNKNOWN, unary(c, 'UnaryCall', { response_status: { code: 2, message } }));
    assert.equal(err.details, message);
  },

  unimplemented_method: (c) => failsWith(grpc.status.UNIMPLEMENTED, unary(c, 'UnimplementedCall', {})),

  async unimplemented_service() {
    const client = new testing.UnimplementedService(address, credentials, options);
    await failsWith(grpc.status.UNIMPLEMENTED, unary(client, 'UnimplementedCall', {}));
    client.close();
  },

  async cancel_after_begin(c) {
    const call = c.StreamingInputCall(soon(20000), () => {});
    const ended = streamed(call);
    call.cancel();
    assert.equal((await ended).status.code, grpc.status.CANCELLED);
  },

  async cancel_after_first_response(c) {
    const call = c.FullDuplexCall(soon(20000));
    const ended = streamed(call, () => call.cancel());
    call.write({ response_parameters: [{ size: 31415 }], payload: payload(27182) });
    const { responses, status } = await ended;
    assert.equal(responses.length, 1);
    assert.equal(status.code, grpc.status.CANCELLED);
  },

  async timeout_on_sleeping_server(c) {
    const call = c.FullDuplexCall(soon(50));
    const ended = streamed(call);
    call.write({ payload: payload(27182) });
    assert.equal((await ended).status.code, grpc.status.DEADLINE_EXCEEDED);
  },

  // The handler waits for seconds between responses; its deadline ends that.
  async deadline_in_handler(c) {
    await unary(c, 'EmptyCall', {}); // connects
    const call = c.StreamingOutputCall({ response_parameters: [{ size: 1 }, { size: 1, interval_us: 5e6 }] }, soon(500));
    const { responses, status } = await streamed(call);
    assert.equal(responses.length, 1);
    assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
  },

  client_compressed_unary: () => withClient(GZIP, async (c) => {
    const uncompressed = (fields) => withClient({}, (plain) => large(plain, 314159, { fields }));
    await failsWith(grpc.status.INVALID_ARGUMENT, uncompressed({ expect_compressed: { value: true } }));
    await large(c, 314159, { fields: { expect_compressed: { value: true } } });
    await uncompressed({ expect_compressed: { value: false } });
  }),

  client_compressed_streaming: () => withClient(GZIP, async (c) => {
    await failsWith(grpc.status.INVALID_ARGUMENT, upload(c, [{ size: 27182, flags: NO_COMPRESS, fields: { expect_compressed: { value: true } } }]));
    assert.equal(await upload(c, [
      { size: 27182, fields: { expect_compressed: { value: true } } },
      { size: 45904, flags: NO_COMPRESS, fields: { expect_compressed: { value: false } } },
    ]), 73086);
  }),

  async server_compressed_unary(c) {
    for (const value of [true, false]) await large(c, 314159, { fields: { response_compressed: { value } } });
  },
};

async function main() {
  for (const [name, run] of Object.entries(cases)) {
    try {
      await withClient({}, run);
      console.log(`PASS ${name}`);
    } catch (err) {
      process.exitCode = 1;
      console.log(`FAIL ${name}: ${`${err.stack}`.replaceAll('\n', ' | ')}`);
    }
  }
}

main();
