import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** A request as the independent decoder reads it: OTLP/JSON, but for bytes in base64. What is empty is not there. */
export interface DecodedRequest {
  readonly resourceSpans?: ReadonlyArray<{
    readonly resource?: unknown;
    readonly schemaUrl?: string;
    readonly scopeSpans?: ReadonlyArray<{
      readonly scope?: unknown;
      readonly schemaUrl?: string;
      readonly spans?: readonly DecodedFields[];
    }>;
  }>;
}

type DecodedFields = Readonly<Record<string, unknown>>;

const LINE_FEED = 0x0a;

/** The program of this folder, which answers one request after the other. */
export class DecoderProcess {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly asked: Array<{ answer: (line: string) => void; fail: (error: Error) => void }> = [];
  private line: Buffer[] = [];

  constructor(binary: string) {
    this.child = spawn(binary);
    this.child.stdout.on('data', (data: Buffer) => this.read(data));
    this.child.stderr.pipe(process.stderr);
    this.child.stdin.on('error', (error) => this.failAll(error));
    this.child.on('error', (error) => this.failAll(error));
    this.child.on('exit', (code, signal) => this.failAll(new Error(`the decoder ended: ${code ?? signal}`)));
  }

  /** Rejects with what the decoder has against the request. */
  async decode(request: Uint8Array): Promise<DecodedRequest> {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(request.length);
    const line = await new Promise<string>((answer, fail) => {
      this.asked.push({ answer, fail });
      this.child.stdin.write(length);
      this.child.stdin.write(request);
    });
    const { request: decoded, error } = JSON.parse(line) as { request?: DecodedRequest; error?: string };
    if (!decoded) throw new Error(error);
    return decoded;
  }

  close(): void {
    this.child.stdin.end();
  }

  private read(data: Buffer): void {
    let start = 0;
    for (let end = data.indexOf(LINE_FEED); end >= 0; end = data.indexOf(LINE_FEED, start)) {
      const line = Buffer.concat([...this.line, data.subarray(start, end)]);
      this.line = [];
      this.asked.shift()!.answer(line.toString());
      start = end + 1;
    }
    this.line.push(data.subarray(start));
  }

  private failAll(error: Error): void {
    for (const { fail } of this.asked.splice(0)) fail(error);
  }
}

/** Every span with what it stands under. Sorted: how spans are grouped, and which group comes first, says nothing. */
export function decodedSpans({ resourceSpans = [] }: DecodedRequest): DecodedFields[] {
  const spans = resourceSpans.flatMap(({ resource, schemaUrl: resourceSchemaUrl, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope, schemaUrl: scopeSchemaUrl, spans = [] }) =>
      spans.map((span) => ({ ...span, resource, resourceSchemaUrl, scope, scopeSchemaUrl })),
    ),
  );
  const keyed = spans.map((span) => ({ span, key: JSON.stringify(span) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ span }) => span);
}
