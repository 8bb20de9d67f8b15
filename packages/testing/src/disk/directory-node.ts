import type { FileNode } from './file-node.js';
import type { Survival } from './survival.js';

export type DiskNode = FileNode | DirectoryNode;

/** A name that has come to mean another file or directory, or none. */
export interface EntryChange {
  readonly directory: DirectoryNode;
  readonly order: number;
  readonly name: string;
  readonly node: DiskNode | undefined;
  /** A rename removes the old name after the new one is there: what is renamed may be at both names, never at none. */
  readonly after: EntryChange | undefined;
  /** A directory has one name: that it is gone from the old one happens with this. */
  twin: EntryChange | undefined;
  isDurable: boolean;
}

/** A directory: its entries, those that are durable, and the changes between the two. */
export class DirectoryNode {
  readonly kind = 'directory';
  readonly path: string;
  readonly entries: Map<string, DiskNode>;
  private readonly durable: Map<string, DiskNode>;
  private pending: EntryChange[] = [];
  private order = 0;

  constructor(path: string, entries: Iterable<[string, DiskNode]> = []) {
    this.path = path;
    this.entries = new Map(entries);
    this.durable = new Map(this.entries);
  }

  get changes(): number {
    return this.order;
  }

  set(name: string, node: DiskNode | undefined, after?: EntryChange): EntryChange {
    put(this.entries, name, node);
    const change = { directory: this, order: this.order++, name, node, after, twin: undefined, isDurable: false };
    this.pending.push(change);
    return change;
  }

  /** Makes the first `changes` durable. */
  sync(changes: number): void {
    for (const change of this.pending.filter(({ order }) => order < changes)) this.makeDurable(change);
  }

  /** The entries that a crash leaves; `keeps` is asked about each pending change, once. */
  afterCrash(keeps: (change: EntryChange) => boolean): Map<string, DiskNode> {
    const entries = new Map(this.durable);
    for (const change of this.pending) if (keeps(change)) put(entries, change.name, change.node);
    return entries;
  }

  /** Copies itself and all below into `copies`, with what is pending. */
  copy(copies: TreeCopies): DirectoryNode {
    const copy = new DirectoryNode(this.path);
    copies.nodes.set(this, copy);
    for (const [name, node] of this.entries) copy.entries.set(name, copyOf(node, copies));
    for (const [name, node] of this.durable) copy.durable.set(name, copyOf(node, copies));
    copy.pending = this.pending.map((change) => copyOfChange(change, copies));
    copy.order = this.order;
    return copy;
  }

  private makeDurable(change: EntryChange): void {
    if (change.isDurable) return;
    if (change.after) change.after.directory.makeDurable(change.after);
    // Earlier changes of the same name are history.
    for (const each of this.pending) {
      if (each.name === change.name && each.order <= change.order) each.isDurable = true;
    }
    this.pending = this.pending.filter(({ isDurable }) => !isDurable);
    put(this.durable, change.name, change.node);
    change.twin?.directory.makeDurable(change.twin);
  }
}

interface TreeCopies {
  readonly nodes: Map<DiskNode, DiskNode>;
  readonly changes: Map<EntryChange, EntryChange>;
}

export const copyOfTree = (root: DirectoryNode): DirectoryNode => root.copy({ nodes: new Map(), changes: new Map() });

function copyOf<N extends DiskNode>(node: N, copies: TreeCopies): N {
  const known = copies.nodes.get(node);
  if (known) return known as N;
  const copy = node.copy(copies);
  copies.nodes.set(node, copy);
  return copy as N;
}

function copyOfChange(change: EntryChange, copies: TreeCopies): EntryChange {
  const known = copies.changes.get(change);
  if (known) return known;
  // Known before what it refers to is copied, since that refers to it.
  const copy = { ...change };
  copies.changes.set(change, copy);
  const { directory, node, after, twin } = change;
  Object.assign(copy, {
    directory: copyOf(directory, copies),
    node: node && copyOf(node, copies),
    after: after && copyOfChange(after, copies),
    twin: twin && copyOfChange(twin, copies),
  });
  return copy;
}

/** What is left after a crash of the tree below `root`: all of it durable. */
export function treeAfterCrash(root: DirectoryNode, survivalOf: () => Survival): DirectoryNode {
  const survivors = new Map<DiskNode, DiskNode>();
  const survivalOfDirectory = new Map<DirectoryNode, Survival>();
  const kept = new Map<EntryChange, boolean>();

  const keeps = (change: EntryChange): boolean => {
    const known = kept.get(change);
    if (known !== undefined) return known;
    const { directory, name, node, after } = change;
    if (after?.twin === change) return after.isDurable || keeps(after);
    const survival = survivalOfDirectory.get(directory) ?? survivalOf();
    survivalOfDirectory.set(directory, survival);
    const isKept =
      survival.keeps({ kind: 'entry', path: join(directory.path, name), present: node !== undefined }) &&
      (!after || after.isDurable || keeps(after));
    kept.set(change, isKept);
    return isKept;
  };
  const survivorOf = <N extends DiskNode>(node: N): N => {
    const known = survivors.get(node);
    if (known) return known as N;
    const survivor = node.kind === 'file' ? node.afterCrash(survivalOf()) : directoryAfterCrash(node);
    survivors.set(node, survivor);
    return survivor as N;
  };
  const directoryAfterCrash = (directory: DirectoryNode): DirectoryNode => {
    const entries = [...directory.afterCrash(keeps)].map(([name, node]): [string, DiskNode] => [
      name,
      survivorOf(node),
    ]);
    return new DirectoryNode(directory.path, entries);
  };
  return survivorOf(root);
}

export const join = (directory: string, name: string): string => `${directory === '/' ? '' : directory}/${name}`;

function put(entries: Map<string, DiskNode>, name: string, node: DiskNode | undefined): void {
  if (node) entries.set(name, node);
  else entries.delete(name);
}
