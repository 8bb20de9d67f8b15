import type { OpenFile } from '@otel-resilience/core';
import { quietly } from './file-errors.js';

/** Uses a file that is being opened, and closes it whatever happens. */
export async function withFile<T>(opening: Promise<OpenFile>, use: (file: OpenFile) => Promise<T>): Promise<T> {
  const file = await opening;
  try {
    return await use(file);
  } finally {
    await quietly(file.close());
  }
}

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
