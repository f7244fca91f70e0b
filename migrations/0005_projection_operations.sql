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
  -- Keys that an event ties together (a row that moves) share one queue; the n of the first event.
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

-- The slots of each change log, so that it is known how old the entries of one are. `shards.slot` says which is open.
CREATE TABLE :schema.change_slots (
  log text COLLATE "C" NOT NULL,
  slot int NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  PRIMARY KEY (log, slot)
);
INSERT INTO :schema.change_slots (log, slot) SELECT DISTINCT s.log, s.slot FROM :schema.shards s WHERE position('.' in s.log) > 0;
