import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readSettings, setting, SettingsError } from '.';

const key = 'a-key-of-more-than-thirty-two-characters';

describe('secrets from files', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'keyturn-settings-'));
    writeFileSync(path.join(folder, 'key'), `${key}\n`);
    writeFileSync(path.join(folder, 'short'), 'short');
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  const spec = { key: setting.secret('SECRETS_KEY'), level: setting.text('LOG_LEVEL', 'info') };
  const problemsOf = (env: Record<string, string>): readonly string[] => {
    try {
      readSettings(spec, env);
    } catch (error) {
      if (error instanceof SettingsError) return error.problems;
      throw error;
    }
    return [];
  };

  it('reads a secret from the file that <VARIABLE>_FILE names, without its last line break', () => {
    expect(readSettings(spec, { SECRETS_KEY_FILE: path.join(folder, 'key') }).key).toBe(key);
  });

  it('checks a secret from a file like any other', () => {
    expect(problemsOf({ SECRETS_KEY_FILE: path.join(folder, 'short') })).toEqual([
      'SECRETS_KEY must have at least 32 characters',
    ]);
  });

  it('refuses a file that is not there, and a variable that is given twice', () => {
    expect(problemsOf({ SECRETS_KEY_FILE: path.join(folder, 'none') })).toEqual([
      expect.stringContaining('SECRETS_KEY_FILE names a file that cannot be read'),
    ]);
    expect(problemsOf({ SECRETS_KEY: key, SECRETS_KEY_FILE: path.join(folder, 'key') })).toEqual([
      'SECRETS_KEY and SECRETS_KEY_FILE are both set: keep one',
    ]);
  });

  it('reads only secrets from files', () => {
    expect(readSettings(spec, { SECRETS_KEY: key, LOG_LEVEL_FILE: path.join(folder, 'key') }).level).toBe('info');
  });
});
