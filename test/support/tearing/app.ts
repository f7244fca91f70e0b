/** What the tests that tear at projectors run: every kind of projection there is, over events at random. */
import { defineApp } from 'tidemark';
import { Booking } from '../../../examples/joins/booking.js';
import { Customer } from '../../../examples/joins/customer.js';
import { OrderList } from '../../../examples/joins/order-list.js';
import { Order } from '../../../examples/joins/order.js';
import { Seats } from '../../../examples/joins/seats.js';
import { SkuDemand } from '../../../examples/joins/sku-demand.js';
import { Account, Accounts, Owners, SHARDS } from '../bank.js';
import { mendable } from '../mendable.js';
import { Takings } from '../takings.js';

/** Amounts that the folds of `purses` and `folk` cannot take: those keys are parked. */
export const BAD_CENTS = 13;
const { Purses, Folk } = mendable(new Set([BAD_CENTS]), { attempts: 1, maxKeys: 10_000 });
const mended = mendable(new Set(), { attempts: 1, maxKeys: 10_000 });

const whole = [Accounts, Owners, OrderList, SkuDemand, Seats, Takings] as const;
const aggregates = [Account, Customer, Order, Booking];

export const torn = defineApp({
  auth: 'none',
  name: 'torn',
  aggregates,
  projections: [...whole, Purses, Folk],
  shards: SHARDS,
});
/** The same with folds that take everything. */
export const mendedApp = defineApp({
  auth: 'none',
  name: 'torn',
  aggregates,
  projections: [...whole, mended.Purses, mended.Folk],
  shards: SHARDS,
});
/** Those whose keys are parked. */
export const parking = [mended.Purses, mended.Folk] as const;
