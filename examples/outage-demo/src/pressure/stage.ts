import type { BurnerMethods } from '../processes/burner.js';
import type { Child } from '../processes/child.js';
import { Children } from '../processes/children.js';
import type { PressuredAppMethods } from '../processes/pressured-app.js';
import { openCollectors, type Stage, urlOf } from '../stage.js';

/** The processes of the second act: two collectors, the application, and what burns the cores. */
export interface PressureStage {
  readonly collectors: Stage['collectors'];
  readonly app: Child<PressuredAppMethods>;
  readonly appPort: number;
  readonly burner: Child<BurnerMethods>;
  /** Ends them all; resolves with the names of those that had to be killed. */
  close(): Promise<string[]>;
}

export async function openPressureStage(onOutput: (line: string) => void): Promise<PressureStage> {
  const children = new Children(onOutput);
  const close = () => children.end();
  try {
    const collectors = await openCollectors(children, 'outlines');
    const ports = [await collectors.A.call('port'), await collectors.B.call('port')];
    const app = await children.start<PressuredAppMethods>('application', './pressured-app.js', ports.map(urlOf));
    const burner = await children.start<BurnerMethods>('burner', './burner.js');
    return { collectors, app, appPort: await app.call('port'), burner, close };
  } catch (error) {
    await close();
    throw error;
  }
}
