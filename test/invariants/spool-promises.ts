/** Who has acknowledged spans. */
export interface Promiser {
  readonly process: { readonly isAlive: boolean };
  readonly spool: { readonly durable: boolean };
  readonly openedAt: number;
}

interface SpanPromise {
  readonly owner: Promiser;
  readonly acknowledgedAt: number;
  /** Settled for good: it may come again, and need not. */
  isSettled: boolean;
  /** Settled as poison: it comes again, or is in quarantine. */
  isPoison: boolean;
  survivesKill: boolean;
  survivesCrash: boolean;
}

export type Failure = 'kill' | 'crash';

export const INTERVAL_MILLIS = 500;

/** What was promised of each span, by name. */
export class SpoolPromises {
  private readonly fsync: 'always' | 'interval' | 'never';
  private readonly spans = new Map<string, SpanPromise>();

  constructor(fsync: 'always' | 'interval' | 'never') {
    this.fsync = fsync;
  }

  acknowledged(name: string, owner: Promiser, acknowledgedAt: number): void {
    const nothing = { isSettled: false, isPoison: false, survivesKill: false, survivesCrash: false };
    this.spans.set(name, { owner, acknowledgedAt, ...nothing });
  }

  settled(name: string, isPoison: boolean): void {
    const promise = this.spans.get(name);
    if (promise) Object.assign(promise, { isSettled: true, isPoison });
  }

  /** What waits in memory is not promised, but what was promised before stays so. */
  note(now: number): void {
    for (const promise of this.spans.values()) {
      const { owner, acknowledgedAt } = promise;
      if (!owner.process.isAlive || !owner.spool.durable) continue;
      promise.survivesKill = true;
      if (this.fsync === 'always') promise.survivesCrash = true;
      const since = Math.max(acknowledgedAt, owner.openedAt);
      if (this.fsync === 'interval' && now - since > INTERVAL_MILLIS) promise.survivesCrash = true;
    }
  }

  /** After a shutdown that went well. */
  noteShutdown(owner: Promiser): void {
    if (this.fsync === 'never') return;
    for (const promise of this.spans.values()) {
      if (promise.owner === owner) promise.survivesCrash ||= promise.survivesKill;
    }
  }

  /** Spans that have to be found now, and poison that may be in quarantine instead. */
  after(failure: Failure): { promised: string[]; poison: string[] } {
    const spans = [...this.spans].filter(([, promise]) => survives(promise, failure));
    return {
      promised: spans.filter(([, { isSettled }]) => !isSettled).map(([name]) => name),
      poison: spans.filter(([, { isPoison }]) => isPoison).map(([name]) => name),
    };
  }

  /** One process has taken over all that is left. */
  handOver(owner: Promiser, failure: Failure): void {
    for (const [name, promise] of [...this.spans]) {
      if (survives(promise, failure)) this.spans.set(name, { ...promise, owner });
      else this.spans.delete(name);
    }
  }
}

const survives = ({ survivesKill, survivesCrash }: SpanPromise, failure: Failure): boolean =>
  failure === 'crash' ? survivesCrash : survivesKill;
