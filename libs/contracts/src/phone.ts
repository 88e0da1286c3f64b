/** Longer text is no telephone number, and is not looked at. */
const maxLength = 100;

/** `x9`, `ext. 9`, `extension 9`, `#9` behind a digit, and whatever follows. */
const extension = /(\d[^\da-z#]*)(?:extension|extn|ext|x|#)[\s.:=]*\d.*$/is;

/**
 * A telephone number as its national digits, by which two spellings of it are the same (T-065): formatting and extension
 * dropped, and the leading 1 of the North American plan. Undefined below seven digits: too few to tell anybody by.
 */
export function nationalDigits(phone: string): string | undefined {
  if (phone.length > maxLength) return undefined;
  const digits = phone.normalize('NFKC').replace(extension, '$1').replace(/\D/g, '');
  const national = /^1[2-9]\d{9}$/.test(digits) ? digits.slice(1) : digits;
  return national.length >= 7 ? national : undefined;
}
