// node client.js URL PROTOSET: calls the shop by Connect and by gRPC-Web, over both versions of HTTP, with contracts that it reads from a
// set of descriptors. It says "ok NAME" for each check, and throws where one is wrong.
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport, Http2SessionManager } from '@connectrpc/connect-node';

const [baseUrl, protoset] = process.argv.slice(2);
const contracts = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(protoset)));
const resourceInfo = contracts.getMessage('google.rpc.ResourceInfo');
const delivered = contracts.getEnum('shop.orders.v1.Status').values.find((v) => v.name === 'STATUS_DELIVERED').number;

// sent is the last request for each method, as it left.
const sent = {};
function note(method, path, fields) {
  sent[path.split('?')[0].split('/').at(-1)] = { method, path, type: fields['content-type'], timeout: fields['connect-timeout-ms'] ?? fields['grpc-timeout'] };
}
subscribe('http.client.request.start', ({ request }) => note(request.method, request.path, request.getHeaders()));
class Sessions extends Http2SessionManager {
  request(method, path, fields, options) {
    note(method, path, fields);
    return super.request(method, path, fields, options);
  }
}

const ways = [];
for (const httpVersion of ['1.1', '2']) {
  const options = { baseUrl, httpVersion, sessionManager: new Sessions(baseUrl) };
  const add = (name, transport, expected) => ways.push({ name: `${name}, HTTP/${httpVersion}`, transport, ...expected });
  const connect = (more) => createConnectTransport({ ...options, ...more });
  const web = (more) => createGrpcWebTransport({ ...options, ...more });
  const json = { useBinaryFormat: false };
  let deadline = ['Connect-Timeout-Ms', '60'];
  add('Connect', connect(), { deadline, type: 'application/proto' });
  add('Connect with GET', connect({ useHttpGet: true }), { deadline, get: 'encoding=proto' });
  add('Connect, JSON', connect(json), { deadline, type: 'application/json' });
  add('Connect, JSON with GET', connect({ ...json, useHttpGet: true }), { deadline, get: 'encoding=json' });
  deadline = ['Grpc-Timeout', '60m'];
  add('gRPC-Web', web(), { deadline, type: 'application/grpc-web+proto' });
  add('gRPC-Web, JSON', web(json), { deadline, type: 'application/grpc-web+json' });
}

// failure returns the error that a call ends with.
async function failure(call) {
  try {
    await call;
  } catch (err) {
    return ConnectError.from(err);
  }
  assert.fail('the call did not fail');
}

async function all(stream) {
  const messages = [];
  for await (const m of stream) messages.push(m);
  return messages;
}

for (const way of ways) {
  const client = (service) => createClient(contracts.getService(service), way.transport);
  const catalog = client('shop.catalog.v1.Catalog');
  const carts = client('shop.cart.v1.Carts');
  const checkout = client('shop.checkout.v1.Checkout');
  const orders = client('shop.orders.v1.Orders');

  // A unary call: by GET where the way says so and the method has no side effects.
  const { product } = await catalog.getProduct({ id: 'kontor-mug' });
  assert.equal(product.id, 'kontor-mug');
  assert.equal(product.price.currency, 'EUR');
  if (way.get) {
    assert.equal(sent.GetProduct.method, 'GET');
    assert.match(sent.GetProduct.path, new RegExp(`[?&]${way.get}(&|$)`));
  } else {
    assert.deepEqual([sent.GetProduct.method, sent.GetProduct.type], ['POST', way.type]);
  }
  const { products } = await catalog.searchProducts({ query: 'tea', limit: 3 });
  assert.equal(products.length, 3);

  // An error with its details.
  const gone = await failure(orders.getOrder({ id: 'kraken' }));
  assert.deepEqual([gone.code, gone.rawMessage], [Code.NotFound, 'no order "kraken"']);
  const [info] = gone.findDetails(resourceInfo);
  assert.deepEqual([info.resourceType, info.resourceName], ['order', 'kraken']);

  // Calls with side effects, then a stream of the server until it ends.
  const session = way.name.replaceAll(/[^A-Za-z0-9]+/g, '-');
  const { cart } = await carts.addItem({ session, item: { productId: 'kontor-mug', quantity: 2 }, requestId: session });
  assert.equal(sent.AddItem.method, 'POST');
  assert.deepEqual(cart.items.map((i) => [i.productId, i.quantity]), [['kontor-mug', 2]]);
  const { total } = await checkout.preview({ session, currency: 'EUR', country: 'DE' });
  const { order } = await checkout.placeOrder({
    key: session,
    session,
    currency: 'EUR',
    expectedTotal: total,
    address: { name: 'Erika Muster', email: 'erika@example.com', street: 'Mengstraße 4', postcode: '23552', city: 'Lübeck', country: 'DE' },
    card: { number: '4242 4242 4242 4242', holder: 'Erika Muster', expiryMonth: 12, expiryYear: 2040, code: '123' },
  });
  assert.equal(order.address.city, 'Lübeck');

  // A deadline, which this client holds, and one that it leaves to the server: the order takes longer.
  const late = await failure(all(orders.watchOrder({ id: order.id }, { timeoutMs: 60 })));
  assert.equal(late.code, Code.DeadlineExceeded);
  assert.match(sent.WatchOrder.timeout, /^\d+m?$/);
  const later = await failure(all(orders.watchOrder({ id: order.id }, { headers: [way.deadline] })));
  assert.equal(later.code, Code.DeadlineExceeded, later.message);

  way.delivered = all(orders.watchOrder({ id: order.id })).then((seen) => {
    const statuses = seen.map((m) => m.order.status);
    assert.ok(statuses.length >= 2 && statuses.at(-1) === delivered, `the stream brought ${statuses}`);
  });
  way.delivered.catch(() => {}); // it is looked at below
}
for (const way of ways) {
  await way.delivered;
  console.log(`ok ${way.name}`);
}
process.exit(0); // connections are kept
