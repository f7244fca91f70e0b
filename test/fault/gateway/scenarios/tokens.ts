/** Tokens that are revoked in the middle: who had them loses what it saw, and nobody else notices. */
import { eventually } from '../../stage/waiting.js';
import type { Watched } from '../fleet/messages.js';
import { mixOf } from '../mix.js';
import type { Scenario } from '../world.js';

const CUSTOMERS = 12;
/** Sockets that one principal may have are a hundred. */
const STAFF = 20;
/** A token is looked at again within a second; this is for busy machines. */
const NOTICED_MS = 60_000;

const customer = (n: number): string => `c-${n}`;

/** Everybody asks for what is his, each in his own way. */
function asThemselves(count: number, below: (below: number) => number): Watched[] {
  const wanted = mixOf(count, below);
  return wanted.map((watched, index): Watched => {
    if (index < STAFF) return { ...watched, token: 'staff/1' };
    const who = customer(index % CUSTOMERS);
    const { view, where, key } = watched;
    const token = `${who}/1`;
    // Totals have their customer as key, whom a scope cannot name as a channel.
    if (view === 'customer_totals') return { view, key: who, token };
    if (key !== undefined) return { view, key, token };
    return { view, ...(where ? { where: { ...where, customerId: who } } : {}), token };
  });
}

export const tokensRevoked: Scenario = {
  name: 'tokens-revoked',
  title:
    'tokens are revoked under open sockets: their rows are dropped, others go on, and new tokens bring them back',
  rights: true,
  maxGrowthMb: 120,
  watchers: ({ times, below }) => asThemselves(Math.max(60, times(300)), below),
  async play({ fleets, events, revoke, below, happened }) {
    // Some have another token before theirs is revoked, some afterwards, some keep theirs.
    const fates = Array.from({ length: CUSTOMERS }, () => below(3));
    const of = (fate: number): string[] => fates.flatMap((one, n) => (one === fate ? [customer(n)] : []));
    const [early, late] = [of(0), of(1)];
    const renew = (who: readonly string[], inPlace: boolean): void => {
      for (const one of who) for (const fleet of fleets) fleet.token(one, `${one}/2`, inPlace);
    };
    const reports = await Promise.all(fleets.map((fleet) => fleet.report()));
    const hit = reports
      .flat()
      .filter(({ watched }) => late.some((who) => watched.token === `${who}/1`)).length;
    await events(60);
    renew(early, true);
    await events(20);
    await revoke([...early, ...late].map((who) => `${who}/1`));
    happened(`tokens of ${late.length} of ${CUSTOMERS} customers revoked, of ${early.length} renewed before`);
    const isNoticed = async (): Promise<boolean> => {
      const all = await Promise.all(fleets.map((fleet) => fleet.status()));
      return all.reduce((sum, { out }) => sum + out, 0) === hit;
    };
    await eventually(`${hit} subscribers are told that their rows are theirs no more`, isNoticed, NOTICED_MS);
    await events(60);
    renew(late, false);
    await Promise.all(fleets.map((fleet) => fleet.allLive()));
    await events(40);
  },
};
