import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** Where the apps stand and how the matrix is called: see `run-suite.mjs`. */
const { appFolder, traceSdk } = JSON.parse(process.env.COMPAT);

/** The same application three times. The last one has been compiled from TypeScript, by the type checks. */
export const FLAVOURS = { ESM: 'esm/app.mjs', CommonJS: 'cjs/app.cjs', TypeScript: 'typescript/app.js' };
export const SCENARIO = { ESM: 'esm/scenario.mjs', CommonJS: 'cjs/scenario.cjs' };

// NodeSDK would export these too, to nobody, and hold its shutdown up for that.
const TRACES_ONLY = { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' };
// On a busy machine a process takes seconds to start; what is to be fast has bounds of its own.
const PATIENCE_MILLIS = 60_000;

/** An application in a process of its own, as its user would start it. */
export class AppProcess {
  #child;
  #stderr = '';
  #report;
  #exit;

  constructor(entry, { args = [], env = {} } = {}) {
    // Lambda's default, and what older Nodes do: no CommonJS code may come to need an ES module.
    const execArgv = entry.endsWith('.mjs') ? [] : ['--no-experimental-require-module'];
    this.#child = fork(join(appFolder, entry), args, {
      cwd: appFolder,
      execArgv,
      env: { ...cleanEnvironment(), ...TRACES_ONLY, TRACE_SDK: traceSdk, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    this.#exit = once(this.#child, 'close');
    this.#report = new Promise((resolve) => {
      this.#child.on('message', ({ report }) => {
        if (report) resolve({ ...report, reportedAt: performance.now() });
      });
    });
  }

  /** Polls `r.status()` of the application until it is as wanted. */
  async until(what, wanted, timeoutMillis = PATIENCE_MILLIS) {
    const deadline = performance.now() + timeoutMillis;
    for (;;) {
      const status = await this.#status(deadline - performance.now(), what);
      if (wanted(status)) return status;
      if (performance.now() > deadline) throw new Error(`not within ${timeoutMillis} ms: ${what}\n${show(status)}`);
      await wait(50);
    }
  }

  async #status(timeoutMillis, what) {
    const answered = new Promise((resolve) => {
      const listen = ({ status }) => {
        if (!status) return;
        this.#child.off('message', listen);
        resolve(status);
      };
      this.#child.on('message', listen);
    });
    this.#child.send('status');
    return await Promise.race([answered, this.#dies(), this.#timeout(timeoutMillis, what)]);
  }

  /** Tells it to stop; what it reports, and how long it took to end by itself afterwards. */
  async stop() {
    this.#child.send('stop');
    return await this.end();
  }

  /** Waits for an application that stops by itself. */
  async end(timeoutMillis = PATIENCE_MILLIS) {
    try {
      const report = await Promise.race([this.#report, this.#dies(), this.#timeout(timeoutMillis, 'a report')]);
      const [code] = await Promise.race([this.#exit, this.#timeout(10_000, 'the process to end by itself')]);
      return { ...report, exitCode: code, exitMillis: performance.now() - report.reportedAt, stderr: this.#stderr };
    } finally {
      this.kill();
    }
  }

  kill() {
    this.#child.kill('SIGKILL');
  }

  async #dies() {
    const [code, signal] = await this.#exit;
    const report = await Promise.race([this.#report, undefined]); // it may have come with the exit
    if (report) return report;
    throw new Error(`the application ended with ${signal ?? code}:\n${this.#stderr}`);
  }

  async #timeout(millis, what) {
    await wait(Math.max(0, millis), undefined, { ref: false });
    throw new Error(`waited ${Math.round(millis)} ms for ${what}\n${this.#stderr}`);
  }
}

const show = (value) => JSON.stringify(value, undefined, 2);

/** Nothing of the surroundings may configure the application. */
function cleanEnvironment() {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|NODE_|npm_|COMPAT$)/.test(name));
  return Object.fromEntries(kept);
}
