-- Events, idempotency keys, snapshots, and the two calls that write and look up under the shard locks.
-- Safe beside any older code: it only adds. A later form of a function gets a new name, so that older processes keep theirs.

CREATE TABLE :schema.events (
  seq bigint NOT NULL CHECK (seq > 0),
  version bigint NOT NULL CHECK (version > 0),
  recorded_at timestamptz NOT NULL,
  event_id uuid NOT NULL,
  shard int NOT NULL,
  schema_version int NOT NULL CHECK (schema_version > 0),
  category text COLLATE "C" NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  data json NOT NULL,
  tags json NOT NULL,
  metadata json NOT NULL,
  -- Heads are read from this key, stream versions from the next: no row is updated by an append.
  CONSTRAINT events_pkey PRIMARY KEY (category, shard, seq),
  CONSTRAINT events_stream_key UNIQUE (category, stream_id, version)
);

-- One slim row per key. The answer is derived from the events it points at; `places` is set only where one range of one
-- shard does not say it: several streams, or no event at all.
CREATE TABLE :schema.idempotency_keys (
  -- First 128 bits of a SHA-256 over scope and key.
  hash uuid CONSTRAINT idempotency_keys_pkey PRIMARY KEY,
  -- First 128 bits of the request's hash.
  request_hash uuid NOT NULL,
  -- Last seq and version that the request wrote, and how many events.
  seq bigint NOT NULL,
  version bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  shard int NOT NULL,
  count int NOT NULL,
  category text COLLATE "C" NOT NULL,
  -- [[category, stream id, shard, version, last seq, count], …]
  places json
);

CREATE TABLE :schema.snapshots (
  category text COLLATE "C" NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  -- What the state was folded with; a snapshot of another code is not used.
  fingerprint text COLLATE "C" NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  state json NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (category, stream_id)
);

-- The stored answer of an idempotency key: [[category, stream id, shard, version, last seq, epoch, [[type, version, event id], …]], …].
-- Locks: none. Rare: only a repeated request asks.
CREATE FUNCTION :schema.stored_answer_v1(p_hash uuid) RETURNS json
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  RETURN (
    SELECT json_agg(json_build_array(
      p.place->>0, coalesce(p.place->>1, e.stream_id), (p.place->>2)::int, (p.place->>3)::bigint, (p.place->>4)::bigint,
      s.epoch, coalesce(e.events, '[]'::json)) ORDER BY p.n)
    FROM :schema.idempotency_keys k
    CROSS JOIN LATERAL json_array_elements(coalesce(k.places,
      json_build_array(json_build_array(k.category, NULL, k.shard, k.version, k.seq, k.count)))) WITH ORDINALITY AS p(place, n)
    LEFT JOIN :schema.shards s ON s.log = p.place->>0 AND s.shard = (p.place->>2)::int
    LEFT JOIN LATERAL (
      SELECT max(x.stream_id) AS stream_id, json_agg(json_build_array(x.type, x.version, x.event_id) ORDER BY x.seq) AS events
      FROM :schema.events x
      WHERE x.category = p.place->>0 AND x.shard = (p.place->>2)::int
        AND x.seq > (p.place->>4)::bigint - (p.place->>5)::int AND x.seq <= (p.place->>4)::bigint
    ) e ON (p.place->>5)::int > 0
    WHERE k.hash = p_hash
  );
END
$$;

-- One group commit: locks the shards, then reads heads, stream versions and idempotency keys, checks, and writes.
-- Locks: rows of `shards` FOR NO KEY UPDATE in (log, shard) order, until commit; then new rows of `idempotency_keys`, which the caller
-- has sorted by hash. Each step is a statement of its own, because what a locking statement sees besides its rows is older than the lock.
-- p_atomic: the requests are the streams of one request, whose key (if any) is that of the first: all are written or none.
-- Otherwise each request is one stream, no two of them the same stream or the same key.
-- r_expected: -1 any, -2 at least one event, else the version. r_offset: events of earlier requests in the same shard.
-- status: 0 written (or confirmed), 1 duplicate, 2 key used for another request, 3 version conflict; NULL when all are 0.
-- p_known: a seq that each shard has reached, as far as the caller knows (0: it doesn't). A head is read from there on: a backward scan
-- that is not bounded looks at every entry of the index's last page. What is not found there is read without the bound.
-- r_expected bounds the look-up of versions in the same way.
-- p_careful: false leaves out what the unique keys find as well (a key that is recorded now, a stream that begins now), and ends with
-- an error when any check fails: nothing is written, and the caller asks again carefully. That is a fifth of the work of a large batch.
-- firsts: seq of the first event of each request (of the stream's last event where a request has none); NULL when it follows
-- from heads and offsets.
CREATE FUNCTION :schema.append_v1(
  p_atomic boolean, p_careful boolean, p_logs text[], p_shards int[], p_known bigint[],
  r_shard int[], r_stream text[], r_expected bigint[], r_offset int[], r_count int[],
  r_key uuid[], r_hash uuid[], r_record boolean[],
  e_request int[], e_ordinal int[], e_stream text[], e_id uuid[], e_type text[], e_schema int[],
  e_data json[], e_tags json[], e_metadata json[],
  OUT epochs text[], OUT heads bigint[], OUT versions bigint[], OUT statuses int[], OUT firsts bigint[],
  OUT recorded timestamptz, OUT answers json
)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  lows bigint[];
  fine boolean;
  plain boolean := NOT 0 = ANY (r_count);
BEGIN
  SELECT array_agg(l.epoch), array_agg(l.low) INTO epochs, lows FROM (
    SELECT s.epoch, s.low FROM unnest(p_logs, p_shards) AS u(log, shard)
    JOIN :schema.shards s ON s.log = u.log AND s.shard = u.shard
    ORDER BY s.log, s.shard FOR NO KEY UPDATE OF s
  ) l;
  IF cardinality(epochs) IS DISTINCT FROM cardinality(p_shards) THEN
    RAISE EXCEPTION 'a shard of these logs is missing: %', p_logs USING ERRCODE = 'TM001';
  END IF;

  SELECT array_agg(h.head), greatest(date_trunc('milliseconds', clock_timestamp()), max(h.recorded_at)) INTO heads, recorded
  FROM (
    SELECT greatest(u.low, coalesce(e.seq, f.seq, 0)) AS head, coalesce(e.recorded_at, f.recorded_at) AS recorded_at
    FROM unnest(p_logs, p_shards, p_known, lows) AS u(log, shard, known, low)
    LEFT JOIN LATERAL (
      SELECT x.seq, x.recorded_at FROM :schema.events x
      WHERE x.category = u.log AND x.shard = u.shard AND x.seq >= u.known ORDER BY x.seq DESC LIMIT 1
    ) e ON true
    LEFT JOIN LATERAL (
      SELECT x.seq, x.recorded_at FROM :schema.events x
      WHERE x.category = u.log AND x.shard = u.shard AND e.seq IS NULL AND u.known > 0 ORDER BY x.seq DESC LIMIT 1
    ) f ON true
  ) h;

  SELECT array_agg(c.current), array_agg(c.status), array_agg(c.first), bool_and(c.status = 0) INTO versions, statuses, firsts, fine
  FROM (
    SELECT t.current, t.first,
      CASE WHEN t.stored = t.hash THEN 1 WHEN t.stored IS NOT NULL THEN 2
        WHEN t.expected >= 0 AND t.current <> t.expected OR t.expected = -2 AND t.current = 0 THEN 3 ELSE 0 END AS status
    FROM (
      SELECT u.expected, u.hash, heads[u.shard] + u.off + 1 AS first,
        CASE WHEN p_careful OR u.expected <> 0 OR u.count = 0 THEN coalesce(
          (SELECT x.version FROM :schema.events x WHERE x.category = p_logs[u.shard] AND x.stream_id = u.stream
            AND x.version >= u.expected ORDER BY x.version DESC LIMIT 1),
          CASE WHEN u.expected > 0 THEN (SELECT x.version FROM :schema.events x WHERE x.category = p_logs[u.shard] AND x.stream_id = u.stream
            ORDER BY x.version DESC LIMIT 1) END, 0) ELSE 0 END AS current,
        CASE WHEN p_careful OR NOT u.record THEN
          (SELECT k.request_hash FROM :schema.idempotency_keys k WHERE k.hash = u.key) END AS stored
      FROM unnest(r_shard, r_stream, r_expected, r_offset, r_count, r_key, r_hash, r_record)
        AS u(shard, stream, expected, off, count, key, hash, record)
      OFFSET 0
    ) t
  ) c;

  IF NOT fine THEN
    IF NOT p_careful THEN RAISE EXCEPTION 'a check failed' USING ERRCODE = 'TM002'; END IF;
    IF p_atomic THEN
      IF statuses[1] = 1 THEN answers := json_build_array(json_build_array(1, :schema.stored_answer_v1(r_key[1]))); END IF;
      RETURN;
    END IF;
    -- Seqs again, without the requests that failed their checks.
    SELECT array_agg(w.first ORDER BY w.n) INTO firsts FROM (
      SELECT u.n, heads[u.shard] + 1 + coalesce(sum(CASE WHEN u.status = 0 THEN u.count ELSE 0 END)
        OVER (PARTITION BY u.shard ORDER BY u.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS first
      FROM unnest(r_shard, r_count, statuses) WITH ORDINALITY AS u(shard, count, status, n)
    ) w;
    SELECT json_agg(json_build_array(u.n, :schema.stored_answer_v1(u.key))) INTO answers
    FROM unnest(r_key, statuses) WITH ORDINALITY AS u(key, status, n) WHERE u.status = 1;
  END IF;
  IF NOT plain THEN
    SELECT array_agg(CASE WHEN u.count > 0 THEN u.first ELSE coalesce(
      (SELECT x.seq FROM :schema.events x WHERE x.category = p_logs[u.shard] AND x.stream_id = u.stream AND x.version = u.current), 0) END)
    INTO firsts FROM unnest(r_shard, r_stream, r_count, firsts, versions) AS u(shard, stream, count, first, current);
  END IF;

  INSERT INTO :schema.events (seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata)
  SELECT firsts[u.request] + u.ordinal, versions[u.request] + u.ordinal + 1, recorded, u.id, p_shards[r_shard[u.request]], u.schema,
    p_logs[r_shard[u.request]], u.stream, u.type, u.data, u.tags, u.metadata
  FROM unnest(e_request, e_ordinal, e_stream, e_id, e_type, e_schema, e_data, e_tags, e_metadata)
    AS u(request, ordinal, stream, id, type, schema, data, tags, metadata)
  WHERE fine OR statuses[u.request] = 0;

  IF p_atomic THEN
    IF r_record[1] THEN
      INSERT INTO :schema.idempotency_keys (hash, request_hash, seq, version, recorded_at, shard, count, category, places)
      SELECT r_key[1], r_hash[1], 0, 0, recorded, 0, 0, p_logs[1], json_agg(json_build_array(p_logs[u.shard], u.stream, p_shards[u.shard],
        u.current + u.count, u.first + greatest(u.count - 1, 0), u.count))
      FROM unnest(r_shard, r_stream, r_count, firsts, versions) AS u(shard, stream, count, first, current);
    END IF;
  ELSE
    INSERT INTO :schema.idempotency_keys (hash, request_hash, seq, version, recorded_at, shard, count, category, places)
    SELECT u.key, u.hash, u.first + u.count - 1, u.current + u.count, recorded, p_shards[u.shard], u.count, p_logs[u.shard],
      CASE WHEN u.count = 0 THEN json_build_array(json_build_array(p_logs[u.shard], u.stream, p_shards[u.shard], u.current, u.first, 0)) END
    FROM unnest(r_key, r_hash, r_record, r_shard, r_stream, r_count, firsts, versions, statuses)
      AS u(key, hash, record, shard, stream, count, first, current, status)
    WHERE u.record AND u.status = 0;
  END IF;

  IF fine THEN statuses := NULL; IF plain THEN firsts := NULL; END IF; END IF;
END
$$;

-- The same for one event of one stream, as a lone writer sends it: without arrays, sorts and joins it takes half the time.
-- Parameters mean the same. Locks: one row of `shards` FOR NO KEY UPDATE, until commit; then a new row of `idempotency_keys`.
CREATE FUNCTION :schema.append_one_v1(
  p_careful boolean, p_log text, p_shard int, p_known bigint, p_stream text, p_expected bigint, p_key uuid, p_hash uuid, p_record boolean,
  p_id uuid, p_type text, p_schema int, p_data json, p_tags json, p_metadata json,
  OUT epoch text, OUT head bigint, OUT version bigint, OUT status int, OUT recorded timestamptz, OUT answer json
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  low bigint;
  stored uuid;
BEGIN
  SELECT s.epoch, s.low INTO epoch, low FROM :schema.shards s WHERE s.log = p_log AND s.shard = p_shard FOR NO KEY UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'shard % of log % is missing', p_shard, p_log USING ERRCODE = 'TM001'; END IF;

  SELECT x.seq, x.recorded_at INTO head, recorded FROM :schema.events x
  WHERE x.category = p_log AND x.shard = p_shard AND x.seq >= p_known ORDER BY x.seq DESC LIMIT 1;
  IF head IS NULL AND p_known > 0 THEN
    SELECT x.seq, x.recorded_at INTO head, recorded FROM :schema.events x
    WHERE x.category = p_log AND x.shard = p_shard ORDER BY x.seq DESC LIMIT 1;
  END IF;
  -- Conditions out here and not in the statements: they would make plans for some parameters look cheaper than the one that is kept.
  IF p_careful OR p_expected <> 0 THEN
    SELECT x.version INTO version FROM :schema.events x
    WHERE x.category = p_log AND x.stream_id = p_stream AND x.version >= p_expected ORDER BY x.version DESC LIMIT 1;
    IF version IS NULL AND p_expected > 0 THEN
      SELECT x.version INTO version FROM :schema.events x WHERE x.category = p_log AND x.stream_id = p_stream
      ORDER BY x.version DESC LIMIT 1;
    END IF;
  END IF;
  IF p_careful OR NOT p_record THEN
    SELECT k.request_hash INTO stored FROM :schema.idempotency_keys k WHERE k.hash = p_key;
  END IF;
  head := greatest(head, low);
  version := coalesce(version, 0);
  recorded := greatest(recorded, date_trunc('milliseconds', clock_timestamp()));

  IF stored IS NOT NULL THEN
    status := CASE WHEN stored = p_hash THEN 1 ELSE 2 END;
    IF status = 1 THEN answer := :schema.stored_answer_v1(p_key); END IF;
    RETURN;
  END IF;
  IF p_expected >= 0 AND version <> p_expected OR p_expected = -2 AND version = 0 THEN
    IF NOT p_careful THEN RAISE EXCEPTION 'a check failed' USING ERRCODE = 'TM002'; END IF;
    status := 3;
    RETURN;
  END IF;
  status := 0;

  INSERT INTO :schema.events (seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata)
  VALUES (head + 1, version + 1, recorded, p_id, p_shard, p_schema, p_log, p_stream, p_type, p_data, p_tags, p_metadata);
  IF p_record THEN
    INSERT INTO :schema.idempotency_keys (hash, request_hash, seq, version, recorded_at, shard, count, category)
    VALUES (p_key, p_hash, head + 1, version + 1, recorded, p_shard, 1, p_log);
  END IF;
END
$$;

-- After an append whose outcome is unknown: takes the same shard locks (which waits for a backend that is still committing), then looks
-- for the first event of each stream, among the versions after s_above up to s_upto. Without an event (the stream was only confirmed) it
-- is where the stream stands there. A row for each stream; version and seq are NULL where nothing was found.
-- Locks: rows of `shards` FOR NO KEY UPDATE in (log, shard) order.
CREATE FUNCTION :schema.find_appended_v1(
  p_logs text[], p_shards int[], s_shard int[], s_stream text[], s_event uuid[], s_above bigint[], s_upto bigint[]
) RETURNS TABLE (n int, version bigint, seq bigint, recorded timestamptz, epoch text)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
  PERFORM s.shard FROM unnest(p_logs, p_shards) AS u(log, shard) JOIN :schema.shards s ON s.log = u.log AND s.shard = u.shard
  ORDER BY s.log, s.shard FOR NO KEY UPDATE OF s;
  RETURN QUERY
  SELECT u.n::int, e.version, e.seq, e.recorded_at, s.epoch
  FROM unnest(s_shard, s_stream, s_event, s_above, s_upto) WITH ORDINALITY AS u(shard, stream, event, above, upto, n)
  JOIN :schema.shards s ON s.log = p_logs[u.shard] AND s.shard = p_shards[u.shard]
  LEFT JOIN LATERAL (
    SELECT x.version, x.seq, x.recorded_at FROM :schema.events x
    WHERE x.category = s.log AND x.stream_id = u.stream AND x.version > u.above AND x.version <= u.upto
      AND (u.event IS NULL OR x.event_id = u.event)
    ORDER BY x.version DESC LIMIT 1
  ) e ON true;
END
$$;
