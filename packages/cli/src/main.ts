#!/usr/bin/env node
import { runCommandLine } from './command-line.js';

// `| head` ends reading: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.kill(process.pid, 'SIGINT');
});

process.exitCode = await runCommandLine(process.argv.slice(2), process);
