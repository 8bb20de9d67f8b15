import { createTraceState, type TraceState } from '@opentelemetry/api';

/**
 * A trace state as it came, byte for byte: parsing drops members that the API does not allow, and everything beyond
 * 512 characters. It is parsed only when somebody asks for a member.
 */
export class WireTraceState implements TraceState {
  private readonly text: string;
  private members: TraceState | undefined;

  constructor(text: string) {
    this.text = text;
  }

  get(key: string): string | undefined {
    return this.parsed().get(key);
  }

  set(key: string, value: string): TraceState {
    return this.parsed().set(key, value);
  }

  unset(key: string): TraceState {
    return this.parsed().unset(key);
  }

  serialize(): string {
    return this.text;
  }

  private parsed(): TraceState {
    this.members ??= createTraceState(this.text);
    return this.members;
  }
}
