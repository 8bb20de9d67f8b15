import { describeError } from '@otel-resilience/core';
import type { TierState } from './tier.js';

/** A tier's state as it may be shown; `error` is without secrets. */
export type TierStatus =
  | { readonly kind: 'up'; readonly since: number }
  | { readonly kind: 'down'; readonly since: number; readonly error: string };

export const shownState = (state: TierState): TierStatus =>
  state.kind === 'up' ? state : { ...state, error: describeError(state.error) };
