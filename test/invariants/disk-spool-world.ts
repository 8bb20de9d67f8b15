import { type CrashOptions, type DiskMoment, FaultyDisk, VirtualClock } from '@otel-resilience/testing';
import { AppendedSpans, outcomeOf, quarantineOf } from './appended-spans.js';
import type { OUTCOMES, SpoolCommand } from './disk-spool-commands.js';
import { checkStopped, drain, givenUpBy, makeOwner, type Owner, type OwnerOptions, within } from './spool-owner.js';
import { SpoolPromises } from './spool-promises.js';

/** A disk as a crash has left it, to be looked at. */
interface Outcome {
  readonly disk: FaultyDisk;
  readonly promised: readonly string[];
  readonly poison: readonly string[];
  readonly how: string;
}

export interface WorldOptions extends OwnerOptions {
  readonly seed: number;
  /** The share of moments (before and after each operation of the disk) at which it is looked what a crash would do. */
  readonly looks: number;
}

const MAX_PROCESSES = 3;

/**
 * Spools over a disk that forgets, and a model of what they have promised. Before and after any operation of the disk
 * the power may fail, or every process die: a new spool then has to find what was promised up to there, whatever else
 * the disk has kept. What was given up since, because there was no room for it or it was too old, was counted.
 */
export class DiskSpoolWorld {
  private readonly options: WorldOptions;
  private readonly random: () => number;
  private disk: FaultyDisk;
  private clock = new VirtualClock();
  private owners: Owner[] = [];
  private readonly promises: SpoolPromises;
  private readonly appended = new AppendedSpans();
  private readonly outcomes: Outcome[] = [];
  /** By owners that are gone. */
  private givenUpBefore = 0;
  /** The files of the dead are open for ever. */
  private anyDied = false;
  private wasShared = false;
  private isTroubled = false;
  /** When a ledger did not add up for the first time. */
  private unbalanced: string | undefined;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = seeded(options.seed);
    this.promises = new SpoolPromises(options.settings.fsync);
    const { shortWrites, shortReads } = options.settings;
    this.disk = new FaultyDisk({
      seed: options.seed,
      shortWrites,
      shortReads,
      onOperation: (moment) => this.onMoment(moment),
    });
  }

  async run(commands: readonly SpoolCommand[]): Promise<void> {
    await this.disk.makeDirectory('/var/spool');
    for (const path of ['/', '/var']) await this.disk.syncDirectory(path);
    this.start();
    for (const command of commands) {
      await this.make(command);
      this.promises.note(this.clock.now());
      for (const owner of this.owners) this.checkLedger(owner);
      if (this.unbalanced) throw new Error(`the ledger does not add up ${this.unbalanced}`);
      this.look('some');
      await this.checkOutcomes();
    }
    await this.restart('shutdown');
    this.look('none');
    await this.checkOutcomes();
    for (const owner of [...this.owners]) this.die(owner);
  }

  private async make(command: SpoolCommand): Promise<void> {
    switch (command.kind) {
      case 'append': {
        const owner = this.owner(command.by);
        await within(this.clock, Promise.all(command.batches.map((each) => this.append(owner, each))));
        return;
      }
      case 'lease':
        for (let i = 0; i < command.count; i++) await this.lease(this.owner(command.by));
        return;
      case 'settle':
        return this.settle(this.owner(command.by), command.which, command.how);
      case 'wait':
        return this.clock.advance(command.millis);
      case 'start':
        if (this.owners.length < MAX_PROCESSES) this.start();
        return;
      case 'die':
        if (this.owners.length > 1) this.die(this.owner(command.by));
        return;
      case 'stop':
        if (this.owners.length > 1) await this.shutDown(this.owner(command.by));
        return;
      case 'fail':
        this.isTroubled = true;
        return this.disk.fail(command.fault);
      case 'fill':
        this.isTroubled = true;
        this.disk.capacityBytes = Math.max(1, this.disk.usedBytes + command.freeBytes);
        return;
      case 'heal':
        this.disk.heal();
        this.disk.capacityBytes = undefined;
        return;
      case 'crash':
        return this.restart('crash', command.keep);
      default:
        return this.restart(command.kind);
    }
  }

  private async append(owner: Owner, { spans, bytes }: { spans: number; bytes: number }): Promise<void> {
    const { names, batch } = this.appended.make(spans, bytes);
    const { stored, dropped } = await owner.spool.append(batch);
    if (stored + dropped !== spans || (stored > 0 && dropped > 0)) throw new Error(`append: ${stored} + ${dropped}`);
    if (stored === 0) return;
    owner.counts.accepted += stored;
    for (const name of names) this.promises.acknowledged(name, owner, this.clock.now());
  }

  private async lease(owner: Owner): Promise<void> {
    // A disk that fails to read says so.
    const lease = await within(
      this.clock,
      owner.spool.lease().catch(() => undefined),
    );
    if (lease) owner.leases.push({ lease, names: this.appended.namesIn(lease.batch) });
  }

  private settle({ leases, counts }: Owner, which: number, how: (typeof OUTCOMES)[number]): void {
    const [taken] = leases.splice(which % Math.max(1, leases.length), 1);
    if (!taken) return;
    const { lease, names } = taken;
    const { outcome, settled } = outcomeOf(lease.batch, how);
    for (const name of names.slice(0, settled)) this.promises.settled(name, how === 'poison');
    if (how !== 'nonsense') {
      counts.delivered += outcome.delivered;
      counts.poison += outcome.dropped.poison ?? 0;
      if (outcome.failure === 'permanent') counts.rejected += outcome.remaining?.spanCount ?? 0;
    }
    lease.settle(outcome);
  }

  private onMoment({ disk, when, operation }: DiskMoment): void {
    if (disk !== this.disk || this.owners.length === 0) return;
    this.promises.note(this.clock.now());
    for (const { spool } of this.owners) if (!spool.stats().balanced) this.unbalanced ??= `${when} ${operation.kind}`;
    if (this.random() > this.options.looks) return;
    this.look(this.random() < 0.8 ? 'some' : 'none', `${when} ${operation.kind} ${operation.path}`);
  }

  /** The machine, or all that runs on it, might fail now. */
  private look(keep: CrashOptions['keep'], moment = 'between commands'): void {
    const isKill = this.random() < 0.2;
    const { promised, poison } = this.promises.after(isKill ? 'kill' : 'crash');
    this.outcomes.push({
      disk: isKill ? this.disk.kill() : this.disk.crash({ keep }),
      promised,
      // On a disk that fails there may be no quarantine either.
      poison: this.isTroubled ? [] : poison,
      how: `${isKill ? 'a kill' : `a crash that keeps ${keep}`} ${moment}`,
    });
  }

  private async checkOutcomes(): Promise<void> {
    const givenUp = this.owners.reduce((sum, { spool }) => sum + givenUpBy(spool), this.givenUpBefore);
    for (const { disk, promised, poison, how } of this.outcomes.splice(0)) {
      const { seen, ...found } = await drain(this.options, disk, this.clockAfter(1_000), this.appended);
      const quarantine = poison.length > 0 ? quarantineOf(disk) : '';
      const isMissing = (name: string) => !seen.has(name);
      const lost = promised.filter(isMissing);
      lost.push(...poison.filter((name) => isMissing(name) && !quarantine.includes(name)));
      if (lost.length <= givenUp + found.givenUp) continue;
      throw new Error(`${how} loses ${lost.join(', ')}; ${givenUp} were given up: ${JSON.stringify(disk.lost)}`);
    }
  }

  private async restart(how: 'shutdown' | 'kill' | 'crash', keep?: CrashOptions['keep']): Promise<void> {
    for (const owner of [...this.owners]) {
      if (how === 'shutdown') await this.shutDown(owner);
      else this.die(owner);
    }
    if (how === 'shutdown' && !this.anyDied && this.disk.openFiles > 0) {
      throw new Error(`after shutdown ${this.disk.openFiles} files are open`);
    }
    this.disk = how === 'crash' ? this.disk.crash({ keep }) : this.disk.kill();
    this.anyDied = false;
    this.clock = this.clockAfter(1_000);
    const owner = this.start();
    this.promises.handOver(owner, how === 'crash' ? 'crash' : 'kill');
    await within(this.clock, owner.spool.open());
    owner.bytesAtFirst = owner.spool.bytes;
  }

  private start(): Owner {
    const owner = makeOwner(this.options, this.disk, this.clock);
    this.owners.push(owner);
    this.wasShared ||= this.owners.length > 1;
    return owner;
  }

  private async shutDown(owner: Owner): Promise<void> {
    const { spool } = owner;
    // What was leased from memory would be lost with it: the exporter gives it back first.
    while (!spool.durable && owner.leases.length > 0) this.settle(owner, 0, 'retryable');
    const before = this.disk.operations.length;
    await within(this.clock, spool.shutdown());
    const isSaved = spool.durable && !spool.stats().dropped.shutdown;
    if (isSaved) this.promises.note(this.clock.now());
    this.checkLedger(owner);
    checkStopped(owner);
    const isCalm = this.disk.operations.slice(before).every(({ error }) => error === undefined || error === 'ENOENT');
    if (isCalm && isSaved) this.promises.noteShutdown(owner);
    this.remove(owner);
  }

  private die(owner: Owner): void {
    this.anyDied = true;
    this.remove(owner);
  }

  private remove(owner: Owner): void {
    owner.process.die();
    this.givenUpBefore += givenUpBy(owner.spool);
    this.owners = this.owners.filter((each) => each !== owner);
  }

  private owner(by: number): Owner {
    return this.owners[by % this.owners.length]!;
  }

  private clockAfter(millis: number): VirtualClock {
    return new VirtualClock({ now: this.clock.now() + millis, wallTime: this.clock.wallTime() + millis });
  }

  private checkLedger({ spool, counts, bytesAtFirst }: Owner): void {
    const stats = spool.stats();
    const { accepted, delivered, rejected, dropped, waiting, balanced } = stats;
    const isSound =
      balanced &&
      waiting === spool.size &&
      accepted === counts.accepted &&
      delivered === counts.delivered &&
      rejected === counts.rejected &&
      (dropped.poison ?? 0) === counts.poison &&
      // What was adopted may be more than there is room for, until something is appended.
      (this.wasShared || spool.bytes <= Math.max(spool.maxBytes, bytesAtFirst));
    if (!isSound) throw new Error(`${JSON.stringify(stats)} of ${spool.bytes} bytes, not ${JSON.stringify(counts)}`);
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
