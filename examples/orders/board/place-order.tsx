/** The form for a new order. What is wrong stands beside its field. */
import { useId } from 'react';
import { Field } from './field.js';
import { MAX_QUANTITY, PRODUCTS, totalCentsOf, type Faults, type OrderForm } from './order-form.js';
import { Refused } from './refused.js';
import { money } from './texts.js';
import { useOrderForm } from './use-order-form.js';

function Quantities(props: {
  readonly quantities: OrderForm['quantities'];
  readonly faults: Faults;
  readonly change: (quantities: OrderForm['quantities']) => void;
}) {
  const { quantities, faults, change } = props;
  const faultId = useId();
  return (
    <fieldset aria-describedby={faults['lines'] === undefined ? undefined : faultId}>
      <legend>What</legend>
      {PRODUCTS.map(({ sku, name, unitPriceCents }) => (
        <Field key={sku} label={name} note={money(unitPriceCents)} fault={faults[sku]} isRow>
          {(field) => (
            <input
              {...field}
              name={sku}
              type="number"
              inputMode="numeric"
              min={0}
              max={MAX_QUANTITY}
              step={1}
              placeholder="0"
              value={quantities[sku] ?? ''}
              // Of what is no number a browser gives out nothing.
              onChange={({ target }) =>
                change({ ...quantities, [sku]: target.validity.badInput ? '?' : target.value })
              }
            />
          )}
        </Field>
      ))}
      {faults['lines'] !== undefined && (
        <p className="fault" id={faultId}>
          {faults['lines']}
        </p>
      )}
    </fieldset>
  );
}

export function PlaceOrder(props: {
  readonly customers: readonly { readonly customerId: string }[];
  /** Who may order for themselves alone. */
  readonly own: string | undefined;
  /** Whether an order of this number is shown on the board. */
  readonly isThere: (orderId: string) => boolean;
}) {
  const { form, faults, placed, element, change, submit, isPending, error, again } = useOrderForm(
    props.own,
    props.isThere,
  );
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id}>
      <h2 id={id}>Place an order</h2>
      <form ref={element} onSubmit={(event) => void submit(event)} noValidate>
        <Field label="Customer" fault={faults['customerId']}>
          {(field) => (
            <input
              {...field}
              name="customerId"
              list={`${id}-known`}
              autoComplete="off"
              required
              readOnly={props.own !== undefined}
              value={form.customerId}
              onChange={(event) => change({ customerId: event.target.value })}
            />
          )}
        </Field>
        <datalist id={`${id}-known`}>
          {props.customers.map(({ customerId }) => (
            <option key={customerId} value={customerId} />
          ))}
        </datalist>
        <Quantities
          quantities={form.quantities}
          faults={faults}
          change={(quantities) => change({ quantities })}
        />
        <button type="submit" className="primary wide" aria-disabled={isPending}>
          {isPending ? 'Placing …' : `Place the order · ${money(totalCentsOf(form))}`}
        </button>
        <p className="hint" role="status">
          {placed !== undefined && `Order ${placed} is placed.`}
        </p>
        {error && <Refused error={error} isPending={isPending} again={again} />}
      </form>
    </section>
  );
}
