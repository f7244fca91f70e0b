/** A shop's till: receipts, and the figures of each day in tables that a handler writes. */
import { defineApp } from 'tidemark';
import { Receipt } from './receipt.js';
import { SalesByDay } from './sales-by-day.js';
import { salesOfSku } from './sales-of-sku.js';

export default defineApp({
  auth: 'none',
  name: 'sales',
  aggregates: [Receipt],
  projections: [SalesByDay],
  queries: [salesOfSku],
});
