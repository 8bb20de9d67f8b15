import { trace } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type Resilience, type ResilienceOptions, resilience, type Transport } from '@otel-resilience/node';
import { work } from '../work.cjs';

const endpoints = process.env.ENDPOINTS?.split(',');
const transport = process.env.TRANSPORT as Transport | undefined;
const options: ResilienceOptions = { ...(endpoints && { endpoints }), ...(transport && { transport }) };
const r: Resilience = resilience(options);
const sdk = new NodeSDK({ ...r.sdk });
sdk.start();

void work({ trace, r, sdk });
