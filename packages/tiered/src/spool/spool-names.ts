import { isCheckpointName } from './ledger-checkpoint.js';
import { QUARANTINE } from './quarantine.js';
import { ACK_NAME, SEGMENT_NAME } from './segment.js';
import { isOwnersName } from './spool-directory.js';

export const isSegmentName = (name: string): boolean => SEGMENT_NAME.test(name);
export const isNoteName = (name: string): boolean => ACK_NAME.test(name);

/** Of what a spool puts into its directory. */
export const isSpoolName = (name: string): boolean =>
  isSegmentName(name) || isNoteName(name) || name === QUARANTINE || isOwnersName(name) || isCheckpointName(name);
