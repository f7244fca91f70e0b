/** Hands the client down to the hooks. */
import { createContext, createElement, useContext, type ReactNode } from 'react';
import type { AnyApp } from '../../domain/app.js';
import type { Client } from '../client-types.js';
import type { ProviderProps } from './types.js';

const Context = createContext<Client<AnyApp> | undefined>(undefined);

export const TidemarkProvider = ({ client, children }: ProviderProps<AnyApp>): ReactNode =>
  createElement(Context.Provider, { value: client }, children);

/** @throws Error outside of a `TidemarkProvider` */
export function useClient(): Client<AnyApp> {
  const client = useContext(Context);
  if (!client) throw new Error('expected a <TidemarkProvider client={…}> around this component');
  return client;
}
