const { trace } = require('@opentelemetry/api');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { resilience } = require('@otel-resilience/node');
const { work } = require('../work.cjs');

const r = resilience({ transport: process.env.TRANSPORT, endpoints: process.env.ENDPOINTS?.split(',') });
const sdk = new NodeSDK({ ...r.sdk });
sdk.start();

work({ trace, r, sdk });
