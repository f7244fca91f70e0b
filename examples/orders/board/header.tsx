/** The head of the page: how the connection stands, and a button that cuts it. */
import type { ClientError, LiveStatus } from 'tidemark/client';
import { counted, refusal } from './texts.js';
import type { Cut } from './use-cut.js';

const STATUS: Readonly<Record<LiveStatus, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'Reconnecting',
  closed: 'Closed',
};

function message({ phase, caughtUp }: Cut): string | undefined {
  if (phase === 'cut')
    return 'The line to the live changes is cut: this page stands still while others go on. What you do here is still sent.';
  if (phase === 'mending') return 'Catching up …';
  if (!caughtUp) return undefined;
  const what =
    caughtUp.orders === 0 ? 'nothing had changed' : `${counted(caughtUp.orders, 'order')} had changed`;
  return `Caught up in ${caughtUp.ms} ms: ${what}.`;
}

function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M5 13c3.7 0 3.7-3 7.3-3s3.7 3 7.4 3 3.7-3 7.3-3M5 20c3.7 0 3.7-3 7.3-3s3.7 3 7.4 3 3.7-3 7.3-3" />
    </svg>
  );
}

export function Header(props: {
  readonly status: LiveStatus;
  readonly error: ClientError | undefined;
  readonly cut: Cut;
  /** Who has signed in; undefined where nobody has to. */
  readonly caller: string | undefined;
  readonly leave: () => void;
}) {
  const { status, error, cut, caller, leave } = props;
  const isCut = cut.phase === 'cut';
  const told = message(cut);
  return (
    <header className="top">
      <div className="top-row">
        <Mark />
        <h1>
          Orders <span className="by">a live board on Tidemark</span>
        </h1>
        <p className="status" role="status" data-status={isCut ? 'cut' : status}>
          <span className="dot" aria-hidden="true" />
          <span className="visually-hidden">Connection: </span>
          {isCut ? 'Cut' : STATUS[status]}
        </p>
        <button type="button" className={isCut ? 'primary' : 'quiet'} onClick={isCut ? cut.mend : cut.cut}>
          {isCut ? 'Mend the line' : 'Cut the line'}
        </button>
        {caller !== undefined && (
          <button type="button" className="quiet" onClick={leave}>
            Sign out <span className="hint">{caller}</span>
          </button>
        )}
      </div>
      <p className="told" role="status" data-phase={cut.phase}>
        {told}
      </p>
      {error && (
        <p className="error" role="alert">
          {refusal(error)}
        </p>
      )}
    </header>
  );
}
