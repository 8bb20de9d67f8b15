// A program of the campaign, as a process of its own. What it is and what it does come as arguments; what it finds goes back as messages.
import { makeBacklog } from './make-backlog.js';
import { receive } from './receiver.js';
import { replay } from './replaying-application.js';

const [, , role, job] = process.argv;
const roles: Readonly<Record<string, (job: never, say: (message: object) => void) => Promise<void>>> = {
  makeBacklog,
  receive,
  replay,
};
const say = (message: object) => process.send!(message);
process.on('disconnect', () => process.exit());
await roles[role!]!(JSON.parse(job!) as never, say);
