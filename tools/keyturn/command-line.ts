import type { Readable } from 'node:stream';
import { parseArgs, type ParseArgsConfig, types } from 'node:util';
import { ApiError } from '@keyturn/contracts';
import { Cluster } from './cluster';
import { type Call, type Command, UsageError } from './command';
import { deliveryCommands } from './commands/deliveries';
import { demoCommands } from './commands/demo';
import { eraseCommands } from './commands/erase';
import { eventCommands } from './commands/events';
import { feedCommands } from './commands/feed';
import { keyCommands } from './commands/keys';
import { listenCommands } from './commands/listen';
import { maintenanceCommands } from './commands/maintenance';
import { memberCommands } from './commands/members';
import { replayCommands } from './commands/replays';
import { spaceCommands } from './commands/spaces';
import { webhookCommands } from './commands/webhooks';

export const commands: readonly Command[] = [
  ...spaceCommands,
  ...memberCommands,
  ...keyCommands,
  ...eventCommands,
  ...feedCommands,
  ...webhookCommands,
  ...deliveryCommands,
  ...replayCommands,
  ...demoCommands,
  ...eraseCommands,
  ...maintenanceCommands,
  ...listenCommands,
];

/** Where a run reads and writes. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Somebody looks at stderr, so progress is worth writing. */
  readonly isInteractive: boolean;
  readonly signal: AbortSignal;
}

/** Runs one command; the exit code. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  // Known before anything is parsed, so that even a wrong command line is answered in the form that was asked for.
  const json = argv.includes('--json');
  try {
    return await run(argv, json, terminal);
  } catch (error) {
    complain(terminal, json, explain(error, findCommand(argv)));
    return 1;
  }
}

async function run(argv: readonly string[], json: boolean, terminal: Terminal): Promise<number> {
  const command = findCommand(argv);
  if (!command) {
    const words = argv.filter((word) => !word.startsWith('-'));
    const group = commands.filter(({ name }) => words.length === 0 || name.startsWith(`${words[0]} `));
    if (group.length === 0 || words.length > 1)
      throw new UsageError(`there is no command "${words.join(' ')}"; --help lists them all`);
    if (argv.length > 0 && !argv.includes('--help'))
      throw new UsageError(`one of these is needed: ${group.map(({ name }) => name).join(', ')}`);
    terminal.out(overview(group));
    return 0;
  }
  if (argv.includes('--help')) {
    terminal.out(help(command));
    return 0;
  }
  let cluster: Promise<Cluster> | undefined;
  const call: Call = {
    ...parse(command, argv.slice(command.name.split(' ').length)),
    env: terminal.env,
    stdin: terminal.stdin,
    json,
    signal: terminal.signal,
    cluster: () => (cluster ??= Cluster.connect(terminal.env)),
    progress: (sentence) => {
      if (terminal.isInteractive) terminal.err(`${sentence}\n`);
    },
    print: (line) => terminal.out(`${visible(line)}\n`),
  };
  try {
    const outcome = await command.run(call);
    if (outcome) terminal.out(json ? `${JSON.stringify(outcome.json)}\n` : `${visible(outcome.text)}\n`);
    if (!outcome?.alarm) return 0;
    complain(terminal, json, outcome.alarm);
    return 1;
  } finally {
    await cluster?.then(
      (connected) => connected.close(),
      () => undefined,
    );
  }
}

/** What publishers and receivers have written is shown to the operator's terminal, never obeyed by it. */
const visible = (text: string): string =>
  text.replace(/(?![\n\t])\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);

function complain({ err }: Terminal, json: boolean, { code, message }: { code: string; message: string }): void {
  err(json ? `${JSON.stringify({ error: { code, message } })}\n` : `keyturn: ${visible(message)}\n`);
}

function findCommand(argv: readonly string[]): Command | undefined {
  return commands.find(({ name }) => name.split(' ').every((word, index) => argv[index] === word));
}

function parse(command: Command, argv: readonly string[]): Pick<Call, 'flags' | 'switches' | 'operands'> {
  const known = Object.entries(command.flags ?? {});
  const { values, positionals } = parseStrictly(command, argv, known);
  const flags: Record<string, string> = {};
  const switches = new Set<string>();
  for (const [name, flag] of known) {
    const value = values[name];
    if (typeof value === 'string') flags[name] = value;
    else if (value === true) switches.add(name);
    if (flag.required && !flags[name]) throw new UsageError(`--${name} is required: ${usage(command)}`);
  }
  const operands = command.operands ?? [];
  if (positionals.length !== operands.length) throw new UsageError(`usage: ${usage(command)}`);
  return { flags, switches, operands: positionals };
}

type KnownFlags = readonly (readonly [string, NonNullable<Command['flags']>[string]])[];

function parseStrictly(command: Command, argv: readonly string[], known: KnownFlags) {
  const options: NonNullable<ParseArgsConfig['options']> = { json: { type: 'boolean' } };
  for (const [name, { value }] of known) options[name] = { type: value ? 'string' : 'boolean' };
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!types.isNativeError(error) || !('code' in error) || !String(error.code).startsWith('ERR_PARSE_ARGS'))
      throw error;
    // Node's first sentence says what is wrong; what follows it is advice on quoting.
    const sentence = error.message
      .split(/\. |\.?\n|\.$/)[0]
      ?.replace(/( <value>)?' argument (is ambiguous|missing)$/, "' needs a value");
    throw new UsageError(`${sentence}; usage: ${usage(command)}`);
  }
}

function usage({ name, operands = [], flags = {} }: Command): string {
  const words = Object.entries(flags).map(([flag, { value, required }]) => {
    const text = value ? `--${flag} ${value}` : `--${flag}`;
    return required ? text : `[${text}]`;
  });
  return ['keyturn', name, ...operands, ...words, '[--json]'].join(' ');
}

function help(command: Command): string {
  const flags = Object.entries({ ...command.flags, json: { description: 'one JSON document on stdout' } });
  const left = flags.map(([name, flag]) => `--${name}${'value' in flag && flag.value ? ` ${flag.value}` : ''}`);
  const width = Math.max(...left.map((text) => text.length));
  const lines = flags.map(([, flag], index) => {
    const needed = 'required' in flag && flag.required ? ' (required)' : '';
    return `  ${(left[index] as string).padEnd(width)}  ${flag.description}${needed}`;
  });
  return `${command.summary}.\n\nUsage: ${usage(command)}\n\n${lines.join('\n')}\n`;
}

function overview(shown: readonly Command[]): string {
  const left = shown.map(({ name, operands = [] }) => [name, ...operands].join(' '));
  const width = Math.max(...left.map((text) => text.length));
  const lines = shown.map(({ summary }, index) => `  ${(left[index] as string).padEnd(width)}  ${summary}`);
  return `Usage: npm run -s keyturn -- <command> [--json]\n\n${lines.join('\n')}\n\n<command> --help says what a command takes.\n`;
}

function explain(error: unknown, command: Command | undefined): { code: string; message: string } {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message };
  if (error instanceof ApiError) {
    const hint = error.code === 'UNAVAILABLE' ? ' (is the system running?)' : '';
    return { code: error.code, message: `${inFlags(error, command)}${hint}` };
  }
  return { code: 'INTERNAL_ERROR', message: types.isNativeError(error) ? error.message : String(error) };
}

/** A service speaks of fields; whoever typed a flag is told of the flag. */
function inFlags({ message, options: { field } }: ApiError, command: Command | undefined): string {
  const flag = Object.entries(command?.flags ?? {}).find(([name, flag]) => field === (flag.field ?? camelCase(name)));
  if (!flag || field === undefined) return message;
  return message.startsWith(field) ? `--${flag[0]}${message.slice(field.length)}` : `--${flag[0]}: ${message}`;
}

const camelCase = (name: string) => name.replace(/-(\w)/g, (_hyphen, letter: string) => letter.toUpperCase());
