/** Asks for a token, where the server wants one. */
import { useState, type FormEvent } from 'react';
import { Field } from './field.js';

const REFUSED: Readonly<Record<string, string>> = {
  unauthenticated: 'The server does not accept this token.',
  token_expired: 'The time of this token is over: make another one.',
  ended: 'Your token is not accepted any more: sign in with another one.',
  network_error: 'The server could not be reached.',
};

export function SignIn(props: {
  /** Why the last token was no good. */
  readonly refused: string | undefined;
  readonly isPending: boolean;
  readonly signIn: (token: string) => void;
}) {
  const { refused, isPending, signIn } = props;
  const [token, setToken] = useState('');
  function submit(event: FormEvent) {
    event.preventDefault();
    if (!isPending && token.trim() !== '') signIn(token);
  }
  return (
    <main className="sign-in">
      <section className="panel" aria-labelledby="sign-in">
        <h1 id="sign-in">Sign in to the orders</h1>
        <form onSubmit={submit}>
          <Field
            label="Token"
            fault={refused === undefined ? undefined : (REFUSED[refused] ?? `It was refused (${refused}).`)}
          >
            {(field) => (
              <input
                {...field}
                name="token"
                type="password"
                autoComplete="off"
                spellCheck={false}
                value={token}
                onChange={({ target }) => setToken(target.value)}
              />
            )}
          </Field>
          <button type="submit" className="primary wide" aria-disabled={isPending || token.trim() === ''}>
            {isPending ? 'Looking …' : 'Sign in'}
          </button>
        </form>
        <p className="hint">
          This server wants to know who you are. On the machine that knows its <code>ORDERS_JWT_SECRET</code>,{' '}
          <code>node examples/orders/token.js c-1</code> makes a token for the customer c-1, and{' '}
          <code>… token.js sam staff</code> one for the staff.
        </p>
      </section>
    </main>
  );
}
