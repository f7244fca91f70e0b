-- What projections need to be changed, rebuilt and mended in production: states, who serves which version, builds, stops,
-- parked keys, and the slots of change logs. Safe while an older process is still running: it only adds, and what older
-- code writes without the new columns means what it meant.

-- States are those of src/projections/states.ts; what older code inserts is loaded and follows its events.
UPDATE :schema.projections SET state = 'catching_up' WHERE state = 'active';
ALTER TABLE :schema.projections
  ALTER COLUMN state SET DEFAULT 'catching_up',
  -- Why it is halted or waits for newer code.
  ADD COLUMN reason text,
  -- When it came to its state.
  ADD COLUMN moved_at timestamptz NOT NULL DEFAULT now(),
  -- False from the begin of a build until its rows are in the table; such a table has no key and no indexes, and is never read.
  ADD COLUMN loaded boolean NOT NULL DEFAULT true,
  -- When it was first as far as the version before it, so that it may be served. NULL: not yet.
  ADD COLUMN ready_at timestamptz DEFAULT now(),
  -- It may become ready though keys are parked.
  ADD COLUMN accept_parked boolean NOT NULL DEFAULT false,
  -- Of a build under way, as its builder tells once a second: {"startedAt", "events", "total", "perSecond", "phase"}.
  ADD COLUMN progress json;

-- Which process serves which version of which projection. A process is alive while its row in `members` is; rows of dead
-- ones stay for a while, so that it is known when a version was last in use.
CREATE TABLE :schema.serving (
  member text COLLATE "C" NOT NULL,
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  roles text[] COLLATE "C" NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  -- Moved once a minute, not at each beat.
  seen_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (member, projection, version)
) WITH (fillfactor = 60);

-- A build: up to which seq each shard is to be loaded, and how far it is. What was loaded and this row are written in one
-- transaction, so that a build that was interrupted goes on where it was.
CREATE TABLE :schema.builds (
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  source text COLLATE "C" NOT NULL,
  shard int NOT NULL,
  upto bigint NOT NULL,
  seq bigint NOT NULL DEFAULT 0 CHECK (seq <= upto),
  PRIMARY KEY (projection, version, source, shard)
) WITH (fillfactor = 40);

-- Shards that stand still, and why: an event whose key cannot be told, too many parked keys, an event newer than the code.
CREATE TABLE :schema.projection_stops (
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  source text COLLATE "C" NOT NULL,
  shard int NOT NULL,
  kind text NOT NULL CHECK (kind IN ('halted', 'needs_newer_code')),
  -- The event it stands before, as a person reads it, and the error.
  reason text NOT NULL,
  seq bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, version, source, shard)
);

-- Keys whose fold threw. The worker parks a key in the transaction that moves its checkpoint; only an operator takes one out.
CREATE TABLE :schema.parked (
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  -- '': a row. Else the joined aggregate whose part of many rows it is; the key is that stream's id then.
  part text COLLATE "C" NOT NULL DEFAULT '',
  key text COLLATE "C" NOT NULL,
  -- Keys that an event ties together (a row that moves) share one queue; a number of parked_order.
  grp bigint NOT NULL,
  -- The event at fault, and what was thrown, without a stack.
  source text COLLATE "C" NOT NULL,
  shard int NOT NULL,
  seq bigint NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  error text NOT NULL,
  attempts int NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now(),
  -- Its events that wait; those that were skipped do not count.
  queued bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (projection, version, part, key)
);
CREATE SEQUENCE :schema.parked_order AS bigint;

-- The events of parked keys that are not in, in their order: the one at fault and all later ones of its key. Those that an
-- operator skipped stay, as they are the reason why the row is not a fold of all events.
CREATE TABLE :schema.parked_events (
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  part text COLLATE "C" NOT NULL DEFAULT '',
  key text COLLATE "C" NOT NULL,
  n bigint NOT NULL DEFAULT nextval(':schema.parked_order'),
  source text COLLATE "C" NOT NULL,
  shard int NOT NULL,
  seq bigint NOT NULL,
  skipped_at timestamptz,
  skipped_why text,
  PRIMARY KEY (projection, version, part, key, n)
);

-- Parks keys, and records events behind parked ones; to be called in the transaction that moves the checkpoint past these events.
-- p_what: {"believed": [{part, key}…], each once: keys that have events here and must be parked already; "parks": [{part, key, source,
-- shard, seq, stream, type, error, attempts}…]; "events": [{part, key, source, shard, seq}…] in the order in which they are to be
-- folded, those at fault among them; "maxKeys", "maxEvents"}. Raises TM106 when a key is not as believed, or when there would be too many.
-- Locks: the believed rows of `parked`, in (part, key) order.
CREATE FUNCTION :schema.park_v1(p_projection text, p_version int, p_what json) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  n bigint;
  parked bigint;
  waiting numeric;
BEGIN
  PERFORM FROM json_to_recordset(p_what -> 'believed') AS b(part text, key text)
  JOIN :schema.parked k ON k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key
  ORDER BY k.part, k.key FOR UPDATE OF k;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> json_array_length(p_what -> 'believed') THEN RAISE EXCEPTION 'a key is not parked' USING ERRCODE = 'TM106'; END IF;

  INSERT INTO :schema.parked (projection, version, part, key, grp, source, shard, seq, stream_id, type, error, attempts)
  SELECT p_projection, p_version, x.part, x.key, nextval(':schema.parked_order'), x.source, x.shard, x.seq, x.stream, x.type, x.error, x.attempts
  FROM json_to_recordset(p_what -> 'parks')
    AS x(part text, key text, source text, shard int, seq bigint, stream text, type text, error text, attempts int)
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> json_array_length(p_what -> 'parks') THEN RAISE EXCEPTION 'a key is parked' USING ERRCODE = 'TM106'; END IF;

  INSERT INTO :schema.parked_events (projection, version, part, key, source, shard, seq)
  SELECT p_projection, p_version, e.part, e.key, e.source, e.shard, e.seq
  FROM ROWS FROM (json_to_recordset(p_what -> 'events') AS (part text, key text, source text, shard int, seq bigint)) WITH ORDINALITY
    AS e(part, key, source, shard, seq, n) ORDER BY e.n;
  UPDATE :schema.parked k SET queued = k.queued + e.count
  FROM (SELECT x.part, x.key, count(*) FROM json_to_recordset(p_what -> 'events') AS x(part text, key text) GROUP BY x.part, x.key) e
  WHERE k.projection = p_projection AND k.version = p_version AND k.part = e.part AND k.key = e.key;

  SELECT count(*), sum(k.queued) INTO parked, waiting FROM :schema.parked k WHERE k.projection = p_projection AND k.version = p_version;
  IF waiting > (p_what ->> 'maxEvents')::bigint OR json_array_length(p_what -> 'parks') > 0 AND parked > (p_what ->> 'maxKeys')::bigint THEN
    RAISE EXCEPTION 'too much is parked' USING ERRCODE = 'TM106';
  END IF;
END
$$;

-- Takes events out of the queue of some parked keys (all keys of one group), from its front: those that the caller has folded
-- and writes in this transaction, and perhaps one that is skipped. The keys are parked no more once nothing waits.
-- p_what: {"keys": [{part, key}…], each once; "first": n of the first event that waits, as the caller knows it; "upto": up to this n
-- they are folded, 0 for none; "skip": {source, shard, seq, why} or null; "fault": {source, shard, seq, stream, type, error, attempts} of
-- the next one, or null}. Returns how many still wait. Raises TM106 when somebody else was there.
-- Locks: the keys' rows of `parked`, in (part, key) order.
CREATE FUNCTION :schema.unpark_v1(p_projection text, p_version int, p_what json) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  n bigint;
  fault json := p_what -> 'fault';
BEGIN
  PERFORM FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text)
  JOIN :schema.parked k ON k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key
  ORDER BY k.part, k.key FOR UPDATE OF k;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> json_array_length(p_what -> 'keys') THEN RAISE EXCEPTION 'a key is not parked' USING ERRCODE = 'TM106'; END IF;
  SELECT min(f.n) INTO n FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text) CROSS JOIN LATERAL (
    SELECT e.n FROM :schema.parked_events e
    WHERE e.projection = p_projection AND e.version = p_version AND e.part = b.part AND e.key = b.key AND e.skipped_at IS NULL
    ORDER BY e.n LIMIT 1) f;
  IF n IS DISTINCT FROM (p_what ->> 'first')::bigint THEN RAISE EXCEPTION 'another took events out' USING ERRCODE = 'TM106'; END IF;

  IF json_typeof(p_what -> 'skip') = 'object' THEN
    WITH gone AS (
      UPDATE :schema.parked_events e SET skipped_at = clock_timestamp(), skipped_why = p_what -> 'skip' ->> 'why'
      FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text)
      WHERE e.projection = p_projection AND e.version = p_version AND e.part = b.part AND e.key = b.key AND e.skipped_at IS NULL
        AND e.source = p_what -> 'skip' ->> 'source' AND e.shard = (p_what -> 'skip' ->> 'shard')::int AND e.seq = (p_what -> 'skip' ->> 'seq')::bigint
      RETURNING e.part, e.key
    )
    UPDATE :schema.parked k SET queued = k.queued - g.count FROM (SELECT a.part, a.key, count(*) FROM gone a GROUP BY a.part, a.key) g
    WHERE k.projection = p_projection AND k.version = p_version AND k.part = g.part AND k.key = g.key;
  END IF;
  WITH gone AS (
    DELETE FROM :schema.parked_events e USING json_to_recordset(p_what -> 'keys') AS b(part text, key text)
    WHERE e.projection = p_projection AND e.version = p_version AND e.part = b.part AND e.key = b.key
      AND e.skipped_at IS NULL AND e.n <= (p_what ->> 'upto')::bigint
    RETURNING e.part, e.key
  )
  UPDATE :schema.parked k SET queued = k.queued - g.count FROM (SELECT a.part, a.key, count(*) FROM gone a GROUP BY a.part, a.key) g
  WHERE k.projection = p_projection AND k.version = p_version AND k.part = g.part AND k.key = g.key;

  SELECT sum(k.queued) INTO n FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text)
  JOIN :schema.parked k ON k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key;
  IF n = 0 THEN
    DELETE FROM :schema.parked k USING json_to_recordset(p_what -> 'keys') AS b(part text, key text)
    WHERE k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key;
  ELSIF json_typeof(fault) = 'object' THEN
    UPDATE :schema.parked k SET source = fault ->> 'source', shard = (fault ->> 'shard')::int, seq = (fault ->> 'seq')::bigint,
      stream_id = fault ->> 'stream', type = fault ->> 'type', error = fault ->> 'error', attempts = (fault ->> 'attempts')::int
    FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text)
    WHERE k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key;
  ELSE
    UPDATE :schema.parked k SET error = 'what was at fault is in; the events after it were not tried yet'
    FROM json_to_recordset(p_what -> 'keys') AS b(part text, key text)
    WHERE k.projection = p_projection AND k.version = p_version AND k.part = b.part AND k.key = b.key;
  END IF;
  RETURN n;
END
$$;

-- The slots of each change log, so that it is known how old the entries of one are. `shards.slot` says which is open.
CREATE TABLE :schema.change_slots (
  log text COLLATE "C" NOT NULL,
  slot int NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  PRIMARY KEY (log, slot)
);
INSERT INTO :schema.change_slots (log, slot) SELECT DISTINCT s.log, s.slot FROM :schema.shards s WHERE position('.' in s.log) > 0;
