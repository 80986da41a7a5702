// The contract grpc.testing.TestService, from the descriptors that the tests wrote to a file.
'use strict';
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

exports.load = (file) =>
  grpc.loadPackageDefinition(loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(file))).grpc.testing;

exports.payload = (size) => ({ body: Buffer.alloc(size) });
exports.REQUEST_SIZES = [27182, 8, 1828, 45904];
exports.RESPONSE_SIZES = [31415, 9, 2653, 58979];

// unlimited are the options of channels and servers that carry messages of any size.
exports.unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
