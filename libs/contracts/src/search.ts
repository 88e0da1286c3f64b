import { nationalDigits } from './phone';
import type { AnyRecord, Resource } from './resource';

/**
 * One form for all spellings that a search takes as the same. Upper case first, so that ß meets SS and ı meets I; the two
 * small sigmas are one letter.
 */
export function foldCase(text: string): string {
  return text.normalize('NFC').toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}

/** The words of `search=`, folded; each must occur in some searched field (T-073). */
export function searchWords(search: string): string[] {
  return [...new Set(foldCase(search).split(/\s+/u).filter(Boolean))];
}

/** What `search=` looks into: every searched field, folded, one a line; telephone numbers also by their digits alone. */
export function searchText(resource: Resource, record: AnyRecord): string {
  const lines: string[] = [];
  for (const [name, field] of Object.entries(resource.fields)) {
    const value = record[name];
    if (!field.searched || typeof value !== 'string' || value === '') continue;
    lines.push(foldCase(value));
    if (field.digits) lines.push(value.replace(/\D/g, ''));
  }
  return lines.join('\n');
}

/** The national digits of all telephone fields: what a lookup by number compares with (T-065). */
export function phoneKeys(resource: Resource, record: AnyRecord): string[] {
  const keys = new Set<string>();
  for (const [name, field] of Object.entries(resource.fields)) {
    const value = record[name];
    const digits = field.digits && typeof value === 'string' ? nationalDigits(value) : undefined;
    if (digits !== undefined) keys.add(digits);
  }
  return [...keys];
}
