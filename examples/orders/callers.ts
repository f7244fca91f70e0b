/** Who calls the orders application: customers, whose id is that of their orders, the shop’s staff, and its operators. */
import { jwt, type Principal } from 'tidemark';
import { z } from 'zod';

const CallerClaims = z.object({ role: z.enum(['customer', 'staff', 'operator']).default('customer') });
export type Caller = Principal<z.output<typeof CallerClaims>>;

/** Tokens that were signed with the secret; `node examples/orders/token.js` makes some. */
export const callersOf = (secret: string) => jwt({ secret, issuer: 'orders', claims: CallerClaims });

export const isStaff = ({ claims }: Caller): boolean => claims.role !== 'customer';
export const isOperator = ({ claims }: Caller): boolean => claims.role === 'operator';

/** The staff, and the customer whose order it is. */
export const mayTouch = (caller: Caller, order: { readonly customerId: string }): boolean =>
  isStaff(caller) || order.customerId === caller.id;
