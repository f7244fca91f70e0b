/** Whether somebody may have a stream, told before it begins: who it is, what it asks for, and whether that is its to see. */
import type { AnyApp } from '../../domain/app.js';
import type { Principal } from '../../domain/rights.js';
import { isTidemarkError, TidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { Signer } from '../../platform/signing.js';
import type { ServingGate } from '../../projections/types.js';
import type { SubFrame } from '../../protocol/frames.js';
import { isProblemCode, PROBLEMS } from '../../protocol/problems.js';
import type { Identities } from '../access/identities.js';
import type { SocketRights } from '../access/rights.js';
import { bindSubscription, type Wanted } from '../bindings.js';
import type { Caller } from '../sockets/port.js';
import { faultOfSub, type StreamFault } from './request.js';

export interface JudgeDeps {
  readonly app: AnyApp;
  readonly signer: Signer;
  readonly gate?: ServingGate | undefined;
  readonly rights: SocketRights;
  readonly identities: Identities;
  readonly logger: Logger;
}

/** A frame that may be sent, and what it stands for. */
export interface Judged {
  readonly frame: SubFrame;
  readonly wanted: Wanted;
}

/** No log has it: whoever comes with it begins anew. */
const NO_EPOCH = '0';

export class Judge {
  readonly #deps: JudgeDeps;

  constructor(deps: JudgeDeps) {
    this.#deps = deps;
  }

  /** @param lastEventId where a browser says that it stands; goes before the frame's `from` */
  async judge(
    caller: Caller,
    frame: SubFrame,
    lastEventId: string | undefined,
  ): Promise<Judged | StreamFault> {
    try {
      const principal = await this.#principalOf(caller);
      return this.#bind(frame, lastEventId, principal);
    } catch (error) {
      return this.#faultOf(error);
    }
  }

  /** @throws TidemarkError what `authenticate` throws */
  async #principalOf({ credentials }: Caller): Promise<Principal | undefined> {
    const { rights, identities } = this.#deps;
    if (rights.off) return undefined;
    if (credentials) return (await identities.show(credentials)).principal;
    if (rights.anonymous) return rights.anonymous;
    throw new TidemarkError('unauthenticated', 'there is no token');
  }

  #bind(
    frame: SubFrame,
    lastEventId: string | undefined,
    principal: Principal | undefined,
  ): Judged | StreamFault {
    const { app, signer, rights, gate } = this.#deps;
    const bind = (one: SubFrame) =>
      bindSubscription(app, signer, one, (view) => (principal ? rights.scopeOf(principal, view) : true));
    let asked = lastEventId === undefined ? frame : { ...frame, from: lastEventId };
    let bound = bind(asked);
    if ('fault' in bound && bound.fault.code === 'invalid_cursor' && lastEventId !== undefined) {
      // A browser keeps its id for as long as the page lives, and can do nothing about one that is not good any more.
      asked = { ...frame, from: { epoch: NO_EPOCH, pos: [] } };
      bound = bind(asked);
    }
    if ('fault' in bound) return faultOfSub(bound.fault);
    const { wanted } = bound;
    const building = gate?.refusal(wanted.projection.name);
    if (building !== undefined) return { code: 'projection_building', detail: building };
    return { frame: asked, wanted };
  }

  #faultOf(error: unknown): StreamFault {
    if (isTidemarkError(error) && isProblemCode(error.code) && PROBLEMS[error.code].status !== 500)
      return { code: error.code, detail: error.message };
    this.#deps.logger.error({ err: error }, 'a stream could not be opened');
    const code = isTidemarkError(error) && isProblemCode(error.code) ? error.code : 'internal_error';
    return { code, detail: PROBLEMS[code].title };
  }
}
