import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Which library each project may import. Apps never import apps; a library imports only what stands here. */
const mayImport = {
  'lib:contracts': [],
  'lib:list-query': ['lib:contracts'],
  'lib:platform': ['lib:contracts'],
  'lib:webhook-store': ['lib:contracts', 'lib:list-query', 'lib:platform'],
  'lib:testing': ['lib:contracts', 'lib:platform'],
  'app:api-gateway': ['lib:contracts', 'lib:list-query', 'lib:platform'],
  'app:data-service': ['lib:contracts', 'lib:list-query', 'lib:platform'],
  'app:webhook-service': ['lib:contracts', 'lib:list-query', 'lib:platform', 'lib:webhook-store'],
  'app:dispatcher': ['lib:contracts', 'lib:list-query', 'lib:platform', 'lib:webhook-store'],
  tool: ['lib'],
};

const boundaries = (extraForSpecs) => [
  'error',
  {
    enforceBuildableLibDependency: false,
    banTransitiveDependencies: false,
    allow: [],
    // Only the specs of these two look at each other: the platform is tested on the servers that testing starts.
    ignoredCircularDependencies: [['platform', 'testing']],
    depConstraints: Object.entries(mayImport).map(([sourceTag, libs]) => ({
      sourceTag,
      onlyDependOnLibsWithTags: [...libs, ...extraForSpecs],
    })),
  },
];

export default tseslint.config(
  { ignores: ['**/dist', '**/node_modules', '.nx', '.keyturn', '**/*.generated.*'] },
  { plugins: { '@nx': nx } },
  ...tseslint.configs.recommended.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    // Constructor parameters are read at run time by Nest's injection, so their imports are values.
    languageOptions: { parserOptions: { experimentalDecorators: true, emitDecoratorMetadata: true } },
    rules: {
      '@nx/enforce-module-boundaries': boundaries([]),
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      // A leading underscore says: taken out so that the rest is without it.
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      // `== null` says "neither null nor undefined", which nothing else says as shortly.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      // Taking a property out of an object names it.
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
    },
  },
  {
    files: ['**/*.spec.ts', '**/*.fixture.ts', '**/*-fixture.ts'],
    rules: { '@nx/enforce-module-boundaries': boundaries(['lib:testing']) },
  },
  { files: ['tools/**/*.ts'], rules: { 'no-console': 'off' } },
);
