/** The orders application, its domain code as it is; with a name of its own, so that its topics are one test's alone. */
import { defineApp } from 'tidemark';
import orders from '../../examples/orders/app.js';

const { aggregates, projections, queries } = orders;

export default defineApp({
  auth: 'none',
  name: process.env['TIDEMARK_TEST_APP'] ?? orders.name,
  aggregates,
  projections,
  queries,
  shards: 4,
});
