/** What the process ends with; README.md has them for users. */
export const EXIT = {
  fine: 0,
  /** Damage was found, or not everything could be sent or moved. */
  incomplete: 1,
  /** Wrong arguments, or a place that is not there or cannot be read. */
  usage: 2,
  /** A live process has the directory. */
  inUse: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a user can do something about: shown as `message` and `remedy`, without a stack. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  readonly remedy: string;

  constructor(exitCode: ExitCode, message: string, remedy: string) {
    super(message);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}
