/** What became of a command that was not accepted; where nobody knows, it can be sent again. */
import type { ClientError } from 'tidemark/client';
import { isUnknown, refusal } from './texts.js';

export function Refused(props: {
  readonly error: ClientError;
  readonly isPending: boolean;
  /** Sends the very same command once more. */
  readonly again: () => void;
}) {
  const { error, isPending, again } = props;
  const maySend = isUnknown(error);
  return (
    <div className="error refused" role="alert">
      <p>
        {maySend && 'It may or may not have happened. '}
        {refusal(error)}
      </p>
      {maySend && (
        <button
          type="button"
          className="quiet"
          aria-disabled={isPending}
          onClick={() => !isPending && again()}
        >
          Send again
        </button>
      )}
    </div>
  );
}
