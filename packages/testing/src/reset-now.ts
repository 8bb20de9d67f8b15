import type { Socket } from 'node:net';

/**
 * Closes a socket with a RST, now. `resetAndDestroy` alone first sends what is pending and a FIN, and so waits for
 * ever on a peer that does not read.
 */
export function resetNow(socket: Socket): void {
  if (socket.destroyed) return;
  // While an end is on its way the system takes no reset.
  const ending = socket.writableEnded && !socket.writableFinished;
  if (!ending && !socket.connecting) {
    Object.defineProperty(socket, 'destroySoon', { value: socket.destroy });
    socket.resetAndDestroy();
  }
  socket.destroy();
}
