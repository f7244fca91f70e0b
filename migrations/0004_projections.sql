-- Projections, their checkpoints and change logs, and the leases of their writers. Safe beside any older code: it only adds.
-- Read-model tables, change-log partitions and their apply functions are made at start, from the definitions.

CREATE TABLE :schema.projections (
  name text COLLATE "C" NOT NULL,
  version int NOT NULL CHECK (version > 0),
  -- Hash of the definition that the table was made for; the definition itself is kept to show what differs.
  fingerprint text COLLATE "C" NOT NULL,
  definition json NOT NULL,
  -- What the operators want of this version; what its workers do at the moment is told by them.
  state text COLLATE "C" NOT NULL DEFAULT 'active',
  -- Epoch of its change log.
  epoch text COLLATE "C" NOT NULL CHECK (epoch ~ '^[0-9a-z]+$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (name, version)
);

-- Up to which seq the events of a shard are in the read model. Moved by compare-and-set, in the transaction that writes the rows.
CREATE TABLE :schema.checkpoints (
  projection text COLLATE "C" NOT NULL,
  version int NOT NULL,
  source text COLLATE "C" NOT NULL,
  shard int NOT NULL CHECK (shard >= 0),
  seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  PRIMARY KEY (projection, version, source, shard)
) WITH (fillfactor = 40);

-- Every change of every row, once. A partition per log (`_log_<projection>__v<version>`), and in it one per slot, so that
-- trimming drops partitions. The key leads with what readers ask for; the slot is last, as a partitioned key must have it.
CREATE TABLE :schema.changes (
  log text COLLATE "C" NOT NULL,
  shard int NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  slot int NOT NULL,
  key text COLLATE "C" NOT NULL,
  -- Values of the channel fields before the change; NULL where there was no row.
  before_channels json,
  -- The row after the change; NULL where there is none any more.
  "row" json,
  recorded_at timestamptz NOT NULL,
  PRIMARY KEY (log, shard, seq, slot)
) PARTITION BY LIST (log);

-- Processes that take leases. One row a process, moved once a second, is all that renews its leases.
CREATE TABLE :schema.members (
  member text COLLATE "C" PRIMARY KEY,
  -- Backend of the connection that renews. When it is gone, so is the process, and nobody waits for the time to run out.
  pid int NOT NULL,
  backend_start timestamptz,
  expires_at timestamptz NOT NULL,
  -- What it wants leases of.
  scopes text[] COLLATE "C" NOT NULL DEFAULT '{}'
) WITH (fillfactor = 40);

-- Who holds what. A lease is worth something while its holder's row in `members` lives; the term rises with every new
-- holder. A transaction that must not run beside another holder locks the row FOR SHARE and compares holder and term.
CREATE TABLE :schema.leases (
  scope text COLLATE "C" NOT NULL,
  item int NOT NULL CHECK (item >= 0),
  holder text COLLATE "C",
  term bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, item)
) WITH (fillfactor = 60);

-- One beat of a process: renews its membership, takes free leases up to its fair share of each scope, and tells what it
-- holds. p_items: leases of each scope. p_shy_*: leases that it leaves to others for now.
-- A row per lease held, and one with a NULL item per scope where it holds none; share: how many it should hold at the most.
-- Locks: an advisory lock first, so that two beats never cross; then rows of `leases`, past those that a transaction holds.
CREATE FUNCTION :schema.lease_beat_v1(
  p_member text, p_ttl_ms int, p_scopes text[], p_items int[], p_shy_scopes text[], p_shy_items int[]
) RETURNS TABLE (scope text, item int, term bigint, share int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  alive text[];
  shares int[];
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tidemark:leases'), hashtext(':schema'));
  INSERT INTO :schema.members AS m (member, pid, backend_start, expires_at, scopes)
  SELECT p_member, a.pid, a.backend_start, clock_timestamp() + p_ttl_ms * interval '1 millisecond', p_scopes
  FROM pg_stat_get_activity(pg_backend_pid()) a
  ON CONFLICT (member) DO UPDATE
    SET pid = excluded.pid, backend_start = excluded.backend_start, expires_at = excluded.expires_at, scopes = excluded.scopes;
  DELETE FROM :schema.members m WHERE m.expires_at < clock_timestamp() - interval '1 minute';
  IF (SELECT count(*) FROM :schema.leases l WHERE l.scope = ANY (p_scopes)) < (SELECT sum(n) FROM unnest(p_items) n) THEN
    INSERT INTO :schema.leases (scope, item)
    SELECT w.scope, i FROM unnest(p_scopes, p_items) AS w(scope, items), generate_series(0, w.items - 1) i
    ON CONFLICT DO NOTHING;
  END IF;

  SELECT array_agg(m.member) INTO alive FROM :schema.members m
  WHERE m.expires_at > clock_timestamp() AND EXISTS (
    SELECT FROM pg_stat_get_activity(m.pid) a WHERE coalesce(a.backend_start = m.backend_start, true));
  SELECT array_agg(s.share ORDER BY s.n) INTO shares FROM (
    SELECT w.n, ceil(w.items::numeric / greatest(1, count(m.member)))::int AS share
    FROM unnest(p_scopes, p_items) WITH ORDINALITY AS w(scope, items, n)
    LEFT JOIN :schema.members m ON m.member = ANY (alive) AND w.scope = ANY (m.scopes)
    GROUP BY w.n, w.items
  ) s;

  WITH free AS MATERIALIZED (
    SELECT l.scope, l.item FROM :schema.leases l
    WHERE l.scope = ANY (p_scopes) AND (l.holder IS NULL OR l.holder <> ALL (alive))
      AND NOT EXISTS (SELECT FROM unnest(p_shy_scopes, p_shy_items) AS s(scope, item) WHERE s.scope = l.scope AND s.item = l.item)
    ORDER BY l.scope, l.item FOR UPDATE OF l SKIP LOCKED
  ), ranked AS (
    SELECT f.scope, f.item, row_number() OVER (PARTITION BY f.scope ORDER BY f.item) AS n FROM free f
  )
  UPDATE :schema.leases l SET holder = p_member, term = l.term + 1
  FROM ranked r JOIN unnest(p_scopes, shares) AS w(scope, share) ON w.scope = r.scope
  WHERE l.scope = r.scope AND l.item = r.item
    AND r.n <= w.share - (SELECT count(*) FROM :schema.leases o WHERE o.scope = r.scope AND o.holder = p_member);

  RETURN QUERY SELECT w.scope, l.item, l.term, w.share
  FROM unnest(p_scopes, shares) AS w(scope, share)
  LEFT JOIN :schema.leases l ON l.scope = w.scope AND l.holder = p_member
  ORDER BY w.scope, l.item;
END
$$;
