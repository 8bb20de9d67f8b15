import {
  type ApplicationText,
  ArgumentScannerError,
  buildApplication,
  buildRouteMap,
  formatMessageForArgumentScannerError,
  text_en,
} from '@stricli/core';
import { fsck } from './spool/fsck-command.js';
import { ls } from './spool/ls-command.js';
import { replay } from './spool/replay-command.js';
import { ls as tiersLs } from './tiers/ls-command.js';
import { migrate } from './tiers/migrate-command.js';
import { rehydrate } from './tiers/rehydrate-command.js';
import { VERSION } from './version.js';

/** What was typed is not repeated: it may be a header's value. */
const text: ApplicationText = {
  ...text_en,
  exceptionWhileParsingArguments: (error) =>
    error instanceof ArgumentScannerError
      ? formatMessageForArgumentScannerError(error, {
          ArgumentParseError: ({ externalFlagNameOrPlaceholder: name, exception }) =>
            `${shownName(name)}: ${exception instanceof Error ? exception.message : 'wrong'}`,
          EnumValidationError: ({ externalFlagName, values }) =>
            `--${externalFlagName}: expected ${values.join(' or ')}`,
          FlagNotFoundError: ({ corrections }) =>
            corrections.length > 0
              ? `unknown option; did you mean ${corrections.map((name) => `--${name}`).join(' or ')}?`
              : 'unknown option',
          AliasNotFoundError: () => 'unknown option: there are no short ones but -h and -v',
          UnexpectedFlagError: ({ externalFlagName }) => `--${externalFlagName}: given more than once`,
          UnexpectedPositionalError: ({ expectedCount }) => `too many arguments: expected ${expectedCount}`,
          UnsatisfiedFlagError: ({ externalFlagName }) => `--${externalFlagName}: a value is missing`,
          UnsatisfiedPositionalError: ({ placeholder }) => `<${placeholder}> is missing`,
          InvalidNegatedFlagSyntaxError: ({ externalFlagName }) => `--${externalFlagName}: takes no value`,
        })
      : String(error),
};

const PLACEHOLDERS = ['directory', 'warm', 'location'];

/** Of an option, or of an argument that has no name when it is typed. */
const shownName = (name: string): string =>
  PLACEHOLDERS.includes(name) ? `<${name}>` : `--${name.replace(/^-+/, '')}`;

export const application = buildApplication(
  buildRouteMap({
    routes: {
      spool: buildRouteMap({
        routes: { ls, fsck, replay },
        docs: { brief: 'Look into the disk spool of an application, check it, send what waits in it' },
      }),
      tiers: buildRouteMap({
        routes: { ls: tiersLs, migrate, rehydrate },
        docs: { brief: 'Look into archives, move and delete what is old, send archived spans again' },
      }),
    },
    docs: {
      brief: 'Tools for what otel-resilience leaves on disk and in object stores',
      fullDescription: [
        'Tools for what otel-resilience leaves on disk and in object stores.',
        '',
        'Exit codes: 0 all is well; 1 damage was found, or not everything could be sent or moved; 2 wrong arguments, or',
        'a place that is not there or cannot be used; 3 a live process has the directory.',
      ].join('\n'),
    },
  }),
  {
    name: 'otel-resilience',
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    localization: { text },
  },
);
