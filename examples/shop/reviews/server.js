// The shop's reviews: ordinary gRPC, with nothing of Hanse in it. `hanse run` makes it a member of the system:
//
//   PORT                where it listens
//   HANSE_CATALOG_ADDR  where it reaches the catalog, whatever instances that has
//   OTEL_…              where it tells of its calls, see telemetry.js
'use strict';

const telemetry = require('./telemetry.js');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { ReflectionService } = require('@grpc/reflection');
const { HealthImplementation } = require('grpc-health-check');
const sayings = require('./sayings.js');

const definition = protoLoader.loadSync('shop/reviews/v1/reviews.proto', {
  includeDirs: [path.join(__dirname, '..', 'proto')],
  keepCase: true,
});
const shop = grpc.loadPackageDefinition(definition).shop;

const catalogAddr = process.env.HANSE_CATALOG_ADDR;
const { Catalog } = grpc.loadPackageDefinition(require('./catalog.js')).shop.catalog.v1;
const catalog = catalogAddr && new Catalog(catalogAddr, grpc.credentials.createInsecure());

// product asks the catalog for a product, with the time that the caller has left.
function product(call, id) {
  if (!catalog) return Promise.resolve({ id });
  return new Promise((resolve, reject) => {
    catalog.GetProduct({ id }, new grpc.Metadata(), { deadline: call.getDeadline() }, (err, reply) => (err ? reject(err) : resolve(reply.product)));
  });
}

async function listReviews(call) {
  const { product_id: id, limit } = call.request;
  if (!id) throw { code: grpc.status.INVALID_ARGUMENT, details: 'product_id is missing' };
  if (limit < 0 || limit > 50) throw { code: grpc.status.INVALID_ARGUMENT, details: `limit is ${limit}, must be from 0 to 50` };
  await product(call, id);
  const all = sayings.about(id);
  const stars = all.reduce((sum, r) => sum + r.stars, 0) / (all.length || 1);
  return { reviews: all.slice(0, limit || 3), stars, count: all.length };
}

// unary makes a handler of an async function.
const unary = (f) => (call, done) =>
  f(call).then(
    (reply) => done(null, reply),
    (err) => done(err.code ? { code: err.code, details: err.details } : { code: grpc.status.INTERNAL, details: String(err) }),
  );

const server = new grpc.Server();
server.addService(shop.reviews.v1.Reviews.service, { ListReviews: unary(listReviews) });
new HealthImplementation({ '': 'SERVING' }).addToServer(server);
new ReflectionService(definition, { services: ['shop.reviews.v1.Reviews'] }).addToServer(server);

const port = process.env.PORT || '7001';
server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) {
    console.error(`reviews: ${err.message}`);
    process.exit(1);
  }
  console.log(`reviews: serving on 127.0.0.1:${port}, catalog at ${catalogAddr || 'nowhere'}`);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGBREAK']) {
  process.on(signal, () => server.tryShutdown(async () => {
    await telemetry.end();
    process.exit(0);
  }));
}
