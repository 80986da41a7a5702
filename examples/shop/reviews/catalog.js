// What this service knows of the catalog's contract, shop/catalog/v1/catalog.proto: the method that it calls, and the fields that it reads.
'use strict';

const protoLoader = require('@grpc/proto-loader');

module.exports = protoLoader.fromJSON({
  nested: { shop: { nested: { catalog: { nested: { v1: { nested: {
    Catalog: { methods: { GetProduct: { requestType: 'GetProductRequest', responseType: 'GetProductResponse' } } },
    GetProductRequest: { fields: { id: { type: 'string', id: 1 } } },
    GetProductResponse: { fields: { product: { type: 'Product', id: 1 } } },
    Product: { fields: { id: { type: 'string', id: 1 } } },
  } } } } } } },
}, { keepCase: true });
