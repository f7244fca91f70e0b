/** What `tidemark start` tells people: where everything is, and what to try first. */
import type { AnyApp } from '../domain/app.js';
import type { RuntimeUrls } from '../app/runtime.js';
import type { Sample } from './app-module.js';

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** One line for a shell; where rights are on with the token that is in `$TOKEN`. */
function curlLine(base: string, { method, path, body }: Sample, { auth }: AnyApp): string {
  const url = quoted(base + path) + (auth === 'none' ? '' : ' -H "Authorization: Bearer $TOKEN"');
  if (method === 'GET') return `curl -s ${url}`;
  if (body === undefined) return `curl -s -X POST ${url}`;
  return `curl -s ${url} -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`;
}

/** Good for any application; one that knows better exports `tryIt`. */
function usualSamples(app: AnyApp): readonly Sample[] {
  const view = app.views[0];
  return [
    { method: 'GET', path: '/readyz' },
    { method: 'GET', path: view ? `/views/${view.name}?limit=10` : '/livez' },
    { method: 'GET', path: '/openapi.json' },
  ];
}

export interface BannerFacts {
  readonly app: AnyApp;
  readonly urls: RuntimeUrls;
  /** One line on which database it is; without its password. */
  readonly database: string;
  /** The brokers; undefined where there are none. */
  readonly kafka: string | undefined;
  readonly samples: readonly Sample[];
}

export function banner({ app, urls, database, kafka, samples }: BannerFacts): string {
  const places: readonly (readonly [string, string | undefined])[] = [
    ['Page', urls.page],
    ['HTTP', urls.http],
    ['API docs', urls.docs],
    ['Realtime', urls.realtime],
    ['Postgres', database],
    ['Kafka', kafka],
  ];
  const lines = places.flatMap(([name, place]) =>
    place === undefined ? [] : [`  ${name.padEnd(10)}${place}`],
  );
  const tries = urls.docs === undefined ? [] : (samples.length > 0 ? samples : usualSamples(app)).slice(0, 3);
  const heading = app.auth === 'none' ? 'Try:' : 'Try, with a token of yours in TOKEN:';
  return [
    '',
    `${app.name} is running; Ctrl-C stops it.`,
    ...lines,
    ...(tries.length > 0
      ? ['', heading, ...tries.map((sample) => `  ${curlLine(urls.http, sample, app)}`)]
      : []),
    '',
  ].join('\n');
}
