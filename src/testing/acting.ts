/** Lets a test act as whom it likes: tokens of its own, which the application takes beside those of its `authenticate`. */
import { randomBytes } from 'node:crypto';
import type { AnyApp } from '../domain/app.js';
import type { Claims, Principal } from '../domain/rights.js';

export interface Actor {
  readonly id: string;
  /** None unless told otherwise. */
  readonly claims?: Claims;
}

export interface Acting {
  /** The application, which takes these tokens too. */
  readonly app: AnyApp;
  /** A token for somebody. @throws Error where rights are off, so that nobody can be told apart */
  tokenFor(actor: Actor): string;
}

export function acting(app: AnyApp): Acting {
  const { auth } = app;
  if (auth === 'none')
    return {
      app,
      tokenFor: () => {
        throw new Error("rights are off (auth: 'none'): everyone is anonymous");
      },
    };
  const known = new Map<string, Principal>();
  return {
    app: {
      ...app,
      auth: { ...auth, authenticate: (shown) => known.get(shown.token) ?? auth.authenticate(shown) },
    },
    tokenFor({ id, claims = {} }) {
      const token = randomBytes(24).toString('base64url');
      known.set(token, { id, claims });
      return token;
    },
  };
}
