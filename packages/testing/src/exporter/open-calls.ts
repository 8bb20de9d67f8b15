/** How many calls are open, and how many ever were at once. */
export class OpenCalls {
  private count = 0;
  private most = 0;

  get open(): number {
    return this.count;
  }

  get maxOpen(): number {
    return this.most;
  }

  /** Returns what closes the call; calling it again changes nothing. */
  begin(): () => void {
    this.count++;
    this.most = Math.max(this.most, this.count);
    let open = true;
    return () => {
      if (open) this.count--;
      open = false;
    };
  }
}
