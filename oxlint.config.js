/**
 * The linter. Its import rules are the map of the house (DESIGN §5): which room may name which room, and which package.
 * `test/integration/house-rules.test.ts` shows that each of them bites.
 */

/** What each room of src/ may import from: other rooms, and packages beside Node's own. */
export const HOUSE = {
  // What server and client share: runs in a browser too, so not even Node.
  protocol: { rooms: [], packages: [], node: false },
  // Pure; kysely only as the type of a handler's database.
  domain: { rooms: [], packages: ['zod'], types: ['kysely'] },
  platform: { rooms: ['protocol'], packages: ['kysely', 'pg', 'pg-copy-streams', 'pino', 'uuid', 'zod'] },
  'event-store': { rooms: ['domain', 'platform', 'protocol'], packages: ['pg', 'lru-cache', 'uuid', 'zod'] },
  // Who calls, and what of the application is theirs.
  rights: { rooms: ['domain', 'platform', 'protocol'], packages: ['zod'] },
  commands: {
    rooms: ['domain', 'event-store', 'platform', 'protocol', 'rights'],
    packages: ['lru-cache', 'uuid', 'zod'],
  },
  outbox: { rooms: ['broker', 'domain', 'event-store', 'platform', 'protocol'], packages: ['pg', 'zod'] },
  broker: {
    rooms: ['domain', 'event-store', 'platform', 'projections', 'protocol'],
    packages: ['zod'],
  },
  // Records of other systems become commands.
  inbound: { rooms: ['broker', 'domain', 'platform', 'protocol'], packages: ['zod'] },
  projections: {
    rooms: ['broker', 'domain', 'event-store', 'platform', 'protocol'],
    packages: ['kysely', 'pg', 'lru-cache', 'zod'],
  },
  queries: {
    rooms: ['domain', 'event-store', 'platform', 'projections', 'protocol', 'rights'],
    packages: ['pg', 'kysely', 'zod'],
  },
  realtime: {
    rooms: ['broker', 'domain', 'event-store', 'platform', 'projections', 'protocol', 'rights'],
    packages: ['lru-cache', 'secure-json-parse', 'uuid', 'zod'],
  },
  // Runs in a browser: of the domain and of zod only types (test/unit/client/bundle.test.ts looks at what is bundled).
  client: { rooms: ['domain', 'protocol'], packages: [], types: ['zod'], node: false },
  app: {
    rooms: [
      'broker',
      'commands',
      'domain',
      'event-store',
      'inbound',
      'outbox',
      'platform',
      'projections',
      'protocol',
      'queries',
      'realtime',
      'rights',
    ],
    packages: ['*'],
  },
  cli: {
    rooms: [
      'app',
      'broker',
      'commands',
      'domain',
      'event-store',
      'inbound',
      'outbox',
      'platform',
      'projections',
      'protocol',
      'queries',
      'realtime',
    ],
    packages: ['commander', 'tsx', 'zod'],
  },
  testing: {
    rooms: ['app', 'domain', 'event-store', 'platform', 'projections', 'protocol', 'queries'],
    packages: ['fast-check', 'zod'],
  },
};

/** Packages that only certain places may name, even of the rooms that may name any. */
const AT_HOME = {
  pg: [],
  kysely: [],
  jose: ['src/rights/jwt/**'],
  kafkajs: ['src/broker/kafka/**'],
  'uWebSockets.js': ['src/realtime/sockets/uws/**'],
  react: ['src/client/react/**'],
  // Only who wants the fallback loads it.
  'eventsource-parser': ['src/client/sse/**'],
  // The test kit is a client: Node 20 has no WebSocket of its own.
  ws: ['src/realtime/sockets/ws/**', 'src/testing/subscription.ts'],
};
const HTTP_FILES = ['src/*/http.ts', 'src/*/*-http.ts', 'src/*/http/**'];
const ADAPTERS =
  '^(\\.\\./|\\./)+(broker/(postgres|kafka)|realtime/sockets/(uws|ws)|sockets/(uws|ws)|uws|ws)(/|$)';

const allRooms = Object.keys(HOUSE);
const NODE = ['!node:*', '!node:*/**'];
const RELATIVE = ['!./**', '!../**'];

function patterns(room, morePackages = []) {
  const { rooms, packages, types = [], node = true } = HOUSE[room];
  const forbidden = allRooms.filter((other) => other !== room && !rooms.includes(other));
  const allowed = [...packages, ...types, ...morePackages];
  const only = [
    rooms.length ? rooms.join(', ') : 'no other room',
    allowed.length ? allowed.join(', ') : 'no package',
  ];
  const list = [
    {
      regex: `^(\\.\\./)+(${forbidden.join('|')})(/|$)`,
      message: `${room} imports from ${only[0]} only (DESIGN §5).`,
    },
    { regex: '^(\\.\\./)+(test|examples|bench|scripts|dist)/', message: 'src/ stands on its own.' },
    { regex: '^tidemark($|/)', message: 'Inside of src/, import the file itself.' },
  ];
  if (types.length)
    list.push({
      regex: `^(${types.join('|')})($|/)`,
      allowTypeImports: true,
      message: 'As a type only (DESIGN §5).',
    });
  if (room !== 'app' && room !== 'cli')
    list.push({ regex: ADAPTERS, message: 'Only app and cli name adapters (DESIGN §5).' });
  if (allowed.includes('*')) {
    const names = Object.keys(AT_HOME).join('|');
    list.push({ regex: `^(${names})($|/)`, message: 'It has a room of its own (DESIGN §5).' });
  } else {
    // Last, as what it lets through no later pattern looks at.
    const group = [
      '*',
      '@*/**',
      ...RELATIVE,
      ...(node ? NODE : []),
      ...allowed.flatMap((name) => [`!${name}`, `!${name}/**`]),
    ];
    list.push({ group, message: `${room} imports ${only[1]} only (DESIGN §5).` });
  }
  return list;
}

const importRule = (list) => ({ 'no-restricted-imports': ['error', { patterns: list }] });
const inRoom = (room) => ({ files: [`src/${room}/**`], rules: importRule(patterns(room)) });
const withPackages = (room, files, packages) => ({ files, rules: importRule(patterns(room, packages)) });
const httpOf = (room) =>
  withPackages(
    room,
    HTTP_FILES.map((glob) => glob.replace('*', room)),
    ['fastify', '@fastify/*'],
  );
const withHttp = ['commands', 'queries', 'realtime', 'rights', 'outbox', 'projections'];

export default {
  plugins: ['typescript', 'import', 'unicorn', 'oxc', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  ignorePatterns: ['dist/**', 'coverage/**', '.tidemark/**'],
  rules: {
    'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    'typescript/no-explicit-any': 'error',
    // `typeof import('…')` is how a library that is loaded by require() gets its type.
    'typescript/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
    'typescript/no-non-null-assertion': 'error',
    'typescript/ban-ts-comment': 'error',
    'no-console': 'error',
    eqeqeq: 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    'unicorn/no-process-exit': 'error',
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    // Taste, not faults.
    'import/no-named-as-default': 'off',
    'import/no-named-as-default-member': 'off',
    'no-underscore-dangle': 'off',
    'promise/always-return': 'off',
    // `given(…).when(…).then(…)` is no promise.
    'promise/valid-params': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/no-array-sort': 'off',
    // A copy of what the loop changes is no waste.
    'unicorn/no-useless-spread': 'off',
    'no-unmodified-loop-condition': 'off',
  },
  overrides: [
    ...allRooms.map(inRoom),
    ...withHttp.map(httpOf),
    ...Object.entries(AT_HOME).flatMap(([name, places]) =>
      places.map((place) => withPackages(place.split('/')[1], [place], [name])),
    ),
    {
      files: ['src/cli/**', 'scripts/**', 'bin/**'],
      rules: { 'no-console': 'off', 'unicorn/no-process-exit': 'off' },
    },
    {
      files: ['test/**', 'examples/**/*.test.ts'],
      rules: {
        'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
        'max-lines-per-function': 'off',
        'no-console': 'off',
        'unicorn/no-array-fill-with-reference-type': 'off',
      },
    },
    {
      files: [
        '*.config.*',
        'examples/**',
        'test/support/global-setup.ts',
        'test/support/*-app.ts',
        'test/package/**',
      ],
      rules: { 'import/no-default-export': 'off' },
    },
    {
      files: ['examples/orders/board/**'],
      plugins: ['typescript', 'import', 'unicorn', 'oxc', 'promise', 'react', 'jsx-a11y'],
      rules: {
        // JSX needs no React in sight; a bundler takes styles as imports.
        'react/react-in-jsx-scope': 'off',
        'import/no-unassigned-import': ['error', { allow: ['**/*.css'] }],
        // Looked at by axe, on the page as it is in a browser (test/browser).
        'jsx-a11y/control-has-associated-label': 'off',
        'jsx-a11y/no-noninteractive-tabindex': 'off',
        'jsx-a11y/prefer-tag-over-role': 'off',
        'jsx-a11y/role-has-required-aria-props': 'off',
        // Effects also run for what is on the page, which no dependency tells.
        'react/exhaustive-effect-dependencies': 'off',
      },
    },
    {
      files: ['bench/**', 'examples/**/*.js'],
      rules: { 'no-console': 'off', 'max-lines-per-function': 'off', 'unicorn/no-process-exit': 'off' },
    },
  ],
};
