import type { FileSystem, OpenFile } from '@otel-resilience/core';
import { readAcks } from './ack-file.js';
import { isMissing, quietly } from './file-errors.js';
import { SEGMENT_HEADER_BYTES } from './frame.js';
import { isFreeName, parseOwnerName } from './lock-owner.js';
import { nodeFileSystem } from './node-file-system.js';
import { type Processes, type ProcessState, stateOf, systemProcesses } from './process-identity.js';
import { QUARANTINE } from './quarantine.js';
import { ackName, newSegment } from './segment.js';
import { type Damage, noDamage, readFully, readHead, scanFrames } from './segment-reader.js';
import { OWN_DIRECTORY } from './spool-directory.js';
import { isNoteName, isSegmentName, isSpoolName } from './spool-names.js';

export interface ListSpoolOptions {
  readonly directory: string;
  /** Default: that of the machine. */
  readonly fileSystem?: FileSystem;
  /** Default: those of this machine. */
  readonly processes?: Processes;
}

export interface SpoolListing {
  /** The directory itself, and then those in it that belong to further processes. */
  readonly directories: readonly ListedDirectory[];
  /** Of poison: never sent again. */
  readonly quarantine: readonly ListedSegment[];
  /** Paths of files that are not ours. */
  readonly foreign: readonly string[];
}

export interface ListedDirectory {
  readonly path: string;
  /** Absent where nobody owns it. */
  readonly owner?: ListedOwner;
  readonly segments: readonly ListedSegment[];
}

export interface ListedOwner {
  readonly pid: number;
  /** `unknown`: of another machine or container; only whether its `heartbeat` changes can tell. */
  readonly state: ProcessState;
  readonly heartbeat: string;
}

export interface ListedSegment {
  readonly path: string;
  /** Of the file. */
  readonly bytes: number;
  /** Frames that wait to be sent, and the spans in them. */
  readonly frames: number;
  readonly spans: number;
  /** Frames that were sent, or given up. */
  readonly settledFrames: number;
  /** Of the frames that wait: when they were appended, in milliseconds since 1970 by the wall clock. */
  readonly oldestMillis?: number;
  readonly newestMillis?: number;
  /** Between frames, as far as their headers show it: bodies are not read. */
  readonly corrupt: Readonly<Damage>;
  /** After the last frame: what is being appended, or what a crash has left of it. */
  readonly torn: Readonly<Damage>;
  /** It could not be read. */
  readonly error?: Error;
}

/**
 * What lies in the directory of a `Spool`, without a lock and without a change, also while a process writes to it. Of each
 * frame the header is read, and no body.
 *
 * @throws the file system's errors, such as `ENOENT`, where the directory cannot be listed.
 */
export async function listSpool(options: ListSpoolOptions): Promise<SpoolListing> {
  const { directory, fileSystem = nodeFileSystem, processes = systemProcesses } = options;
  const listing = new Listing(fileSystem, processes);
  const names = (await fileSystem.list(directory)).sort();
  const own = await listing.directory(directory, names);
  const others: ListedDirectory[] = [];
  for (const name of names.filter((each) => OWN_DIRECTORY.test(each))) {
    const path = `${directory}/${name}`;
    const inIt = await namesIn(fileSystem, path);
    if (inIt) others.push(await listing.directory(path, inIt));
  }
  const quarantine = `${directory}/${QUARANTINE}`;
  return {
    directories: [own, ...others],
    quarantine: await listing.segments(quarantine, (await namesIn(fileSystem, quarantine)) ?? []),
    foreign: listing.foreign,
  };
}

class Listing {
  readonly foreign: string[] = [];
  private readonly fileSystem: FileSystem;
  private readonly processes: Processes;

  constructor(fileSystem: FileSystem, processes: Processes) {
    this.fileSystem = fileSystem;
    this.processes = processes;
  }

  async directory(path: string, names: readonly string[]): Promise<ListedDirectory> {
    const owner = await this.owner(path);
    for (const name of names) if (!isSpoolName(name)) this.foreign.push(`${path}/${name}`);
    return { path, ...(owner && { owner }), segments: await this.segments(path, names) };
  }

  async segments(directory: string, names: readonly string[]): Promise<ListedSegment[]> {
    const notes = new Set(names.filter(isNoteName));
    const found: ListedSegment[] = [];
    for (const name of names.filter(isSegmentName)) {
      const path = `${directory}/${name}`;
      try {
        const file = await this.fileSystem.open(path, 'read');
        const hasNotes = notes.has(ackName(name));
        const segment = await this.segment(directory, name, file, hasNotes).finally(() => quietly(file.close()));
        if (segment) found.push(segment);
        else this.foreign.push(path);
      } catch (error) {
        // Sent meanwhile.
        if (isMissing(error)) continue;
        const nothing = { bytes: 0, frames: 0, spans: 0, settledFrames: 0, corrupt: noDamage(), torn: noDamage() };
        found.push({ path, ...nothing, error: error as Error });
      }
    }
    return found;
  }

  private async segment(
    directory: string,
    name: string,
    file: OpenFile,
    hasNotes: boolean,
  ): Promise<ListedSegment | undefined> {
    const bytes = await file.size();
    const head = await readHead(file, name);
    if (!head) return undefined;
    const { header, token, isBlank } = head;
    const noted = newSegment(name, directory, token, 0);
    const settled = hasNotes ? await readAcks(this.fileSystem, noted).catch(() => NOTHING) : NOTHING;
    let [frames, spans, settledFrames, oldestMillis, newestMillis] = [0, 0, 0, Number.POSITIVE_INFINITY, 0];
    const { corrupt, torn } = await scanFrames(file, token, header ? SEGMENT_HEADER_BYTES : 0, bytes, (frame) => {
      if (settled.has(frame.id)) {
        settledFrames++;
        return;
      }
      frames++;
      spans += frame.spanCount;
      oldestMillis = Math.min(oldestMillis, frame.wallMillis);
      newestMillis = Math.max(newestMillis, frame.wallMillis);
    });
    if (!header && frames + settledFrames === 0 && !isBlank) return undefined;
    const times = frames > 0 ? { oldestMillis, newestMillis } : {};
    return { path: `${directory}/${name}`, bytes, frames, spans, settledFrames, ...times, corrupt, torn };
  }

  /** Of several, who is alive; nobody where the lock was given back. */
  private async owner(directory: string): Promise<ListedOwner | undefined> {
    let found: ListedOwner | undefined;
    for (const name of (await namesIn(this.fileSystem, `${directory}/lock`)) ?? []) {
      const owner = isFreeName(name) ? undefined : parseOwnerName(name);
      if (!owner) continue;
      const heartbeat = await this.heartbeat(`${directory}/lock/${name}`);
      if (heartbeat === undefined) continue;
      const state = stateOf(owner, this.processes);
      if (!found || state === 'alive' || found.state === 'dead') found = { pid: owner.pid, state, heartbeat };
    }
    return found;
  }

  private async heartbeat(path: string): Promise<string | undefined> {
    try {
      const file = await this.fileSystem.open(path, 'read');
      const bytes = await readFully(file, 0, 32).finally(() => quietly(file.close()));
      return bytes.toString('latin1').trim();
    } catch (error) {
      if (isMissing(error)) return undefined;
      // Another user's process has it: it is there all the same.
      return '';
    }
  }
}

const NOTHING: ReadonlySet<number> = new Set();

/** `undefined` where it is not there, or cannot be read. */
async function namesIn(fileSystem: FileSystem, path: string): Promise<string[] | undefined> {
  return fileSystem.list(path).then(
    (names) => names.sort(),
    () => undefined,
  );
}
