/** The bank, with a name of its own: its topics are one test's alone. */
import { defineApp } from 'tidemark';
import { Account, Accounts, Owners, SHARDS } from './bank.js';

export default defineApp({
  auth: 'none',
  name: process.env['TIDEMARK_TEST_APP'] ?? 'bank',
  aggregates: [Account],
  projections: [Accounts, Owners],
  shards: SHARDS,
});
