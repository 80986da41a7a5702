// Starts the service. The first time, it gets the packages that the service needs.
'use strict';

const { execFileSync } = require('node:child_process');

try {
  require.resolve('@grpc/grpc-js');
  require.resolve('@opentelemetry/sdk-node'); // which an older one had not
} catch {
  console.log('reviews: getting the packages of package.json (npm ci)');
  try {
    execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: __dirname, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  } catch (err) {
    console.error(`reviews: the packages could not be had: ${err.message}`);
    process.exit(1);
  }
}
require('./server.js');
