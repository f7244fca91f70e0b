// A token for the orders application, for an hour: ORDERS_JWT_SECRET=… node examples/orders/token.js <id> [customer|staff|operator]
// Real tokens come from whoever lets people log in.
import { SignJWT } from 'jose';

const [id, role = 'customer'] = process.argv.slice(2);
const secret = process.env.ORDERS_JWT_SECRET;
if (!id || !secret) {
  console.error('expected ORDERS_JWT_SECRET in the environment, and the id of a customer');
  process.exit(1);
}
const token = await new SignJWT({ role })
  .setProtectedHeader({ alg: 'HS256' })
  .setSubject(id)
  .setIssuer('orders')
  .setExpirationTime('1h')
  .sign(new TextEncoder().encode(secret));
console.log(token);
