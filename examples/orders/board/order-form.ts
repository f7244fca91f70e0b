/** The order that somebody is filling in: what can be bought, what an entry may be, and the command that it becomes. */

export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly unitPriceCents: number;
}

export const PRODUCTS: readonly Product[] = [
  { sku: 'tea', name: 'Green tea', unitPriceCents: 450 },
  { sku: 'cup', name: 'Cup', unitPriceCents: 1_250 },
  { sku: 'pot', name: 'Teapot', unitPriceCents: 3_900 },
  { sku: 'honey', name: 'Honey', unitPriceCents: 790 },
];

/** As it stands in the fields: text, whether it is good or not. */
export interface OrderForm {
  readonly customerId: string;
  /** By `sku`. */
  readonly quantities: Readonly<Record<string, string>>;
}

export const FRESH: OrderForm = { customerId: 'ada', quantities: { tea: '2', cup: '1', pot: '', honey: '' } };

export const MAX_QUANTITY = 1_000;
const MAX_CUSTOMER = 200;

/** What is wrong, by field: `customerId`, a product's `sku`, or `lines` for all of them; empty where nothing is. */
export type Faults = Readonly<Record<string, string>>;

const quantityOf = (text: string): number => (text.trim() === '' ? 0 : Number(text));

function customerFault(text: string): string | undefined {
  if (text.trim() === '') return 'Say who orders.';
  if ([...text.trim()].length > MAX_CUSTOMER) return `Use at most ${MAX_CUSTOMER} characters.`;
  return /\p{Cc}/u.test(text) ? 'Leave out control characters.' : undefined;
}

export function faultsOf({ customerId, quantities }: OrderForm): Faults {
  const faults: Record<string, string> = {};
  const customer = customerFault(customerId);
  if (customer !== undefined) faults['customerId'] = customer;
  let pieces = 0;
  for (const { sku } of PRODUCTS) {
    const quantity = quantityOf(quantities[sku] ?? '');
    if (!Number.isInteger(quantity) || quantity < 0 || quantity > MAX_QUANTITY)
      faults[sku] = `Use a whole number from 0 to ${MAX_QUANTITY}.`;
    else pieces += quantity;
  }
  const areFine = PRODUCTS.every(({ sku }) => faults[sku] === undefined);
  if (areFine && pieces === 0) faults['lines'] = 'Choose at least one thing.';
  return faults;
}

/** The payload of `place`; of a form without faults. */
export function orderOf({ customerId, quantities }: OrderForm) {
  const lines = PRODUCTS.map(({ sku, unitPriceCents }) => ({
    sku,
    unitPriceCents,
    quantity: quantityOf(quantities[sku] ?? ''),
  })).filter(({ quantity }) => quantity > 0);
  return { customerId: customerId.trim(), lines };
}

/** What it comes to; entries that are not good count nothing. */
export function totalCentsOf({ quantities }: OrderForm): number {
  return PRODUCTS.reduce((sum, { sku, unitPriceCents }) => {
    const quantity = quantityOf(quantities[sku] ?? '');
    return Number.isInteger(quantity) && quantity > 0 ? sum + quantity * unitPriceCents : sum;
  }, 0);
}

const LETTERS = '23456789abcdefghjkmnpqrstvwxyz';

function randomLetters(count: number): string {
  const random = crypto.getRandomValues(new Uint8Array(count));
  return Array.from(random, (byte) => LETTERS[byte % LETTERS.length]).join('');
}

/** A number for a new order that nobody has: `o-7kq4xw`. */
export const newOrderId = (): string => `o-${randomLetters(6)}`;

/** For one command, however often it is sent (its `Idempotency-Key`). */
export const newKey = (): string => randomLetters(24);
