/**
 * Lints the OpenAPI document on stdin and prints what is wrong with it as a JSON array. A program of its own: the linter is an
 * ES module, which Jest does not load.
 */
import { text } from 'node:stream/consumers';
import { createConfig, lintFromString } from '@redocly/openapi-core';

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    'no-invalid-media-type-examples': 'error',
    'no-invalid-schema-examples': 'error',
    'no-invalid-parameter-examples': 'error',
    'operation-description': 'error',
    'tags-alphabetical': 'off',
  },
});
const problems = await lintFromString({ source: await text(process.stdin), config });
const seen = problems.map(({ ruleId, message, location }) => ({ ruleId, message, at: location[0]?.pointer }));
process.stdout.write(JSON.stringify(seen));
