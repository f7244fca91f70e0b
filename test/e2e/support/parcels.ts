/**
 * Parcels on their way, in two versions: what a process of the version change e2e runs. A row of either can be checked by
 * itself: parcel `k` scans after its registration it is at `p<k>`, and version 2 has the whole route.
 */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { z } from 'zod';

export const DEPOTS = ['north', 'south'] as const;

const Parcel = aggregate('parcel', {
  state: z.object({ scans: z.int() }),
  initial: { scans: -1 },
  events: { Registered: z.object({ depot: z.enum(DEPOTS) }), Scanned: z.object({ place: z.string() }) },
  commands: { register: z.object({ depot: z.enum(DEPOTS) }), scan: z.object({}) },
})
  .evolve({
    Registered: () => ({ scans: 0 }),
    Scanned: ({ scans }) => ({ scans: scans + 1 }),
  })
  .decide({
    register: ({ scans }, input, { emit, reject }) =>
      scans < 0 ? emit('Registered', input) : reject('registered_already'),
    scan: ({ scans }, _input, { emit, reject }) =>
      scans < 0 ? reject('not_registered') : emit('Scanned', { place: `p${scans + 1}` }),
  });

const columns = { id: z.string(), depot: z.string(), scans: z.int(), place: z.string().nullable() };
const shared = { key: 'id', indexes: ['depot'], channels: ['depot'] } as const;

const StatusV1 = projection('parcel_status', { ...shared, version: 1, row: z.object(columns) }).on(Parcel, {
  fold: {
    Registered: (_row, { data }) => ({ depot: data.depot, scans: 0, place: null }),
    Scanned: (row, { data }) => row && { ...row, scans: row.scans + 1, place: data.place },
  },
});

/** The route is new. */
const StatusV2 = projection('parcel_status', {
  ...shared,
  version: 2,
  row: z.object({ ...columns, route: z.array(z.string()) }),
}).on(Parcel, {
  fold: {
    Registered: (_row, { data }) => ({ depot: data.depot, scans: 0, place: null, route: [] }),
    Scanned: (row, { data }) =>
      row && { ...row, scans: row.scans + 1, place: data.place, route: [...row.route, data.place] },
  },
});

/** Rows of many streams, whose version stays. */
const Depots = projection('depots', {
  version: 1,
  row: z.object({ depot: z.string(), parcels: z.int() }),
  key: 'depot',
}).on(Parcel, {
  keys: (event) => (event.type === 'Registered' ? event.data.depot : []),
  fold: { Registered: (row) => ({ parcels: (row?.parcels ?? 0) + 1 }) },
});

const totals = (status: typeof StatusV1 | typeof StatusV2) =>
  query('totals', {
    input: z.object({}),
    output: z.object({ parcels: z.int(), scans: z.int() }),
    reads: [status],
  }).handle(async ({ db }) => {
    const { parcels, scans } = await db
      .selectFrom('parcel_status')
      .select(({ fn }) => [fn.countAll<number>().as('parcels'), fn.sum<number | null>('scans').as('scans')])
      .executeTakeFirstOrThrow();
    return { parcels, scans: scans ?? 0 };
  });

export const appOf = (version: 1 | 2) => {
  const status = version === 1 ? StatusV1 : StatusV2;
  return defineApp({
    auth: 'none',
    name: 'parcels',
    aggregates: [Parcel],
    projections: [status, Depots],
    queries: [totals(status)],
    shards: 8,
  });
};
