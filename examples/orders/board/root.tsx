/** The board, or what asks for a token before it. */
import { useState } from 'react';
import { Board } from './board.js';
import { begin, forget, type Session } from './session.js';
import { SignIn } from './sign-in.js';
import { TidemarkProvider } from './tidemark.js';

interface SignedOut {
  readonly refused: string | undefined;
  readonly isPending: boolean;
}

export function Root(props: { readonly realtimeUrl: string; readonly first: Session | undefined }) {
  const [state, setState] = useState<Session | SignedOut>(
    props.first ?? { refused: undefined, isPending: false },
  );
  async function signIn(token: string) {
    setState({ refused: undefined, isPending: true });
    try {
      const begun = await begin(props.realtimeUrl, token);
      setState('refused' in begun ? { ...begun, isPending: false } : begun);
    } catch {
      setState({ refused: 'network_error', isPending: false });
    }
  }
  if (!('client' in state)) return <SignIn {...state} signIn={(token) => void signIn(token)} />;
  const leave = (refused?: string): void => {
    forget(state);
    setState({ refused, isPending: false });
  };
  return (
    <TidemarkProvider client={state.client}>
      <Board caller={state.caller} leave={leave} />
    </TidemarkProvider>
  );
}
