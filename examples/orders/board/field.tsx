/** A field with its label, a note, and what is wrong with it, tied together for whoever does not see them. */
import { useId, type ReactNode } from 'react';

interface FieldProps {
  readonly id: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

export function Field(props: {
  readonly label: string;
  readonly note?: string;
  readonly fault: string | undefined;
  /** The label stands beside the field. */
  readonly isRow?: boolean;
  readonly children: (field: FieldProps) => ReactNode;
}) {
  const { label, note, fault, isRow = false, children } = props;
  const id = useId();
  const faultId = `${id}-fault`;
  return (
    <div className={isRow ? 'field row' : 'field'}>
      <label htmlFor={id}>
        {label} {note !== undefined && <span className="hint">{note}</span>}
      </label>
      {children({
        id,
        'aria-invalid': fault !== undefined,
        'aria-describedby': fault === undefined ? undefined : faultId,
      })}
      {fault !== undefined && (
        <p className="fault" id={faultId}>
          {fault}
        </p>
      )}
    </div>
  );
}
