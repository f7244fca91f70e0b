-- Logs: one row per (log, shard). Appends lock these rows and never update them: while anyone holds a snapshot, the dead
-- versions of a row that every append updates pile up. Safe beside any older code: it only adds.
CREATE TABLE :schema.shards (
  log text COLLATE "C" NOT NULL,
  shard int NOT NULL CHECK (shard >= 0),
  -- Changes when the log is rebuilt or restored; stands in every position that leaves the process.
  epoch text COLLATE "C" NOT NULL CHECK (epoch ~ '^[0-9a-z]+$'),
  -- Low-water mark: entries up to it were trimmed.
  low bigint NOT NULL DEFAULT 0 CHECK (low >= 0),
  -- Change logs only: the slot (partition) that new entries go to. Moved by rotation, under the shard locks.
  slot int NOT NULL DEFAULT 0,
  PRIMARY KEY (log, shard)
);
