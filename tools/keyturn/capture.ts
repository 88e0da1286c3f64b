import { Readable } from 'node:stream';
import { runCommandLine } from './command-line';

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Circumstances {
  /** Where the system is: `NATS_URL` and `ADMIN_TOKEN`. */
  readonly env: NodeJS.ProcessEnv;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  /** Hears what comes to stdout as it comes. */
  readonly out?: (text: string) => void;
}

/** Runs one command in this process: what a script would see of it, without the cost of a process. */
export async function captureCommandLine(
  line: readonly string[],
  { env, stdin = '', signal = new AbortController().signal, out: hear }: Circumstances,
): Promise<Captured> {
  let out = '';
  let err = '';
  const code = await runCommandLine(line, {
    env,
    stdin: Readable.from([Buffer.from(stdin)]),
    out: (text) => {
      out += text;
      hear?.(text);
    },
    err: (text) => (err += text),
    isInteractive: false,
    signal,
  });
  return { code, out, err };
}
