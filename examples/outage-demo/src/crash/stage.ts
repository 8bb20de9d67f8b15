import type { Child } from '../processes/child.js';
import { Children } from '../processes/children.js';
import type { DiskAppMethods } from '../processes/disk-app.js';
import { openCollectors, type Stage, urlOf } from '../stage.js';

/** The processes of the third act: two collectors, and the application, which dies and is started again. */
export interface CrashStage {
  readonly collectors: Stage['collectors'];
  /** Resolves with the port of its shop. */
  startApp(): Promise<number>;
  /** As `kill -9` does. */
  killApp(): Promise<void>;
  /** The one that was started last. */
  readonly app: Child<DiskAppMethods>;
  /** Ends them all; resolves with the names of those that had to be killed. */
  close(): Promise<string[]>;
}

export async function openCrashStage(directory: string, onOutput: (line: string) => void): Promise<CrashStage> {
  const children = new Children(onOutput);
  const close = () => children.end();
  try {
    const collectors = await openCollectors(children);
    const urls = [await collectors.A.call('port'), await collectors.B.call('port')].map(urlOf);
    let app: Child<DiskAppMethods> | undefined;
    return {
      collectors,
      startApp: async () => {
        app = await children.start<DiskAppMethods>('application', './disk-app.js', [directory, ...urls]);
        return app.call('port');
      },
      killApp: async () => app?.kill(),
      get app() {
        return app!;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
