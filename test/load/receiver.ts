import { CountingReceiver } from '../../packages/testing/src/receiver/counting-receiver.js';

/** Counts until it is killed; says how much for every message. */
export async function receive(_: object, say: (message: object) => void): Promise<void> {
  const receiver = new CountingReceiver({ protocol: 'http/protobuf', maxLoggedRequests: 1 });
  await receiver.start();
  process.on('message', () => say(receiver.snapshot()));
  say({ url: receiver.url });
}
