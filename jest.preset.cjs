/** What every project's Jest shares: swc for TypeScript, the aliases of tsconfig.base.json, and real servers. */
module.exports = {
  rootDir: __dirname,
  testEnvironment: 'node',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  moduleNameMapper: {
    '^@keyturn/platform/(.*)$': '<rootDir>/libs/platform/src/$1/index.ts',
    '^@keyturn/(contracts|list-query|webhook-store|testing)$': '<rootDir>/libs/$1/src/index.ts',
  },
  globalSetup: '<rootDir>/libs/testing/src/jest-global-setup.ts',
  globalTeardown: '<rootDir>/libs/testing/src/jest-global-teardown.ts',
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
};
