import type { Methods } from './answer-parent.js';
import { Child } from './child.js';

/** The processes of one run. */
export class Children {
  private readonly onOutput: (line: string) => void;
  private readonly children: { readonly name: string; readonly child: { end(): Promise<boolean> } }[] = [];

  /** `onOutput` gets the lines that they print. */
  constructor(onOutput: (line: string) => void) {
    this.onOutput = onOutput;
  }

  /** `file` is a module beside this one that calls `answerParent`. Resolves when it is ready to answer. */
  async start<M extends Methods>(
    name: string,
    file: string,
    args: readonly (string | number)[] = [],
  ): Promise<Child<M>> {
    const module = new URL(file, import.meta.url);
    const child = await Child.start<M>({ name, module, args: args.map(String), onOutput: this.onOutput });
    this.children.push({ name, child });
    return child;
  }

  /** Ends them all, the last one first; resolves with the names of those that had to be killed. */
  async end(): Promise<string[]> {
    const killed = [];
    for (const { name, child } of this.children.splice(0).reverse()) if (!(await child.end())) killed.push(name);
    return killed;
  }
}
