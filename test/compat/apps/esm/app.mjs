import { trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { resilience } from '@otel-resilience/node';
import { work } from '../work.cjs';

const r = resilience({ transport: process.env.TRANSPORT, endpoints: process.env.ENDPOINTS?.split(',') });
const sdk = new NodeSDK({ ...r.sdk });
sdk.start();

await work({ trace, r, sdk });
