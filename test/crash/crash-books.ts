/** What the processes of one directory have said they did, line by line, and what they owe. */
export class CrashBooks {
  readonly violations: string[] = [];
  acknowledged = 0;
  /** Spans, some of them more than once. */
  receipts = 0;
  duplicates = 0;
  /** Of those that were entered last. */
  lastReceipts = 0;
  recovered = 0;
  nextId = 1;
  private readonly appended = new Set<number>();
  private readonly received = new Set<number>();
  private readonly unreceived = new Set<number>();

  /** Spans that were acknowledged and have not been received yet. */
  get owed(): number {
    return this.unreceived.size;
  }

  /**
   * Enters what processes have said that ran at the same time, and are no more; `context` says which. One that was alone and
   * has emptied the spool must have received all that was owed before it came. Returns where each was when it ended.
   */
  enter(logs: readonly string[], context: string): string[] {
    const before = [...this.unreceived];
    this.lastReceipts = 0;
    // What follows the last line feed was not said to the end.
    const lines = logs.map((log) => log.split('\n').slice(0, -1));
    // One may have received what the other has appended.
    for (const line of lines.flat()) if (/^(appending|ending) /.test(line)) this.enterAppended(idsOf(line));
    return lines.map((said) => {
      let phase = 'start';
      let killed: string | undefined;
      for (const line of said) {
        const [what, first] = line.split(' ');
        if (what === 'phase') phase = first!;
        else if (what === 'killed') killed = line.slice('killed '.length);
        else if (what === 'closed') phase = 'shutdown done';
        else if (what === 'recovered') this.recovered += Number(first);
        else if (what === 'acknowledged') this.enterAcknowledged(idsOf(line));
        else if (what === 'received') this.enterReceived(idsOf(line), context);
        else if (what === 'trouble' || what === 'corrupt') this.violations.push(`${line}: ${context}`);
        else if (what === 'drained' && logs.length === 1) this.checkReceived(before, context);
      }
      return killed ?? phase;
    });
  }

  private enterAppended(ids: readonly number[]): void {
    for (const id of ids) this.appended.add(id);
    this.nextId = Math.max(this.nextId, ...ids.map((id) => id + 1));
  }

  private enterAcknowledged(ids: readonly number[]): void {
    this.acknowledged += ids.length;
    for (const id of ids) if (!this.received.has(id)) this.unreceived.add(id);
  }

  private enterReceived(ids: readonly number[], context: string): void {
    for (const id of ids) {
      if (!this.appended.has(id)) this.violations.push(`received ${id}, which nobody has appended: ${context}`);
      this.receipts++;
      this.lastReceipts++;
      if (this.received.has(id)) this.duplicates++;
      this.received.add(id);
      this.unreceived.delete(id);
    }
  }

  /** Received, or owed by the spool. */
  isSafe(id: number): boolean {
    return this.received.has(id) || this.unreceived.has(id);
  }

  private checkReceived(ids: readonly number[], context: string): void {
    const lost = ids.filter((id) => this.unreceived.has(id));
    if (lost.length > 0) this.violations.push(`lost ${lost.join(' ')}: ${context}`);
  }
}

const idsOf = (line: string): number[] => line.split(' ').slice(1).map(Number);
