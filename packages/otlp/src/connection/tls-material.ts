import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Pem, TlsSettings } from '../transport-options.js';

/** What `tls.connect` takes: PEM, checked. */
export interface TlsMaterial {
  readonly ca?: Buffer[];
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly passphrase?: string;
}

/** `code` is the file system's (`ENOENT`), or `ERR_TLS_MATERIAL` for what is no certificate or key. */
export class TlsMaterialError extends Error {
  readonly code: string;

  constructor(message: string, code = 'ERR_TLS_MATERIAL') {
    super(message);
    this.name = 'TlsMaterialError';
    this.code = code;
  }
}

/**
 * Reads certificates and keys, files each time anew, unless they are just being read. What cannot be used is an error that names the option and the
 * file, where OpenSSL would name neither, and never its contents: hence no `cause`.
 */
export function readTlsFiles(settings: TlsSettings): Promise<TlsMaterial> {
  let reading = inFlight.get(settings);
  if (!reading) {
    reading = read(settings).finally(() => inFlight.delete(settings));
    inFlight.set(settings, reading);
  }
  return reading;
}

// A file system that hangs must not get another thread of the pool with every attempt.
const inFlight = new WeakMap<TlsSettings, Promise<TlsMaterial>>();

async function read({ ca, cert, key, passphrase }: TlsSettings): Promise<TlsMaterial> {
  const [cas, chain, secret] = await Promise.all([
    ca && Promise.all(ca.map((pem) => readPem(pem, 'tls.ca'))),
    cert && readPem(cert, 'tls.cert'),
    key && readPem(key, 'tls.key'),
  ]);
  for (const one of cas ?? []) parseCertificate(one);
  if (chain && secret) {
    const certificate = parseCertificate(chain);
    if (!certificate.checkPrivateKey(parseKey(secret, passphrase))) {
      throw new TlsMaterialError(`${secret.name} is not the key of ${chain.name}`);
    }
  }
  return {
    ...(cas && { ca: cas.map(({ bytes }) => bytes) }),
    ...(chain && { cert: chain.bytes }),
    ...(secret && { key: secret.bytes, ...(passphrase !== undefined && { passphrase }) }),
  };
}

interface ReadPem {
  readonly name: string;
  readonly bytes: Buffer;
}

async function readPem(pem: Pem, option: string): Promise<ReadPem> {
  if ('pem' in pem) return { name: option, bytes: Buffer.from(pem.pem) };
  const name = `${option} (${shown(pem.file)})`;
  try {
    return { name, bytes: await readFile(pem.file) };
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    throw new TlsMaterialError(`${name} cannot be read: ${code}`, code);
  }
}

function parseCertificate({ name, bytes }: ReadPem): X509Certificate {
  try {
    // It would also take DER, which TLS does not.
    if (bytes.includes('-----BEGIN')) return new X509Certificate(bytes);
  } catch {}
  throw new TlsMaterialError(`${name} is not a PEM certificate`);
}

/** Whether it is PEM, and needs a passphrase; a path does not say. */
export function isEncryptedPem(pem: string | Uint8Array): boolean {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1');
  return /-----BEGIN (?:ENCRYPTED |[^\n]*\s+Proc-Type: *4, *ENCRYPTED)/.test(text);
}

function parseKey({ name, bytes }: ReadPem, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: bytes, ...(passphrase !== undefined && { passphrase }) });
  } catch {
    if (passphrase === undefined && isEncryptedPem(bytes)) {
      throw new TlsMaterialError(`${name} is encrypted: set tls.passphrase`);
    }
    throw new TlsMaterialError(
      `${name} is not a PEM private key${passphrase === undefined ? '' : ' of this passphrase'}`,
    );
  }
}

// A key without its PEM lines, such as the base64 of a Kubernetes secret, is taken for a path: it must not be shown.
// It begins with M; a path does with a slash, a dot, a tilde or a drive, or ends with an extension.
const LOOKS_LIKE_A_PATH = /^(?=.{1,255}$)(?:[/.~].*|[A-Za-z]:.*|.*\.[A-Za-z0-9]{1,8})$/;

const shown = (path: string): string =>
  LOOKS_LIKE_A_PATH.test(path) ? path : 'not shown: not like the path of a file';
